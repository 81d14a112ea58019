"""The flat curve."""

from fractions import Fraction

import pytest

from billing.rating.curves import flat
from billing.rating.curves.terms import Scale, Terms

TOKENS = Terms(currency="USD", base_per_unit=1)


def test_nothing_used_costs_nothing_and_anything_used_costs_the_amount_once() -> None:
    curve = flat.read({"amount": "25.00"}, TOKENS)
    assert [curve.cost(quantity) for quantity in (0, 1, 1_000_000)] == [0, 2500, 2500]


def test_two_parts_of_a_period_make_one_amount() -> None:
    first, last = (
        flat.read(
            {"amount": "25.00"}, Terms(currency="USD", base_per_unit=1, scale=Scale(lengths_ms=(1, 2), index=index))
        )
        for index in (0, 1)
    )
    assert first.cost(9) == Fraction(2500, 3)
    assert first.cost(9) + last.cost(9) == 2500


def test_a_quantity_below_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="below zero"):
        flat.read({"amount": "25.00"}, TOKENS).cost(-1)
