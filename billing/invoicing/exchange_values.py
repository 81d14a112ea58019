"""What the settlement of an invoice in another currency is worth in the seller's own, and the gain or loss of it. Pure.

The invoice stands in the books at its value of the day of issue. What settles it takes its share of that value out, the last one the
rest. Money that pays it is worth what its day says; the difference to the share that it took out is the result. A credit note, a
write-off and the wallet at issue settle at the value that stands there. A payment that is undone, or given back to the wallet by a
credit note, takes its part of the result back with it (docs/decisions/0017).
"""

from dataclasses import dataclass

from billing.kernel.rounding import half_up

_MONEY = ("payment", "wallet", "dispute")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What an invoice asks for, and its value at issue in minor units of the seller's currency."""

    payable_minor: int
    value_minor: int

    def carried_minor(self, open_minor: int) -> int:
        """The value that stands in the books for what is open."""
        if self.payable_minor == 0:
            return 0
        return half_up(self.value_minor * open_minor, self.payable_minor)


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that moved what is open: `amount_minor` of the invoice's currency, negative where it was undone.

    `kind` is that of the settlement, or given_back for what a credit note put into the wallet. `value_minor` is what money of the day
    is worth; for anything else it is None.
    """

    kind: str
    amount_minor: int
    value_minor: int | None = None


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is open, and the money that stands on the invoice: its amount, its worth and the value that it took out."""

    open_minor: int
    money_minor: int = 0
    worth_minor: int = 0
    cost_minor: int = 0

    @property
    def result_minor(self) -> int:
        """Gain (above zero) or loss of the money that stands on the invoice."""
        return self.worth_minor - self.cost_minor


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one event does: the standing after it, the value it took out, what its money is worth, and the result to be booked."""

    after: Standing
    carried_minor: int
    worth_minor: int
    result_minor: int


def step(terms: Terms, before: Standing, event: Event) -> Step:
    """The event's effect. A payment above zero must have its value. Sums of `carried_minor` end at the value at issue."""
    if event.kind == "given_back":
        return _made(before, _without(before, event.amount_minor, None), 0)
    open_minor = before.open_minor - event.amount_minor
    carried = terms.carried_minor(before.open_minor) - terms.carried_minor(open_minor)
    if event.kind not in _MONEY:
        money = before
    elif event.amount_minor < 0:
        money = _without(before, -event.amount_minor, -carried)
    else:
        worth = carried if event.value_minor is None else event.value_minor
        money = Standing(
            open_minor=before.open_minor,
            money_minor=before.money_minor + event.amount_minor,
            worth_minor=before.worth_minor + worth,
            cost_minor=before.cost_minor + carried,
        )
    after = Standing(
        open_minor=open_minor,
        money_minor=money.money_minor,
        worth_minor=money.worth_minor,
        cost_minor=money.cost_minor,
    )
    return _made(before, after, carried)


def _without(before: Standing, amount_minor: int, cost_minor: int | None) -> Standing:
    """Some of the money is gone, worth its part of all that stands there; with the last of it nothing stands any more."""
    if amount_minor >= before.money_minor:
        return Standing(open_minor=before.open_minor)
    if cost_minor is None:
        cost_minor = half_up(before.cost_minor * amount_minor, before.money_minor)
    return Standing(
        open_minor=before.open_minor,
        money_minor=before.money_minor - amount_minor,
        worth_minor=before.worth_minor - half_up(before.worth_minor * amount_minor, before.money_minor),
        cost_minor=before.cost_minor - cost_minor,
    )


def _made(before: Standing, after: Standing, carried_minor: int) -> Step:
    return Step(
        after=after,
        carried_minor=carried_minor,
        worth_minor=after.worth_minor - before.worth_minor,
        result_minor=after.result_minor - before.result_minor,
    )
