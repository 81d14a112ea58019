"""Stripe's published objects in our words."""

import json
from pathlib import Path
from typing import Any

import pytest

from billing.kernel.money import Money
from billing.payments.errors import ProviderMismatch
from billing.payments.providers import dispute_facts, facts

CHECKOUT: dict[str, Any] = {
    "id": "cs_1",
    "object": "checkout.session",
    "amount_total": 5000,
    "currency": "usd",
    "client_reference_id": "pay_1",
    "livemode": False,
    "payment_status": "unpaid",
    "status": "open",
    "url": "https://checkout.example/cs_1",
    "payment_intent": None,
}


def test_zero_decimal_and_special_currencies_are_read_on_the_providers_scale() -> None:
    cases = {
        ("jpy", 500): ("JPY", 500),
        ("isk", 500): ("ISK", 5),
        ("mga", 5): ("MGA", 500),
        ("kwd", 5120): ("KWD", 5120),
    }
    for (currency, amount), (code, minor) in cases.items():
        found = facts.checkout_facts(CHECKOUT | {"currency": currency, "amount_total": amount})
        assert found.amount == Money(minor=minor, currency=code)


@pytest.mark.parametrize(
    ("changes", "state", "payment_state"),
    [
        ({}, "open", "unpaid"),
        ({"status": "expired"}, "expired", "unpaid"),
        ({"status": "complete"}, "complete", "processing"),
        ({"status": "complete", "payment_status": "paid"}, "complete", "paid"),
        (
            {
                "status": "complete",
                "payment_intent": {
                    "id": "pi_1",
                    "status": "requires_payment_method",
                    "amount": 5000,
                    "currency": "usd",
                    "last_payment_error": {"code": "x"},
                },
            },
            "complete",
            "failed",
        ),
        ({"payment_status": "no_payment_required", "status": "complete"}, "complete", "processing"),
        ({"status": "something_new", "payment_status": "something_new"}, "open", "unpaid"),
    ],
)
def test_checkout_states(changes: dict[str, Any], state: str, payment_state: str) -> None:
    found = facts.checkout_facts(CHECKOUT | changes)
    assert (found.state, found.payment_state) == (state, payment_state)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount_total": None},
        {"amount_total": "5000"},
        {"amount_total": True},
        {"amount_total": 50.0},
        {"currency": None},
    ],
)
def test_object_without_a_readable_amount_is_a_mismatch(changes: dict[str, Any]) -> None:
    with pytest.raises(ProviderMismatch):
        facts.checkout_facts(CHECKOUT | changes)


def test_published_refund_is_read(data_dir: Path) -> None:
    found = facts.refund_facts(json.loads((data_dir / "stripe" / "objects" / "refund.json").read_text()))
    assert (found.state, found.amount, found.reference, found.payment_id) == (
        "succeeded",
        Money(minor=100, currency="USD"),
        None,
        "",
    )


def test_published_payment_intent_is_read(data_dir: Path) -> None:
    found = facts.payment_facts(json.loads((data_dir / "stripe" / "objects" / "payment_intent.json").read_text()))
    assert (found.state, found.received.currency) == ("failed", "USD")


def test_fee_and_card_are_taken_from_the_expanded_charge() -> None:
    balance = {"id": "txn_1", "object": "balance_transaction", "fee": 320, "currency": "usd"}
    details = {"type": "card", "card": {"brand": "visa", "last4": "4242"}}
    charge = {"id": "ch_1", "created": 1_763_726_400, "balance_transaction": balance, "payment_method_details": details}
    intent = {"id": "pi_1", "status": "succeeded", "amount": 10_000, "amount_received": 10_000, "currency": "usd"}
    found = facts.payment_facts(intent | {"latest_charge": charge})
    assert (found.source_id, found.fee, found.method_label) == (
        "txn_1",
        Money(minor=320, currency="USD"),
        "visa ending 4242",
    )
    assert found.paid_at is not None
    assert found.paid_at.isoformat() == "2025-11-21T12:00:00+00:00"


@pytest.mark.parametrize("currency", ["isk", "xxy"])
def test_a_fee_that_cannot_be_read_does_not_hold_up_what_was_paid(currency: str) -> None:
    """Stripe has 500.00 ISK in steps of 100: a fee of 1.75 has no unit in ISO's table."""
    balance = {"id": "txn_1", "object": "balance_transaction", "fee": 175, "currency": currency}
    intent = {"id": "pi_1", "status": "succeeded", "amount": 50_000, "amount_received": 50_000, "currency": "isk"}
    found = facts.payment_facts(intent | {"latest_charge": {"id": "ch_1", "balance_transaction": balance}})
    assert (found.received, found.source_id, found.fee) == (Money(minor=500, currency="ISK"), "txn_1", None)


def test_a_dispute_is_read_whatever_its_fee_is() -> None:
    movement = {"id": "txn_1", "amount": -50_000, "fee": 175, "currency": "isk", "created": 1_763_726_400}
    item = {"id": "dp_1", "amount": 50_000, "currency": "isk", "status": "needs_response", "created": 1_763_726_400}
    [found] = dispute_facts.dispute_facts(item | {"balance_transactions": [movement]}).movements
    assert (found.amount, found.fee) == (Money(minor=-500, currency="ISK"), Money(minor=0, currency="ISK"))


def test_never_more_than_four_digits_of_a_card() -> None:
    details = {"type": "card", "card": {"brand": "visa", "last4": "4242424242424242"}}
    intent = {"id": "pi_1", "status": "succeeded", "amount": 1, "amount_received": 1, "currency": "usd"}
    found = facts.payment_facts(intent | {"latest_charge": {"payment_method_details": details}})
    assert found.method_label == "visa ending 4242"
