"""Percentage: a share of an amount that a meter counts. `{"percent": "2.5"}`, of amount meters alone.

Such a meter counts millionths of a minor unit of the price's currency, and its priced unit is a minor unit.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from billing.rating.curves.terms import Parameters, Part, Terms, decimal


@dataclass(frozen=True, kw_only=True)
class Percentage:
    """A straight line, which also holds below zero: what is charged may be less than what was given back."""

    share: Fraction
    base_per_unit: int

    @cached_property
    def per_base(self) -> Fraction:
        """Minor units per base unit."""
        return self.share / self.base_per_unit

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return quantity_base * self.per_base

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """One product: the amount in minor units times the share."""
        count = Fraction(quantity_base, self.base_per_unit)
        return (Part(operation="percentage", count=count, price_minor=self.share),)


def read(parameters: Parameters, terms: Terms) -> Percentage:
    """The curve of these parameters; a part of a period has the same share. Raises Invalid."""
    return Percentage(share=decimal(parameters, "percent") / 100, base_per_unit=terms.base_per_unit)
