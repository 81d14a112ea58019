"""Exchange is exact and rounds once, in the digits of the currency it arrives in; every expected figure is worked out by hand."""

from datetime import date
from fractions import Fraction

import pytest

from billing.kernel.errors import Invalid
from billing.reference import exchange
from billing.reference.exchange import Leg, Rate

ON = date(2026, 10, 30)


def rate(from_currency: str, to_currency: str, **per_euro: str) -> Rate:
    legs = tuple(
        Leg(currency=code, rate_text=text, snapshot_id=f"fxs_{code}", source="ECB", published_on=ON)
        for code, text in per_euro.items()
    )
    return Rate(from_currency=from_currency, to_currency=to_currency, on=ON, legs=legs)


@pytest.mark.parametrize(
    ("from_currency", "to_currency", "per_euro", "minor", "expected"),
    [
        # 100.00 USD / 1.1172 = 89.509488... EUR
        ("USD", "EUR", {"USD": "1.1172"}, 10_000, 8_951),
        # 100.00 EUR x 175.68 = 17,568 JPY: no decimals
        ("EUR", "JPY", {"JPY": "175.68"}, 10_000, 17_568),
        # 1,000 JPY / 175.68 x 1.1172 = 6.359289... USD, never over a rounded euro (5.69 x 1.1172 = 6.36 by luck, 5.69 EUR is 6.3569)
        ("JPY", "USD", {"JPY": "175.68", "USD": "1.1172"}, 1_000, 636),
        # 12.34 EUR x 0.3415 = 4.21411 KWD: three decimals
        ("EUR", "KWD", {"KWD": "0.3415"}, 1_234, 4_214),
        # 4.214 KWD / 0.3415 = 12.339677... EUR
        ("KWD", "EUR", {"KWD": "0.3415"}, 4_214, 1_234),
        # 10.00 EUR x 0.0274 = 0.2740 CLF: four decimals
        ("EUR", "CLF", {"CLF": "0.0274"}, 1_000, 2_740),
        # halves go away from zero: 0.05 EUR x 1.5 = 0.075 -> 0.08, and -0.08
        ("EUR", "USD", {"USD": "1.5"}, 5, 8),
        ("EUR", "USD", {"USD": "1.5"}, -5, -8),
        ("USD", "USD", {}, 123, 123),
    ],
)
def test_an_amount_is_converted_as_by_hand(
    from_currency: str, to_currency: str, per_euro: dict[str, str], minor: int, expected: int
) -> None:
    assert rate(from_currency, to_currency, **per_euro).convert(minor) == expected


def test_an_exact_amount_is_rounded_once() -> None:
    # 0.004 USD is 0 cents; a thousand such parts of one charge are 4.00 USD = 3.58 EUR, not 0.
    assert rate("USD", "EUR", USD="1.1172").convert(Fraction(4, 10) * 1000) == 358


def test_rates_are_written_so_that_they_are_read_back_exactly() -> None:
    for value in (Fraction(11172, 10000), Fraction(2500, 2793), Fraction(1, 3), Fraction(5), Fraction(1, 10**12)):
        assert exchange.from_text(exchange.to_text(value)) == value
    assert exchange.to_text(Fraction(11172, 10000)) == "1.1172"
    assert exchange.to_text(Fraction(10000, 11172)) == "2500/2793"


def test_a_currency_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid):
        exchange.convert(1, "USD", "XYZ", Fraction(1))
