"""The units in which files may tell a meter's quantity, and the things that may be held over a window. Data, and exact."""

from collections.abc import Mapping
from fractions import Fraction

from billing.catalog.meters import METERS

_HOURS = {"second": Fraction(1, 3600), "minute": Fraction(1, 60), "hour": Fraction(1), "day": Fraction(24)}
_GIB = 2**30
_BYTES = {
    "byte": Fraction(1, _GIB),
    "kb": Fraction(10**3, _GIB),
    "mb": Fraction(10**6, _GIB),
    "gb": Fraction(10**9, _GIB),
    "tb": Fraction(10**12, _GIB),
    "kib": Fraction(2**10, _GIB),
    "mib": Fraction(2**20, _GIB),
    "gib": Fraction(1),
    "tib": Fraction(2**10),
}
# What is held, and how much of the meter's unit one of it is.
_HELD: Mapping[str, Mapping[str, Fraction]] = {
    "gpu_hour": {"gpu": Fraction(1), "milligpu": Fraction(1, 1000)},
    "cpu_hour": {"core": Fraction(1), "millicore": Fraction(1, 1000)},
    "memory_gib_hour": _BYTES,
    "gib_hour": _BYTES,
    "app_instance_hour": {"instance": Fraction(1)},
}
_AMOUNTS: Mapping[str, Mapping[str, Fraction]] = {"egress_gib": _BYTES, "ingress_gib": _BYTES}


def held(meter_code: str) -> dict[str, Fraction]:
    """{unit: base units of the meter that one of it makes in an hour}; empty for what is counted, not held."""
    divisor = METERS[meter_code].base_per_unit
    return {unit: share * divisor for unit, share in _HELD.get(meter_code, {}).items()}


def amounts(meter_code: str) -> dict[str, Fraction]:
    """{unit: base units of the meter in one of it}: "gpu_second", "gb_hour", "byte"; "" is the unit that is priced."""
    divisor = METERS[meter_code].base_per_unit
    found = {
        f"{thing}_{time}": share * hours * divisor
        for thing, share in _HELD.get(meter_code, {}).items()
        for time, hours in _HOURS.items()
    }
    found |= {unit: share * divisor for unit, share in _AMOUNTS.get(meter_code, {}).items()}
    return found | {"": Fraction(divisor), METERS[meter_code].unit: Fraction(divisor)}
