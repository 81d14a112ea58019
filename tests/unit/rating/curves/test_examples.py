"""Worked examples of every price model, by hand: nothing, bounds, one base unit past them, parts of a period, other currencies.

Each row: what it shows, parameters, currency, base units per priced unit, share (lengths, index) or None, quantity in base units,
cost in minor units as an exact fraction.
"""

from fractions import Fraction
from typing import Any

import pytest

from billing.rating import curves
from billing.rating.curves.terms import Scale, Terms

Row = tuple[str, dict[str, Any], str, int, tuple[tuple[int, ...], int] | None, int, str]

HOUR = 3_600_000  # core-milliseconds of one core-hour
MICRO = 1_000_000  # millionths of a minor unit

PER_UNIT: list[Row] = [
    ("nothing", {"unit_price": "0.50"}, "USD", HOUR, None, 0, "0"),
    ("one hour at 0.50", {"unit_price": "0.50"}, "USD", HOUR, None, HOUR, "50"),
    ("a third of an hour at 0.10", {"unit_price": "0.10"}, "USD", HOUR, None, HOUR // 3, "10/3"),
    ("one millisecond at 0.50", {"unit_price": "0.50"}, "USD", HOUR, None, 1, "1/72000"),
    ("833,333 tokens at 6 billionths", {"unit_price": "0.000000006"}, "USD", 1, None, 833_333, "4999998/10000000"),
    ("10 million tokens at 6 billionths", {"unit_price": "0.000000006"}, "USD", 1, None, 10**7, "6"),
    ("the smallest price there is", {"unit_price": "0.000000000001"}, "USD", 1, None, 1, "1/10000000000"),
    ("a price of nothing", {"unit_price": "0"}, "USD", 1, None, 10**12, "0"),
    ("yen have no minor unit", {"unit_price": "3"}, "JPY", 1, None, 7, "21"),
    ("half a yen a unit", {"unit_price": "0.5"}, "JPY", 1, None, 7, "7/2"),
    ("dinars have thousandths", {"unit_price": "0.0015"}, "KWD", 1, None, 7, "21/2"),
    ("a correction of two hours", {"unit_price": "0.50"}, "USD", HOUR, None, -2 * HOUR, "-100"),
    ("a part of a period changes nothing", {"unit_price": "2"}, "USD", 1, ((1, 2), 0), 5, "1000"),
]
FLAT: list[Row] = [
    ("nothing used, nothing owed", {"amount": "25.00"}, "USD", 1, None, 0, "0"),
    ("one base unit owes it all", {"amount": "25.00"}, "USD", 1, None, 1, "2500"),
    ("more changes nothing", {"amount": "25.00"}, "USD", 1, None, 10**12, "2500"),
    ("half a period, half the amount", {"amount": "25.00"}, "USD", 1, ((15, 15), 0), 1, "1250"),
    ("the other half is the rest", {"amount": "25.00"}, "USD", 1, ((15, 15), 1), 1, "1250"),
    ("10 of 30 days is a third, exact", {"amount": "25.00"}, "USD", 1, ((10, 20), 0), 9, "2500/3"),
    ("20 of 30 days are two thirds", {"amount": "25.00"}, "USD", 1, ((10, 20), 1), 9, "5000/3"),
    ("a part without usage owes nothing", {"amount": "25.00"}, "USD", 1, ((10, 20), 0), 0, "0"),
    ("yen", {"amount": "980"}, "JPY", 1, None, 3, "980"),
    ("half a yen stays exact", {"amount": "980"}, "JPY", 1, ((1, 7), 0), 3, "245/2"),
    ("dinars", {"amount": "9.755"}, "KWD", 1, None, 3, "9755"),
    ("an amount below the smallest coin", {"amount": "0.001"}, "USD", 1, None, 3, "1/10"),
    ("an amount of nothing", {"amount": "0"}, "USD", 1, None, 3, "0"),
]
_THOUSANDS = {"package_size": "1000", "package_price": "2.00"}
PACKAGE: list[Row] = [
    ("nothing", _THOUSANDS, "USD", 1, None, 0, "0"),
    ("one unit starts a package", _THOUSANDS, "USD", 1, None, 1, "200"),
    ("one below the border", _THOUSANDS, "USD", 1, None, 999, "200"),
    ("the border belongs to its package", _THOUSANDS, "USD", 1, None, 1_000, "200"),
    ("one past the border", _THOUSANDS, "USD", 1, None, 1_001, "400"),
    ("five whole ones", _THOUSANDS, "USD", 1, None, 5_000, "1000"),
    ("a million and one", _THOUSANDS, "USD", 1, None, 1_000_001, "200200"),
    ("half an hour as a package", {"package_size": "0.5", "package_price": "1"}, "USD", HOUR, None, HOUR // 2, "100"),
    ("one millisecond more", {"package_size": "0.5", "package_price": "1"}, "USD", HOUR, None, HOUR // 2 + 1, "200"),
    ("packages are whole in any part of a period", _THOUSANDS, "USD", 1, ((1, 1), 0), 1_001, "400"),
    ("yen", {"package_size": "10", "package_price": "150"}, "JPY", 1, None, 11, "300"),
    ("dinars", {"package_size": "10", "package_price": "0.125"}, "KWD", 1, None, 11, "250"),
    ("a price below a cent", {"package_size": "1", "package_price": "0.0001"}, "USD", 1, None, 250, "5/2"),
]
_BENT = {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.50"}]}
_THREE = {
    "tiers": [
        {"up_to": "10", "unit_price": "0"},
        {"up_to": "100", "unit_price": "0.03"},
        {"unit_price": "0.01"},
    ]
}
GRADUATED: list[Row] = [
    ("nothing", _BENT, "USD", 1, None, 0, "0"),
    ("inside the first tier", _BENT, "USD", 1, None, 999, "99900"),
    ("the bound belongs to its tier", _BENT, "USD", 1, None, 1_000, "100000"),
    ("one unit past the bound", _BENT, "USD", 1, None, 1_001, "100050"),
    ("1,500 are 1,250.00", _BENT, "USD", 1, None, 1_500, "125000"),
    ("100 withdrawn from 1,500", _BENT, "USD", 1, None, 1_400, "120000"),
    ("half a period: bound 500, 800 are 650.00", _BENT, "USD", 1, ((15, 15), 0), 800, "65000"),
    ("the bound of half a period", _BENT, "USD", 1, ((15, 15), 1), 500, "50000"),
    ("one past the bound of half a period", _BENT, "USD", 1, ((15, 15), 1), 501, "50050"),
    ("a third of 1,000 is 333, half up", _BENT, "USD", 1, ((1, 1, 1), 0), 334, "33350"),
    ("the last third has the rest, 334", _BENT, "USD", 1, ((1, 1, 1), 2), 334, "33400"),
    ("three tiers, 10 free, 90 at 3 cents, 50 at 1", _THREE, "USD", 1, None, 150, "320"),
    ("by the hour: 10 free hours and a millisecond", _THREE, "USD", HOUR, None, 10 * HOUR + 1, "1/1200000"),
    ("yen", {"tiers": [{"up_to": "2", "unit_price": "5"}, {"unit_price": "0.5"}]}, "JPY", 1, None, 5, "23/2"),
    ("dinars", {"tiers": [{"up_to": "2", "unit_price": "0.005"}, {"unit_price": "0.0005"}]}, "KWD", 1, None, 5, "23/2"),
]
_STEP = {"tiers": [{"up_to": "1000", "unit_price": "1.00"}, {"unit_price": "0.80"}]}
VOLUME: list[Row] = [
    ("nothing", _STEP, "USD", 1, None, 0, "0"),
    ("one unit", _STEP, "USD", 1, None, 1, "100"),
    ("900 at 1.00", _STEP, "USD", 1, None, 900, "90000"),
    ("the bound belongs to its tier", _STEP, "USD", 1, None, 1_000, "100000"),
    ("one past the bound: all at 0.80", _STEP, "USD", 1, None, 1_001, "80080"),
    ("1,100 at 0.80: 20.00 less than 900", _STEP, "USD", 1, None, 1_100, "88000"),
    ("the bound of half a period", _STEP, "USD", 1, ((15, 15), 0), 500, "50000"),
    ("one past it", _STEP, "USD", 1, ((15, 15), 0), 501, "40080"),
    ("a third of 1,000 is 333, half up", _STEP, "USD", 1, ((1, 1, 1), 1), 334, "26720"),
    ("the last third has 334", _STEP, "USD", 1, ((1, 1, 1), 2), 334, "33400"),
    ("three tiers, the middle one", _THREE, "USD", 1, None, 100, "300"),
    ("three tiers, the last one", _THREE, "USD", 1, None, 101, "101"),
    ("yen", {"tiers": [{"up_to": "2", "unit_price": "5"}, {"unit_price": "0.5"}]}, "JPY", 1, None, 5, "5/2"),
    ("dinars", {"tiers": [{"up_to": "2", "unit_price": "0.005"}, {"unit_price": "0.0005"}]}, "KWD", 1, None, 2, "10"),
]
_FREE = {"free": "100", "unit_price": "0.10"}
ALLOWANCE: list[Row] = [
    ("nothing", _FREE, "USD", 1, None, 0, "0"),
    ("inside the allowance", _FREE, "USD", 1, None, 99, "0"),
    ("the bound is free", _FREE, "USD", 1, None, 100, "0"),
    ("one unit past it", _FREE, "USD", 1, None, 101, "10"),
    ("300 with 100 free", _FREE, "USD", 1, None, 300, "2000"),
    ("half a period has 50 free", _FREE, "USD", 1, ((15, 15), 0), 51, "10"),
    ("thirds have 33, 33", _FREE, "USD", 1, ((1, 1, 1), 1), 34, "10"),
    ("and 34", _FREE, "USD", 1, ((1, 1, 1), 2), 34, "0"),
    (
        "a second of 100 free hours, and one more",
        {"free": "100", "unit_price": "0.36"},
        "USD",
        HOUR,
        None,
        100 * HOUR + 1000,
        "1/100",
    ),
    ("an allowance of nothing", {"free": "0", "unit_price": "0.10"}, "USD", 1, None, 1, "10"),
    ("half a unit free", {"free": "0.5", "unit_price": "1"}, "USD", 2, None, 2, "50"),
    ("yen", {"free": "1", "unit_price": "7"}, "JPY", 1, None, 4, "21"),
    ("dinars", {"free": "1", "unit_price": "0.007"}, "KWD", 1, None, 4, "21"),
]
PERCENTAGE: list[Row] = [
    ("nothing", {"percent": "2.5"}, "USD", MICRO, None, 0, "0"),
    ("2.5 percent of 100.00", {"percent": "2.5"}, "USD", MICRO, None, 10_000 * MICRO, "250"),
    ("of one cent", {"percent": "2.5"}, "USD", MICRO, None, MICRO, "1/40"),
    ("of a millionth of a cent", {"percent": "2.5"}, "USD", MICRO, None, 1, "1/40000000"),
    ("a hundred percent is the amount", {"percent": "100"}, "USD", MICRO, None, 1_234_567, "1234567/1000000"),
    ("more than the amount", {"percent": "250"}, "USD", MICRO, None, 4 * MICRO, "10"),
    ("no percent at all", {"percent": "0"}, "USD", MICRO, None, 10**15, "0"),
    ("a millionth of a percent", {"percent": "0.000001"}, "USD", MICRO, None, 10**8 * MICRO, "1"),
    ("an amount given back", {"percent": "2.5"}, "USD", MICRO, None, -10_000 * MICRO, "-250"),
    ("a part of a period has the same share", {"percent": "10"}, "USD", MICRO, ((1, 1), 0), 50 * MICRO, "5"),
    ("yen", {"percent": "8"}, "JPY", MICRO, None, 980 * MICRO, "392/5"),
    ("dinars", {"percent": "5"}, "KWD", MICRO, None, 9_755 * MICRO, "1951/4"),
    (
        "a third of a percent as far as twelve places go",
        {"percent": "0.333333333333"},
        "USD",
        MICRO,
        None,
        300 * MICRO,
        "999999999999/1000000000000",
    ),
]
EXAMPLES = {
    "per_unit": PER_UNIT,
    "flat": FLAT,
    "package": PACKAGE,
    "graduated": GRADUATED,
    "volume": VOLUME,
    "allowance": ALLOWANCE,
    "percentage": PERCENTAGE,
}


def test_every_model_has_twelve_examples_and_more() -> None:
    assert EXAMPLES.keys() == curves.MODELS.keys()
    assert min(map(len, EXAMPLES.values())) >= 12


@pytest.mark.parametrize(
    ("model", "row"),
    [pytest.param(model, row, id=f"{model}: {row[0]}") for model, rows in EXAMPLES.items() for row in rows],
)
def test_a_quantity_costs_what_was_worked_out_by_hand(model: str, row: Row) -> None:
    _, parameters, currency, base_per_unit, share, quantity_base, cost_minor = row
    scale = None if share is None else Scale(lengths_ms=share[0], index=share[1])
    terms = Terms(currency=currency, base_per_unit=base_per_unit, scale=scale)
    curve = curves.of(model)(parameters, terms)
    assert curve.cost(quantity_base) == Fraction(cost_minor)
    assert sum((part.amount_minor for part in curve.parts(quantity_base)), Fraction(0)) == Fraction(cost_minor)
