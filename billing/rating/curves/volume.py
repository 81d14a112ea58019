"""Volume: the tier that the whole quantity reaches sets the price of every unit. Parameters as in `tiers`.

The curve may step down: a late window that reaches a cheaper tier lowers the total (Law 1), and the ledger follows.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.rating.curves import tiers
from billing.rating.curves.terms import Parameters, Part, Terms, require_counted, total


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A saw: at each bound the price of all units changes."""

    tiers: tuple[tiers.Tier, ...]
    base_per_unit: int

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return total(self.parts(quantity_base))

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """One product: all units times the price of the tier they reach."""
        if require_counted(quantity_base) == 0:
            return ()
        tier = next(tier for tier in self.tiers if tier.up_to_base is None or quantity_base <= tier.up_to_base)
        return (
            Part(
                operation="volume_tier",
                count=Fraction(quantity_base, self.base_per_unit),
                price_minor=tier.price_minor,
                from_base=tier.from_base,
                up_to_base=tier.up_to_base,
            ),
        )


def read(parameters: Parameters, terms: Terms) -> Volume:
    """The curve of these parameters. Raises Invalid."""
    return Volume(tiers=tiers.read(parameters, terms), base_per_unit=terms.base_per_unit)
