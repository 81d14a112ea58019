"""Meters: the divisors that everything at rest depends on."""

from fractions import Fraction

import pytest

from billing.catalog.meters import GPU_SHARES, METERS, USAGE, get_meter
from billing.catalog.skus import SKUS
from billing.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("code", "base_per_unit"),
    [
        ("cpu_hour", 3_600_000),
        ("gpu_hour", 75_600_000_000),
        ("memory_gib_hour", 3_865_470_566_400_000),
        ("gib_hour", 3_865_470_566_400),
        ("token_input", 1),
        ("report", 1),
    ],
)
def test_one_priced_unit_is_that_many_base_units(code: str, base_per_unit: int) -> None:
    assert get_meter(code).base_per_unit == base_per_unit


@pytest.mark.parametrize(
    "share", [Fraction(1, 7), Fraction(1, 3), Fraction(3, 8), Fraction(1, 1000), Fraction(7, 1000)]
)
def test_a_share_of_a_gpu_is_whole_in_base_units(share: Fraction) -> None:
    assert (share * GPU_SHARES).denominator == 1


def test_four_gpus_for_half_an_hour_then_one_for_twenty_minutes() -> None:
    base = GPU_SHARES * (4 * 30 + 1 * 20) * 60_000
    assert get_meter("gpu_hour").to_units(base) == Fraction(7, 3)


def test_every_sku_sells_a_meter_that_exists_and_no_item_is_sold_twice() -> None:
    items = [sku.item for sku in SKUS.values()]
    assert len(set(items)) == len(items)
    assert {item.meter_code for item in items} <= set(METERS)


def test_every_meter_of_usage_is_sold_and_only_plans_sell_fees_and_closing_charges() -> None:
    sold = {sku.meter_code for sku in SKUS.values() if not sku.variant and sku.mode == "on_demand"}
    assert {code for code, meter in METERS.items() if meter.kind == USAGE} <= sold


def test_an_unknown_meter_is_refused() -> None:
    with pytest.raises(Invalid) as refusal:
        get_meter("cpu_hours")
    assert refusal.value.fields["reason"] == "unknown_meter"
