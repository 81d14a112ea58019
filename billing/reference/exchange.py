"""Exchange between two currencies, exact. Pure.

Rates are published against the euro; every other pair goes through it as a fraction, never through a rounded cross rate.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from billing.kernel import money
from billing.kernel.rounding import half_up_fraction

BASE = "EUR"
_PLACES = 12


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What one snapshot says: units of `currency` for one euro, as published."""

    currency: str
    rate_text: str
    snapshot_id: str
    source: str
    published_on: date


@dataclass(frozen=True, kw_only=True)
class Rate:
    """The rate of a pair for a day, with the published legs it is made of; without legs both are the same currency."""

    from_currency: str
    to_currency: str
    on: date
    legs: tuple[Leg, ...]

    @property
    def value(self) -> Fraction:
        """Units of `to_currency` for one of `from_currency`."""
        if self.from_currency == self.to_currency:
            return Fraction(1)
        return self._per_euro(self.to_currency) / self._per_euro(self.from_currency)

    @property
    def published_on(self) -> date:
        """The day of the older leg."""
        return min((leg.published_on for leg in self.legs), default=self.on)

    @property
    def sources(self) -> tuple[str, ...]:
        """Who published it."""
        return tuple(sorted({leg.source for leg in self.legs}))

    @property
    def snapshot_ids(self) -> tuple[str, ...]:
        """The snapshots it is made of, one or two."""
        return tuple(dict.fromkeys(leg.snapshot_id for leg in self.legs))

    def convert(self, exact_minor: Fraction | int) -> int:
        """Minor units of `to_currency` for exact minor units of `from_currency`, rounded once, half up (Law 2)."""
        return convert(exact_minor, self.from_currency, self.to_currency, self.value)

    def _per_euro(self, currency: str) -> Fraction:
        if currency == BASE:
            return Fraction(1)
        return next(Fraction(leg.rate_text) for leg in self.legs if leg.currency == currency)


def convert(exact_minor: Fraction | int, from_currency: str, to_currency: str, rate: Fraction) -> int:
    """Minor units of `to_currency`: `rate` is its units for one of `from_currency`; each has its own digits (JPY 0, KWD 3, CLF 4)."""
    scale = Fraction(10) ** (money.exponent(to_currency) - money.exponent(from_currency))
    return half_up_fraction(Fraction(exact_minor) * rate * scale)


def to_text(value: Fraction) -> str:
    """An exact value as a plain decimal of at most twelve places, or as "a/b" where there is none."""
    scaled = value * 10**_PLACES
    if scaled.denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    text = f"{Decimal(scaled.numerator).scaleb(-_PLACES):f}"
    return text.rstrip("0").rstrip(".")


def from_text(text: str) -> Fraction:
    """The exact value that `to_text` wrote."""
    return Fraction(text)
