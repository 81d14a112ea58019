"""What units are called beside a quantity, on every page."""

from fractions import Fraction

_UNITS = {"query": "queries"}


def units(unit: str, count: Fraction | int = 2) -> str:
    """A unit's name beside a quantity: "core-hours", one "token"."""
    return unit if count == 1 else _UNITS.get(unit, f"{unit}s")
