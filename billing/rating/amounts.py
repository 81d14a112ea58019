"""What the ledger must hold of a charge: its exact amount, rounded once (Law 2)."""

from dataclasses import dataclass

from billing.kernel.rounding import half_up, half_up_fraction
from billing.rating import curves
from billing.rating.curves.terms import Curve


def rounded_minor(curve: Curve, before_base: int, quantity_base: int, opened: Curve | None = None) -> int:
    """R(cost(before + quantity) - cost(before)): what the ledger holds of a charge, in minor units (Law 2).

    `opened` is the curve that was in force when the charge opened, where its counter was rescaled since: what earlier
    generations came to is theirs, and the difference that the new shares make belongs to this one.
    """
    per_base = curves.per_base_of(curve)
    if per_base is not None:  # where it began does not matter, and most charges are on a straight line
        return half_up(quantity_base * per_base.numerator, per_base.denominator)
    return half_up_fraction(curve.cost(before_base + quantity_base) - (opened or curve).cost(before_base))


@dataclass(slots=True, kw_only=True)
class OpenAmount:
    """One charge while a run brings it up to date: what the ledger holds of it, and what its new lines add."""

    charge_id: str
    currency: str
    family: str
    curve: Curve
    before_base: int
    posted_base: int
    posted_minor: int
    posting_seq: int
    kind: str = "usage_debit"  # of the entry
    opened: Curve | None = None  # the curve when the charge opened, where another one is in force now
    added_base: int = 0
    settled_minor: int = 0

    @property
    def quantity_base(self) -> int:
        """What the charge counts with its new lines."""
        return self.posted_base + self.added_base

    def settle(self) -> None:
        """Work out, once all its lines are added, what the ledger must hold: the exact amount rounded once."""
        self.settled_minor = rounded_minor(self.curve, self.before_base, self.quantity_base, self.opened)

    @property
    def increment_minor(self) -> int:
        """What a posting adds to the ledger after `settle`; it may be negative."""
        return self.settled_minor - self.posted_minor
