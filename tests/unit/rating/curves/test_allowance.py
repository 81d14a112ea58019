"""The allowance curve."""

import pytest

from billing.rating.curves import allowance
from billing.rating.curves.terms import Scale, Terms

HUNDRED_FREE = {"free": "100", "unit_price": "0.10"}


def test_a_hundred_units_are_free_and_two_hundred_more_are_charged() -> None:
    curve = allowance.read(HUNDRED_FREE, Terms(currency="USD", base_per_unit=1))
    assert [curve.cost(quantity) for quantity in (0, 100, 101, 300)] == [0, 0, 10, 2000]


def test_free_units_are_shown_as_a_part_of_their_own() -> None:
    free, paid = allowance.read(HUNDRED_FREE, Terms(currency="USD", base_per_unit=1)).parts(130)
    assert (free.operation, free.count, free.amount_minor) == ("free", 100, 0)
    assert (paid.operation, paid.count, paid.amount_minor) == ("tier", 30, 300)


def test_three_parts_of_a_period_share_the_allowance_and_the_last_takes_the_rest() -> None:
    scales = [Scale(lengths_ms=(1, 1, 1), index=index) for index in range(3)]
    curves = [allowance.read(HUNDRED_FREE, Terms(currency="USD", base_per_unit=1, scale=scale)) for scale in scales]
    assert [curve.free_base for curve in curves] == [33, 33, 34]


def test_a_quantity_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        allowance.read(HUNDRED_FREE, Terms(currency="USD", base_per_unit=1)).cost(-1)


def test_an_allowance_smaller_than_its_segments_is_given_out_once() -> None:
    scales = [Scale(lengths_ms=(1, 1, 1, 1), index=index) for index in range(4)]
    assert [scale.bound(2) for scale in scales] == [1, 1, 0, 0]
