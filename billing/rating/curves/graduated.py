"""Graduated: each tier's price holds for the units inside that tier. Parameters as in `tiers`."""

from dataclasses import dataclass
from fractions import Fraction

from billing.rating.curves import tiers
from billing.rating.curves.terms import Parameters, Part, Terms, require_counted, total


@dataclass(frozen=True, kw_only=True)
class Graduated:
    """A line with bends: no unit changes its price when more are used."""

    tiers: tuple[tiers.Tier, ...]
    base_per_unit: int

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return total(self.parts(quantity_base))

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """One product per tier that was reached."""
        require_counted(quantity_base)
        parts = []
        for tier in self.tiers:
            inside = (
                quantity_base if tier.up_to_base is None else min(quantity_base, tier.up_to_base)
            ) - tier.from_base
            if inside <= 0:
                continue  # not reached, or scaled down to nothing
            parts.append(
                Part(
                    operation="tier",
                    count=Fraction(inside, self.base_per_unit),
                    price_minor=tier.price_minor,
                    from_base=tier.from_base,
                    up_to_base=tier.up_to_base,
                )
            )
        return tuple(parts)


def read(parameters: Parameters, terms: Terms) -> Graduated:
    """The curve of these parameters. Raises Invalid."""
    return Graduated(tiers=tiers.read(parameters, terms), base_per_unit=terms.base_per_unit)
