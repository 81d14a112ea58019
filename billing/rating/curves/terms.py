"""What every price curve is made of: its terms, its parts, and the exact reading of a price book's numbers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.rounding import half_up

_PLAIN_DECIMAL = re.compile(r"[0-9]{1,18}(\.[0-9]{1,12})?")

Parameters = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The share of a billing period that a counter covers, where prices change inside it: each segment's length, and which one.

    Bounds and allowances are cut by it so that the segments together give what one whole period gives (Law 1).
    """

    lengths_ms: tuple[int, ...]
    index: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < len(self.lengths_ms) or min(self.lengths_ms) <= 0:
            raise ValueError("a scale names one of its segments, and each has a length")

    @property
    def share(self) -> Fraction:
        """This segment's part of the period."""
        return Fraction(self.lengths_ms[self.index], sum(self.lengths_ms))

    def bound(self, whole_base: int) -> int:
        """This segment's part of a bound in base units: half up, the rest to the last segment.

        Never more than is left: 2 units over four equal segments are 1, 1, 0, 0 and not 1, 1, 1, -1.
        """
        total, left = sum(self.lengths_ms), whole_base
        for length_ms in self.lengths_ms[: self.index]:
            left -= min(half_up(whole_base * length_ms, total), left)
        if self.index == len(self.lengths_ms) - 1:
            return left
        return min(half_up(whole_base * self.lengths_ms[self.index], total), left)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a price's numbers mean: its currency, the meter's base units per priced unit, the counter's share of the period."""

    currency: str
    base_per_unit: int
    scale: Scale | None = None

    def minor(self, parameters: Parameters, name: str) -> Fraction:
        """A price given in major units as exact minor units. Raises Invalid for all but plain decimals of up to 12 places."""
        return decimal(parameters, name) * Fraction(10 ** money.exponent(self.currency))

    def bound_base(self, parameters: Parameters, name: str) -> int:
        """A bound given in priced units, as whole base units of this counter (scaled). Raises Invalid where it is not whole."""
        whole = decimal(parameters, name) * self.base_per_unit
        if whole.denominator != 1:
            raise Invalid(
                field=name, value=str(parameters[name]), base_per_unit=self.base_per_unit, reason="not_whole_base_units"
            )
        return whole.numerator if self.scale is None else self.scale.bound(whole.numerator)


@dataclass(frozen=True, kw_only=True)
class Part:
    """One product inside a curve's cost: `count` (priced units, packages, or 1) times `price_minor`."""

    operation: str  # per_unit, free, tier, volume_tier, package, flat, percentage
    count: Fraction
    price_minor: Fraction
    from_base: int = 0  # the quantity it starts after, in base units
    up_to_base: int | None = None  # the last quantity that belongs to it; None: no upper bound

    @property
    def amount_minor(self) -> Fraction:
        """Exact, in minor units."""
        return self.count * self.price_minor


class Curve(Protocol):
    """A cumulative price (Law 1): `cost(0) = 0`; the cost of a quantity is the sum of its parts."""

    def cost(self, quantity_base: int) -> Fraction:
        """Exact cost, in minor units, of all that a counter has seen. Quantities below zero are refused except per unit."""
        ...

    def parts(self, quantity_base: int) -> tuple[Part, ...]:
        """The products whose sum is `cost(quantity_base)`."""
        ...


def total(parts: tuple[Part, ...]) -> Fraction:
    """The exact sum of parts, in minor units."""
    return sum((part.amount_minor for part in parts), Fraction(0))


def require_counted(quantity_base: int) -> int:
    """The quantity itself; ValueError below zero, where tiers and packages mean nothing."""
    if quantity_base < 0:
        raise ValueError("a counter cannot stand below zero")
    return quantity_base


def decimal(parameters: Parameters, name: str) -> Fraction:
    """A non-negative plain decimal of a price book, exact. Raises Invalid when it is missing or written otherwise."""
    text = parameters.get(name)
    if not isinstance(text, str) or not _PLAIN_DECIMAL.fullmatch(text):
        raise Invalid(field=name, value=str(text)[:40], reason="not_a_plain_decimal")
    return Fraction(text)
