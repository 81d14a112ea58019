"""Rounding and splitting, against numbers worked by hand."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.rounding import half_up, half_up_fraction, largest_remainder


@pytest.mark.parametrize(
    ("numerator", "denominator", "expected"),
    [
        (5, 2, 3),
        (-5, 2, -3),
        (7, 3, 2),
        (-7, 3, -2),
        (1, 2, 1),
        (-1, 2, -1),
        (0, 7, 0),
        (5, -2, -3),
        (49, 100, 0),
        (50, 100, 1),
    ],
)
def test_halves_go_away_from_zero(numerator: int, denominator: int, expected: int) -> None:
    assert half_up(numerator, denominator) == expected


def test_2_675_becomes_2_68_where_round_would_give_2_67() -> None:
    assert half_up_fraction(Fraction("2.675") * 100) == 268


@given(st.fractions())
def test_rounding_is_never_further_than_a_half(value: Fraction) -> None:
    assert abs(half_up_fraction(value) - value) <= Fraction(1, 2)


@given(st.fractions())
def test_rounding_is_odd(value: Fraction) -> None:
    assert half_up_fraction(-value) == -half_up_fraction(value)


def test_a_cent_left_over_goes_to_the_largest_remainder() -> None:
    assert largest_remainder(100, [1, 1, 1]) == [34, 33, 33]
    assert largest_remainder(100, [3, 3, 1]) == [43, 43, 14]
    assert largest_remainder(-100, [1, 1, 1]) == [-34, -33, -33]
    assert largest_remainder(10, [0, 0]) == [10, 0]


@given(st.integers(-(10**12), 10**12), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_parts_sum_to_the_whole(total: int, weights: list[int]) -> None:
    assert sum(largest_remainder(total, weights)) == total


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_weights_that_cannot_split_are_refused(weights: list[int]) -> None:
    with pytest.raises(ValueError, match="weights"):
        largest_remainder(10, weights)
