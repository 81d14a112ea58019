"""Flat: one amount for the period as soon as anything is used. `{"amount": "25.00"}`, in major units."""

from dataclasses import dataclass
from fractions import Fraction

from billing.rating.curves.terms import Parameters, Part, Terms, require_counted, total


@dataclass(frozen=True, kw_only=True)
class Flat:
    """A step at the first unit."""

    amount_minor: Fraction

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return total(self.parts(quantity_base))

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """Nothing, or the amount once."""
        if require_counted(quantity_base) == 0:
            return ()
        return (Part(operation="flat", count=Fraction(1), price_minor=self.amount_minor),)


def read(parameters: Parameters, terms: Terms) -> Flat:
    """The curve of these parameters; a counter of part of the period has that part of the amount. Raises Invalid."""
    share = Fraction(1) if terms.scale is None else terms.scale.share
    return Flat(amount_minor=terms.minor(parameters, "amount") * share)
