"""What a decline means for the next try."""

import pytest

from billing.payments.charges import declines


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        ("insufficient_funds", "soft"), ("generic_decline", "soft"), ("do_not_honor", "soft"), ("processing_error", "soft"),
        ("a_word_of_next_year", "soft"), (None, "soft"), ("lost_card", "method"), ("stolen_card", "method"),
        ("pickup_card", "method"), ("expired_card", "method"), ("revocation_of_all_authorizations", "method"),
        ("transaction_not_allowed", "method"), ("resource_missing", "method"), ("authentication_required", "person"),
        ("amount_too_small", "request"),
    ],
)  # fmt: skip
def test_word_of_the_bank_decides_what_follows(code: str | None, verdict: str) -> None:
    assert declines.verdict_of(code) == verdict


def test_advice_of_the_network_counts_before_any_list() -> None:
    assert declines.verdict_of("generic_decline", is_final=True) == "method"
    assert declines.verdict_of("authentication_required", is_final=True) == "person"


def test_what_stripe_says_must_not_be_told_is_told_as_any_decline() -> None:
    assert {declines.told_as(code) for code in ("lost_card", "stolen_card", "fraudulent", None)} == {"generic_decline"}
    assert declines.told_as("insufficient_funds") == "insufficient_funds"
