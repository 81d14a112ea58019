"""The graduated curve."""

import pytest

from billing.kernel.errors import Invalid
from billing.rating.curves import graduated
from billing.rating.curves.terms import Scale, Terms

UNITS = Terms(currency="USD", base_per_unit=1)
TWO_TIERS = {"tiers": [{"up_to": "100", "unit_price": "0.015"}, {"unit_price": "0.010"}]}
THOUSAND = {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.50"}]}


def test_two_hundred_units_over_two_tiers_cost_two_dollars_fifty() -> None:
    assert graduated.read(TWO_TIERS, UNITS).cost(200) == 250


def test_the_upper_bound_belongs_to_its_tier() -> None:
    curve = graduated.read(THOUSAND, UNITS)
    assert [curve.cost(quantity) for quantity in (999, 1000, 1001)] == [99_900, 100_000, 100_050]


def test_withdrawing_a_hundred_of_fifteen_hundred_takes_fifty_dollars_off() -> None:
    curve = graduated.read(THOUSAND, UNITS)
    assert (curve.cost(1500), curve.cost(1400)) == (125_000, 120_000)


def test_half_a_period_has_half_the_bounds() -> None:
    halves = [
        graduated.read(
            THOUSAND, Terms(currency="USD", base_per_unit=1, scale=Scale(lengths_ms=(1_296_000, 1_296_000), index=i))
        )
        for i in (0, 1)
    ]
    assert [curve.cost(800) for curve in halves] == [65_000, 65_000]


def test_a_tier_scaled_down_to_nothing_leaves_the_next_one_in_force() -> None:
    terms = Terms(currency="USD", base_per_unit=1, scale=Scale(lengths_ms=(1, 9), index=0))
    curve = graduated.read({"tiers": [{"up_to": "1", "unit_price": "9"}, {"unit_price": "1"}]}, terms)
    assert curve.cost(5) == 500


def test_each_tier_reached_is_one_part_with_its_bounds() -> None:
    first, second = graduated.read(TWO_TIERS, UNITS).parts(250)
    assert (first.count, first.price_minor, first.from_base, first.up_to_base) == (100, 1.5, 0, 100)
    assert (second.count, second.price_minor, second.from_base, second.up_to_base) == (150, 1, 100, None)


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([], "not_a_list_of_tiers"),
        ("x", "not_a_list_of_tiers"),
        ([{"up_to": "10", "unit_price": "1"}], "only_the_last_tier_is_open"),
        ([{"unit_price": "1"}, {"unit_price": "1"}], "only_the_last_tier_is_open"),
        (
            [{"up_to": "10", "unit_price": "1"}, {"up_to": "10", "unit_price": "1"}, {"unit_price": "1"}],
            "bounds_must_rise",
        ),
        ([{"up_to": "0", "unit_price": "1"}, {"unit_price": "1"}], "bounds_must_rise"),
        ([{"up_to": "0.5", "unit_price": "1"}, {"unit_price": "1"}], "not_whole_base_units"),
        ([{"unit_price": "-1"}], "not_a_plain_decimal"),
    ],
)
def test_tiers_that_make_no_curve_are_refused(tiers: object, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        graduated.read({"tiers": tiers}, UNITS)
    assert refusal.value.fields["reason"] == reason


def test_a_quantity_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        graduated.read(TWO_TIERS, UNITS).cost(-1)
