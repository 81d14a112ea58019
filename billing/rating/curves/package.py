"""Package: units are sold in packages, a started one counts whole. `{"package_size": "1000", "package_price": "2.00"}`."""

from dataclasses import dataclass
from fractions import Fraction

from billing.kernel.errors import Invalid
from billing.rating.curves.terms import Parameters, Part, Terms, decimal, require_counted, total


@dataclass(frozen=True, kw_only=True)
class Package:
    """A staircase: cost steps up after every full package."""

    size_base: int
    price_minor: Fraction  # per package

    def cost(self, quantity_base: int) -> Fraction:
        """Exact, in minor units."""
        return total(self.parts(quantity_base))

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """Packages started, times their price."""
        count = -(-require_counted(quantity_base) // self.size_base)
        return (Part(operation="package", count=Fraction(count), price_minor=self.price_minor),) if count else ()


def read(parameters: Parameters, terms: Terms) -> Package:
    """The curve of these parameters; a package is the same size in any part of a period. Raises Invalid."""
    size = decimal(parameters, "package_size") * terms.base_per_unit
    if size.denominator != 1 or size <= 0:
        raise Invalid(field="package_size", value=str(parameters["package_size"]), reason="not_whole_base_units")
    return Package(size_base=size.numerator, price_minor=terms.minor(parameters, "package_price"))
