"""How Stripe counts money, against the collected facts and by hand."""

import csv
from pathlib import Path

import pytest

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.reference import provider_currencies


@pytest.mark.parametrize(
    ("minor", "currency", "theirs"),
    [
        (1234, "USD", 1234),
        (1234, "EUR", 1234),
        (500, "JPY", 500),
        (5, "ISK", 500),
        (1200, "MGA", 12),
        (5120, "KWD", 5120),
        (7, "UGX", 7),
        (-300, "MGA", -3),
        (0, "KWD", 0),
    ],
)
def test_amounts_are_the_same_money_on_both_sides(minor: int, currency: str, theirs: int) -> None:
    ours = Money(minor=minor, currency=currency)
    assert provider_currencies.to_stripe(ours) == theirs
    assert provider_currencies.from_stripe(theirs, currency.lower()) == ours


@pytest.mark.parametrize(("minor", "currency", "step_minor"), [(5124, "KWD", 10), (1234, "MGA", 100), (1, "BHD", 10)])
def test_an_amount_that_stripe_cannot_take_exactly_is_refused(minor: int, currency: str, step_minor: int) -> None:
    with pytest.raises(Invalid) as refusal:
        provider_currencies.to_stripe(Money(minor=minor, currency=currency))
    assert refusal.value.fields["reason"] == "not_payable"
    assert refusal.value.fields["step_minor"] == step_minor


def test_a_fraction_of_a_krona_from_stripe_is_not_rounded_into_the_ledger() -> None:
    with pytest.raises(Invalid) as refusal:
        provider_currencies.from_stripe(550, "isk")
    assert refusal.value.fields["reason"] == "not_exact"


@pytest.mark.parametrize("currency", ["CLF", "UYW", "IQD", "LYD", "UYI"])
def test_a_currency_whose_scale_at_stripe_is_unknown_is_refused(currency: str) -> None:
    with pytest.raises(Invalid) as refusal:
        provider_currencies.stripe_scale(currency)
    assert refusal.value.fields["reason"] == "currency_not_payable"


def test_every_collected_fact_about_stripes_scales_is_in_the_code(data_dir: Path) -> None:
    with (data_dir / "currency" / "stripe_currency_exceptions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 24
    listed = {row["code"] for row in rows}
    for row in rows:
        scale = provider_currencies.stripe_scale(row["code"])
        assert scale.exponent == int(row["stripe_decimals"]), row
        step = {"last digit must be 0 (round to ten)": 10, "multiple of 100 only": 100}.get(row["constraint"], 1)
        assert scale.step == step, row  # HUF and TWD are bound in payouts only
    for currency in money.currencies() - listed:
        if money.exponent(currency) == 2:
            assert provider_currencies.payable_step_minor(currency) == 1
