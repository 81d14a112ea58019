"""Allowance: the first units of a period are free, then every unit costs the same. `{"free": "100", "unit_price": "0.10"}`.

It counts per billing account, across its projects.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.rating.curves.terms import Parameters, Part, Terms, require_counted, total


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """Level, then rising."""

    free_base: int
    price_minor: Fraction  # per priced unit
    base_per_unit: int

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return total(self.parts(quantity_base))

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """The free units, then the paid ones."""
        free = min(require_counted(quantity_base), self.free_base)
        paid = quantity_base - free
        parts = []
        if free:
            count = Fraction(free, self.base_per_unit)
            parts.append(Part(operation="free", count=count, price_minor=Fraction(0), up_to_base=self.free_base))
        if paid:
            count = Fraction(paid, self.base_per_unit)
            parts.append(Part(operation="tier", count=count, price_minor=self.price_minor, from_base=self.free_base))
        return tuple(parts)


def read(parameters: Parameters, terms: Terms) -> Allowance:
    """The curve of these parameters; a counter of part of the period has that part of the allowance. Raises Invalid."""
    return Allowance(
        free_base=terms.bound_base(parameters, "free"),
        price_minor=terms.minor(parameters, "unit_price"),
        base_per_unit=terms.base_per_unit,
    )
