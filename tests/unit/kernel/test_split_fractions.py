"""Exact parts become whole numbers that sum to their rounded sum."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.kernel.rounding import half_up_fraction, split_fractions

PARTS = st.lists(st.fractions(min_value=-1000, max_value=1000, max_denominator=60), min_size=1, max_size=12)


@pytest.mark.parametrize(
    ("parts", "split"),
    [
        ([Fraction(1, 3)] * 3, [1, 0, 0]),
        ([Fraction(5, 2)], [3]),
        ([Fraction(-5, 2)], [-3]),
        ([Fraction(-5, 2), Fraction(7, 2)], [-2, 3]),
        ([Fraction(1, 4), Fraction(1, 4)], [1, 0]),
        ([Fraction(2), Fraction(29, 3)], [2, 10]),
        ([Fraction(0), Fraction(0)], [0, 0]),
    ],
)
def test_the_rest_goes_to_the_largest_remainders(parts: list[Fraction], split: list[int]) -> None:
    assert split_fractions(half_up_fraction(sum(parts, Fraction(0))), parts) == split


@given(PARTS)
def test_parts_sum_to_the_whole_and_none_moves_by_one_or_more(parts: list[Fraction]) -> None:
    total = half_up_fraction(sum(parts, Fraction(0)))
    split = split_fractions(total, parts)
    assert sum(split) == total
    assert all(abs(whole - part) < 1 or whole - part == 1 for whole, part in zip(split, parts, strict=True))


def test_a_total_that_is_not_the_parts_sum_is_refused() -> None:
    with pytest.raises(ValueError, match="not the parts' sum"):
        split_fractions(5, [Fraction(1)])
    with pytest.raises(ValueError, match="not the parts' sum"):
        split_fractions(0, [Fraction(1)])
