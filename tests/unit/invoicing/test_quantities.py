"""The quantity a line states is exact, whatever the unit."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.catalog.meters import METERS
from billing.invoicing import quantities


def _state(meter_code: str, quantity_base: int) -> quantities.Stated:
    meter = METERS[meter_code]
    return quantities.state(
        meter_code=meter_code, unit=meter.unit, base_per_unit=meter.base_per_unit, quantity_base=quantity_base
    )


def test_twenty_minutes_of_a_core_are_1200_core_seconds_priced_per_3600() -> None:
    stated = _state("cpu_hour", 1_200_000)
    assert (stated.quantity_text, stated.unit, stated.price_base_text) == ("1200", "core-second", "3600")
    assert (stated.beside_text, stated.priced_unit) == ("0.3333", "core-hour")


def test_finite_hours_are_stated_in_hours() -> None:
    stated = _state("cpu_hour", 5_400_000)
    assert (stated.quantity_text, stated.unit, stated.price_base_text, stated.beside_text) == (
        "1.5",
        "core-hour",
        "1",
        "",
    )


def test_a_third_of_a_gpu_for_an_hour_is_stated_in_a_unit_that_holds_it() -> None:
    stated = _state("gpu_hour", 7_000 * 3_600_000)
    assert (stated.quantity_text, stated.unit, stated.price_base_text) == ("1200", "GPU-second", "3600")
    share = _state("gpu_hour", 3_000 * 1_000)  # a seventh of a GPU for a second
    assert (share.quantity_text, share.unit, share.price_base_text) == (
        "3000000",
        "1/21000 GPU-millisecond",
        "75600000000",
    )


def test_counted_things_are_stated_as_they_are() -> None:
    stated = _state("query", 12)
    assert (stated.quantity_text, stated.unit, stated.price_base_text) == ("12", "query", "1")


@given(st.sampled_from(sorted(METERS)), st.integers(min_value=0, max_value=2**70))
def test_quantity_over_price_base_is_always_the_exact_quantity(meter_code: str, quantity_base: int) -> None:
    stated = _state(meter_code, quantity_base)
    priced = Fraction(stated.quantity_text) / Fraction(stated.price_base_text)
    assert priced == Fraction(quantity_base, METERS[meter_code].base_per_unit)


def test_a_number_that_needs_more_digits_is_not_silently_cut() -> None:
    with pytest.raises(ValueError, match="no exact decimal"):
        quantities.plain(Fraction(1, 3))
