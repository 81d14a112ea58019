"""The per-unit curve."""

from fractions import Fraction

import pytest

from billing.kernel.errors import Invalid
from billing.rating.curves import per_unit
from billing.rating.curves.terms import Terms

CPU_HOURS = Terms(currency="USD", base_per_unit=3_600_000)


def test_half_a_core_hour_at_fifty_cents_is_twenty_five_cents() -> None:
    curve = per_unit.read({"unit_price": "0.50"}, CPU_HOURS)
    assert curve.cost(1_800_000) == 25


def test_one_core_second_costs_an_exact_fraction_of_a_cent() -> None:
    curve = per_unit.read({"unit_price": "0.50"}, CPU_HOURS)
    assert curve.cost(1000) == Fraction(50, 3600)


def test_833333_tokens_at_six_billionths_of_a_dollar_cost_a_little_less_than_half_a_cent() -> None:
    curve = per_unit.read({"unit_price": "0.000000006"}, Terms(currency="USD", base_per_unit=1))
    assert curve.cost(833_333) == Fraction("0.4999998")


def test_yen_have_no_minor_unit_so_a_price_of_three_is_three() -> None:
    curve = per_unit.read({"unit_price": "3"}, Terms(currency="JPY", base_per_unit=1))
    assert curve.cost(2) == 6


def test_dinars_have_thousandths() -> None:
    curve = per_unit.read({"unit_price": "0.001"}, Terms(currency="KWD", base_per_unit=1))
    assert curve.cost(7) == 7


def test_a_correction_below_zero_is_priced_like_usage() -> None:
    curve = per_unit.read({"unit_price": "0.50"}, CPU_HOURS)
    assert curve.cost(-3_600_000) == -50


@pytest.mark.parametrize("price", ["-1", "1e3", "1_000", "٣", "", " 1", "0.0000000000001", None, 1, 0.5])
def test_prices_that_are_not_plain_decimals_are_refused(price: object) -> None:
    with pytest.raises(Invalid) as refusal:
        per_unit.read({"unit_price": price}, CPU_HOURS)
    assert refusal.value.fields["reason"] == "not_a_plain_decimal"
