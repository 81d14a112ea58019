"""What may leave again: the worked numbers of the money core."""

import pytest

from billing.payments.limits import Funds, refundable_minor


@pytest.mark.parametrize(
    ("funds", "policy", "tax_rate_bp", "expected"),
    [
        (Funds(wallet=5000), "postpaid", 0, 5000),
        (Funds(wallet=5000, unbilled=-4000, receivable=-3000), "postpaid", 1900, 5000),
        (Funds(wallet=-100), "postpaid", 0, 0),
        # top-up 100, 84.03 net (100.00 gross) issued and applied, gift 100
        (Funds(wallet=0, promo=10_000), "prepaid", 1900, 0),
        # the same before the issue: the gift covers the usage, all of the top-up may leave
        (Funds(wallet=10_000, promo=10_000, unbilled=-8403), "prepaid", 1900, 10_000),
        # top-up 100, usage 130, VAT 19 %: nothing may leave
        (Funds(wallet=10_000, unbilled=-13_000), "prepaid", 1900, 0),
        # top-up 100, usage 50, VAT 19 %: 59.50 will be needed
        (Funds(wallet=10_000, unbilled=-5000), "prepaid", 1900, 4050),
        # 33.33 x 1.19 = 39.6627: the next invoice may need 39.67
        (Funds(wallet=10_000, unbilled=-3333), "prepaid", 1900, 6033),
        # an open invoice of 20.00 comes first
        (Funds(wallet=10_000, receivable=-2000), "prepaid", 1900, 8000),
        # a commitment is not cash either
        (Funds(wallet=1000, deferred=100_000), "prepaid", 1900, 1000),
    ],
)
def test_refundable_funds(funds: Funds, policy: str, tax_rate_bp: int, expected: int) -> None:
    assert refundable_minor(funds, policy=policy, tax_rate_bp=tax_rate_bp) == expected
