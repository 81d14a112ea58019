"""The volume curve."""

import pytest

from billing.rating.curves import volume
from billing.rating.curves.terms import Terms

UNITS = Terms(currency="USD", base_per_unit=1)
STEP_DOWN = {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.80"}]}


def test_the_tier_reached_prices_every_unit() -> None:
    curve = volume.read(STEP_DOWN, UNITS)
    assert [curve.cost(quantity) for quantity in (0, 900, 1000, 1100)] == [0, 90_000, 100_000, 88_000]


def test_two_hundred_late_units_lower_the_total_by_twenty_dollars() -> None:
    curve = volume.read(STEP_DOWN, UNITS)
    assert curve.cost(1100) - curve.cost(900) == -2000


def test_a_quantity_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        volume.read(STEP_DOWN, UNITS).cost(-1)
