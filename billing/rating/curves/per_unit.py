"""Per unit: every unit costs the same. `{"unit_price": "0.10"}`, in major units per priced unit."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from billing.rating.curves.terms import Parameters, Part, Terms


@dataclass(frozen=True, kw_only=True)
class PerUnit:
    """A straight line, so it also holds below zero: one project's corrections may exceed what it has used so far."""

    price_minor: Fraction  # per priced unit
    base_per_unit: int

    @cached_property
    def per_base(self) -> Fraction:
        """Minor units per base unit: what the rater's integer loop multiplies by."""
        return self.price_minor / self.base_per_unit

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return quantity_base * self.per_base

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """One product: units times price."""
        return (
            Part(operation="per_unit", count=Fraction(quantity_base, self.base_per_unit), price_minor=self.price_minor),
        )


def read(parameters: Parameters, terms: Terms) -> PerUnit:
    """The curve of these parameters. Raises Invalid."""
    return PerUnit(price_minor=terms.minor(parameters, "unit_price"), base_per_unit=terms.base_per_unit)
