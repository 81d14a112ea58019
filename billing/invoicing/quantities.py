"""The quantity an invoice line states: exact, in the largest unit in which it is a short finite decimal. Pure.

94,439,347 core-seconds are no finite number of core-hours, so the line says core-seconds with the price per 3,600 of them
(EN 16931: BT-129 quantity, BT-130 unit, BT-149 base quantity of the price), and the hours stand beside it as rounded text.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.kernel.rounding import half_up_fraction

_PLACES = 10  # 1 MiB-second is 0.0009765625 GiB-seconds
_MILLIS_PER_HOUR = 3_600_000

# meter -> units from large to small as (name, base units in one). The last is the base unit, in which every quantity is whole.
_LADDERS: dict[str, tuple[tuple[str, int], ...]] = {
    "cpu_hour": (("core-hour", _MILLIS_PER_HOUR), ("core-second", 1000), ("core-millisecond", 1)),
    "gpu_hour": (
        ("GPU-hour", 21_000 * _MILLIS_PER_HOUR),
        ("GPU-second", 21_000 * 1000),
        ("GPU-millisecond", 21_000),
        ("1/21000 GPU-millisecond", 1),
    ),
    "memory_gib_hour": (
        ("GiB-hour", 2**30 * _MILLIS_PER_HOUR),
        ("GiB-second", 2**30 * 1000),
        ("MiB-second", 2**20 * 1000),
        ("byte-millisecond", 1),
    ),
    "gib_hour": (("GiB-hour", 2**30 * 3600), ("GiB-second", 2**30), ("MiB-second", 2**20), ("byte-second", 1)),
}


@dataclass(frozen=True, kw_only=True)
class Stated:
    """What a line prints: an exact quantity and its unit, how many of them one priced unit holds, and the priced unit beside it.

    `beside_text` is empty when the quantity is already in the priced unit, else that quantity rounded to four places.
    """

    quantity_text: str
    unit: str
    price_base_text: str  # "1", or "3600" where the price is per 3,600 of the unit
    beside_text: str
    priced_unit: str


def state(*, meter_code: str, unit: str, base_per_unit: int, quantity_base: int) -> Stated:
    """How to state `quantity_base` of a meter whose priced unit holds `base_per_unit` base units."""
    ladder = _LADDERS.get(meter_code, ())
    if not ladder or ladder[0][1] != base_per_unit:
        ladder = (
            ((unit, base_per_unit),)
            if base_per_unit == 1
            else ((unit, base_per_unit), (f"1/{base_per_unit} {unit}", 1))
        )
    name, size = next((rung for rung in ladder if _is_short(Fraction(quantity_base, rung[1]))), ladder[-1])
    beside = ""
    if size != base_per_unit:
        beside = rounded(Fraction(quantity_base, base_per_unit))
    return Stated(
        quantity_text=plain(Fraction(quantity_base, size)),
        unit=name,
        price_base_text=plain(Fraction(base_per_unit, size), places=12),
        beside_text=beside,
        priced_unit=ladder[0][0],
    )


def plain(value: Fraction, places: int = _PLACES) -> str:
    """A finite value as a plain decimal without further zeros. Raises ValueError where `places` digits do not hold it."""
    scaled = value * 10**places
    if scaled.denominator != 1:
        raise ValueError(f"{value} has no exact decimal of {places} places")
    text = f"{Decimal(scaled.numerator).scaleb(-places):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def rounded(value: Fraction) -> str:
    """A value rounded half up to four places, as a plain decimal."""
    return plain(Fraction(half_up_fraction(value * 10**4), 10**4))


def grouped(text: str | int) -> str:
    """A plain decimal as words show it: 2464128.5 is "2,464,128.5"."""
    return f"{Decimal(text):,f}"


def _is_short(value: Fraction) -> bool:
    return bool((value * 10**_PLACES).denominator == 1)
