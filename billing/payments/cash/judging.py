"""Whether the ledger says of a movement what the provider says, and what is still to be booked. Pure.

A movement is whole when the cash accounts moved by `net` in its own currency and by nothing in any other: what moved by the
customer's money (`primary`), what the provider converted (`conversion`: all of it out of the presented currency, into the
movement's own), and its fee.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from billing.kernel.money import Money
from billing.ledger.entries import Entry

CASH = "cash:stripe"
Moved = Mapping[str, int]
"""Currency -> minor units by which cash:stripe rose; no zeros."""


@dataclass(frozen=True, kw_only=True)
class Movement:
    """What the provider says: `presented` is `amount` as the customer saw it, both signed. `is_fee_ours`: we book its fee, not a
    dispute."""

    amount: Money
    fee: Money
    presented: Money
    is_fee_ours: bool = True

    @property
    def is_converted(self) -> bool:
        """Whether the provider changed the currency."""
        return self.presented.currency != self.amount.currency


@dataclass(frozen=True, kw_only=True)
class Books:
    """What the ledger says by now."""

    primary: Moved = field(default_factory=dict)
    fee: Moved = field(default_factory=dict)
    conversion: Moved = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be booked, or why nothing can be: with a `reason` nothing is. All empty: it is whole."""

    reason: str | None = None
    book_fee: bool = False
    book_conversion: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to say."""
        return self == Verdict()


def judge(movement: Movement, books: Books) -> Verdict:
    """Hold one against the other."""
    if books.primary != moved(movement.presented):
        return Verdict(reason="amount_differs")
    conversion = _conversion(movement)
    if books.conversion and books.conversion != conversion:
        return Verdict(reason="conversion_differs")
    fee = moved(-movement.fee)
    if books.fee and books.fee != fee:
        return Verdict(reason="fee_differs")
    if fee and not books.fee and not movement.is_fee_ours:
        return Verdict(reason="fee_not_booked")
    return Verdict(book_fee=bool(fee) and not books.fee, book_conversion=bool(conversion) and not books.conversion)


def fee_entries(fee: Money, *, detail: dict[str, str] | None = None) -> list[Entry]:
    """A fee taken; below zero it is given back."""
    sides = ("processor_fees", CASH) if fee.minor > 0 else (CASH, "processor_fees")
    return [_entry("processor_fee", sides, fee, detail)]


def conversion_entries(movement: Movement) -> list[Entry]:
    """Out of cash in the presented currency and into cash in the movement's own, each through fx_clearing; below zero swapped."""
    out, into = ("fx_clearing", CASH), (CASH, "fx_clearing")
    if movement.presented.minor < 0:
        out, into = into, out
    legs = ((out, movement.presented), (into, movement.amount))
    return [_entry("fx_provider", sides, money) for sides, money in legs if money.minor]


def other_entries(kind: str, other: str, amount: Money, *, detail: dict[str, str] | None = None) -> list[Entry]:
    """A movement between cash:stripe and one account of the house: into cash where it is positive."""
    sides = (CASH, other) if amount.minor > 0 else (other, CASH)
    return [_entry(kind, sides, amount, detail)]


def moved(money: Money) -> dict[str, int]:
    """By how much cash rises; empty for nothing."""
    return {money.currency: money.minor} if money.minor else {}


def _conversion(movement: Movement) -> dict[str, int]:
    return moved(-movement.presented) | moved(movement.amount) if movement.is_converted else {}


def _entry(kind: str, sides: tuple[str, str], money: Money, detail: dict[str, str] | None = None) -> Entry:
    amount = Money(minor=abs(money.minor), currency=money.currency)
    return Entry(kind=kind, debit=sides[0], credit=sides[1], amount=amount, detail=detail or {})
