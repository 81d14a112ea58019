"""One tour through every route of the peer with Stripe's own SDK, so that each answer can be held against what Stripe publishes.

`tour` leaves its exchanges in `peer.exchanges`. A route that no call reaches is a failure of the test that reads them.
"""

import io
from typing import Any

import stripe

from tests.peers.stripe import cards
from tests.peers.stripe.server import StripeServer

RETURN_URL = "http://127.0.0.1:9/back"


def client_of(peer: StripeServer, **more: Any) -> stripe.StripeClient:
    """The real SDK, pointed at the peer."""
    return stripe.StripeClient(
        "sk_test_peer",
        base_addresses={"api": peer.url, "files": peer.url},
        http_client=stripe.RequestsClient(timeout=10),
        **more,
    )


def checkout_params(unit_amount: int = 5000, currency: str = "usd", **more: Any) -> Any:
    """A session for one line."""
    price = {"currency": currency, "unit_amount": unit_amount, "product_data": {"name": "Balance"}}
    return {
        "mode": "payment",
        "line_items": [{"quantity": 1, "price_data": price}],
        "success_url": RETURN_URL + "?session={CHECKOUT_SESSION_ID}",
        "cancel_url": RETURN_URL,
    } | more


def refused(act: Any, *arguments: Any) -> stripe.StripeError:
    """The error of a call that must fail."""
    try:
        act(*arguments)
    except stripe.StripeError as error:
        return error
    raise AssertionError("the call was not refused")


def tour(peer: StripeServer) -> None:
    """Every route, every state of every object, every kind of refusal."""
    v1 = client_of(peer).v1
    customer = v1.customers.create(
        {"name": "Ada", "email": "ada@example.com", "metadata": {"a": "1", "b": "2"}, "address": {"city": "Kiel"}}
    )
    _customers(v1, customer.id)
    _payment_methods(v1, customer.id)
    _payment_intents(peer, v1, customer.id)
    _setup_intents(v1, customer.id)
    _checkout(peer, v1, customer.id)
    _refunds(peer, v1)
    _disputes(peer, v1)
    _payouts(peer, v1)
    _webhook_endpoints(v1)
    _taxes(v1)
    v1.events.list({"limit": 100})
    v1.events.retrieve(v1.events.list({"limit": 1}).data[0].id)
    refused(v1.customers.retrieve, "cus_nobody")
    v1.customers.delete(customer.id)
    v1.customers.retrieve(customer.id)


def _taxes(v1: Any) -> None:
    address = {"line1": "Hafenstr. 2", "city": "Hamburg", "postal_code": "20457", "country": "DE"}
    asked = {
        "currency": "eur",
        "customer_details": {"address": address, "address_source": "billing"},
        "line_items": [
            {"amount": 1_000, "reference": "S", "tax_behavior": "exclusive"},
            {"amount": 299, "reference": "T", "tax_behavior": "inclusive"},
        ],
        "expand": ["line_items.data.tax_breakdown"],
    }
    v1.tax.calculations.create(asked)
    business = {
        "address": address,
        "address_source": "billing",
        "tax_ids": [{"type": "eu_vat", "value": "DE123456789"}],
    }
    v1.tax.calculations.create(asked | {"customer_details": business})
    refused(v1.tax.calculations.create, asked | {"line_items": []})


def _customers(v1: Any, customer_id: str) -> None:
    v1.customers.retrieve(customer_id)
    v1.customers.update(customer_id, {"description": "first", "metadata": {"b": ""}, "tax_exempt": "reverse"})
    v1.customers.list({"limit": 2, "email": "ada@example.com"})
    v1.billing_portal.sessions.create({"customer": customer_id, "return_url": RETURN_URL})
    refused(v1.customers.create, {"email": "nobody"})


def _payment_methods(v1: Any, customer_id: str) -> None:
    method = v1.payment_methods.create({"type": "card", "card": {"token": "tok_visa"}})
    v1.payment_methods.attach(method.id, {"customer": customer_id})
    v1.customers.update(customer_id, {"invoice_settings": {"default_payment_method": method.id}})
    v1.payment_methods.update(method.id, {"metadata": {"kept": "yes"}})
    v1.payment_methods.list({"customer": customer_id, "expand": ["data.customer"]})
    v1.customers.payment_methods.list(customer_id, {"type": "card"})
    v1.payment_methods.retrieve("pm_card_mastercard")
    v1.payment_methods.detach(method.id)
    v1.payment_methods.create({"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}})
    refused(v1.payment_methods.attach, "pm_card_chargeDeclined", {"customer": customer_id})


def _payment_intents(peer: StripeServer, v1: Any, customer_id: str) -> None:
    never: Any = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    base: Any = {"amount": 2000, "currency": "usd", "customer": customer_id, **never}
    for name in cards.BY_NAME:
        intent = v1.payment_intents.create({**base, "payment_method": name, "metadata": {"card": name}})
        if cards.BY_NAME[name].code is None:
            v1.payment_intents.confirm(intent.id)
        else:
            refused(v1.payment_intents.confirm, intent.id)
    paid = v1.payment_intents.create(
        {**base, "payment_method": "pm_card_visa", "confirm": True, "setup_future_usage": "off_session"}
    )
    v1.payment_intents.retrieve(
        paid.id, {"expand": ["latest_charge.balance_transaction", "customer", "payment_method"]}
    )
    off_session = {"confirm": True, "off_session": True, "payment_method": "pm_card_authenticationRequired"}
    refused(v1.payment_intents.create, {**base, **off_session})
    held = v1.payment_intents.create(
        {**base, "capture_method": "manual", "payment_method": "pm_card_visa", "confirm": True}
    )
    v1.payment_intents.capture(held.id, {"amount_to_capture": 1500})
    asked = v1.payment_intents.create(
        {"amount": 300, "currency": "eur", "payment_method": "pm_card_threeDSecure2Required"}
    )
    v1.payment_intents.confirm(asked.id, {"return_url": RETURN_URL})
    with peer.playing() as play:
        play.authenticate(asked.id, is_confirmed=False)
    v1.payment_intents.retrieve(asked.id)
    v1.payment_intents.update(asked.id, {"amount": 400, "description": "less"})
    v1.payment_intents.cancel(asked.id, {"cancellation_reason": "abandoned"})
    debit = v1.payment_methods.create({"type": "sepa_debit", "sepa_debit": {"iban": "DE89370400440532013000"}})
    v1.payment_intents.create(
        {
            "amount": 900,
            "currency": "eur",
            "allowed_payment_method_types": ["sepa_debit", "ideal"],
            "payment_method": debit.id,
            "confirm": True,
        }
    )
    v1.payment_intents.list({"customer": customer_id, "limit": 3, "expand": ["data.latest_charge"]})
    v1.charges.list({"customer": customer_id, "limit": 100, "expand": ["data.refunds"]})
    v1.charges.retrieve(paid.latest_charge, {"expand": ["payment_intent", "balance_transaction.source"]})
    v1.charges.update(paid.latest_charge, {"description": "told"})
    v1.balance_transactions.list({"type": "charge"})
    v1.balance_transactions.retrieve(v1.balance_transactions.list({"limit": 1}).data[0].id, {"expand": ["source"]})


def _setup_intents(v1: Any, customer_id: str) -> None:
    intent = v1.setup_intents.create({"customer": customer_id, "metadata": {"a": "b"}})
    v1.setup_intents.update(intent.id, {"description": "later"})
    refused(v1.setup_intents.confirm, intent.id, {"payment_method": "pm_card_chargeDeclined"})
    v1.setup_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})
    v1.setup_intents.retrieve(intent.id, {"expand": ["payment_method"]})
    asked = v1.setup_intents.create({"payment_method": "pm_card_authenticationRequired", "confirm": True})
    v1.setup_intents.cancel(asked.id)
    v1.setup_intents.list({"customer": customer_id})


def _checkout(peer: StripeServer, v1: Any, customer_id: str) -> None:
    sessions = v1.checkout.sessions
    paid, late, gone, saved = (
        sessions.create(
            checkout_params(
                customer=customer_id,
                client_reference_id="ours",
                metadata={"x": "y"},
                saved_payment_method_options={"allow_redisplay_filters": ["always"], "payment_method_save": "enabled"},
            )
        ),
        sessions.create(
            checkout_params(currency="eur", customer=customer_id, allowed_payment_method_types=["card", "sepa_debit"])
        ),
        sessions.create(checkout_params(unit_amount=123, currency="jpy")),
        sessions.create({"mode": "setup", "currency": "usd", "customer": customer_id, "success_url": RETURN_URL}),
    )
    sessions.list({"customer": customer_id, "status": "open"})
    with peer.playing() as play:
        play.decline(paid.id)
        play.pay(paid.id)
        play.pay_later(late.id)
        play.pay(saved.id)
    sessions.retrieve(late.id, {"expand": ["payment_intent.latest_charge"]})
    with peer.playing() as play:
        play.settle(late.id, is_paid=True)
    sessions.retrieve(late.id, {"expand": ["payment_intent.latest_charge.balance_transaction", "line_items"]})
    sessions.update(paid.id, {"metadata": {"x": ""}})
    sessions.line_items.list(paid.id)
    sessions.expire(gone.id)
    refused(sessions.expire, gone.id)
    sessions.retrieve(saved.id, {"expand": ["setup_intent.payment_method", "customer"]})


def _refunds(peer: StripeServer, v1: Any) -> None:
    charges = [item for item in v1.charges.list({"limit": 100}).data if item.paid and item.captured]
    by_card = {item.metadata.to_dict().get("card"): item for item in charges}
    intent_id = by_card["pm_card_visa"].payment_intent
    part = v1.refunds.create({"payment_intent": intent_id, "amount": 700, "reason": "requested_by_customer"})
    v1.refunds.update(part.id, {"metadata": {"why": "late"}})
    v1.refunds.retrieve(part.id, {"expand": ["charge", "balance_transaction", "payment_intent"]})
    refused(v1.refunds.cancel, part.id)
    refused(v1.refunds.create, {"payment_intent": intent_id, "amount": 1301})
    failing = v1.refunds.create({"charge": by_card["pm_card_refundFail"].id})
    v1.refunds.create({"charge": by_card["pm_card_pendingRefund"].id})
    peer.clock.advance(4 * 86_400)
    v1.refunds.retrieve(failing.id, {"expand": ["failure_balance_transaction"]})
    debit = next(item for item in charges if item.payment_method_details.type == "sepa_debit")
    v1.refunds.create({"charge": debit.id})
    v1.refunds.list({"payment_intent": intent_id})
    with peer.playing() as play:
        play.refunds_ask_customer = True
    v1.refunds.cancel(v1.refunds.create({"payment_intent": intent_id, "amount": 100}).id)
    v1.refunds.create({"payment_intent": intent_id, "amount": 100})
    with peer.playing() as play:
        play.refunds_ask_customer = False


def _disputes(peer: StripeServer, v1: Any) -> None:
    found = {
        item.reason + item.status: item for item in v1.disputes.list({"limit": 100, "expand": ["data.charge"]}).data
    }
    fraud, missing = found["fraudulentneeds_response"], found["product_not_receivedneeds_response"]
    file = v1.files.create({"purpose": "dispute_evidence", "file": _pdf()})
    v1.files.retrieve(file.id)
    v1.files.list({"purpose": "dispute_evidence"})
    draft = {"evidence": {"receipt": file.id, "customer_name": "Ada"}, "submit": False, "metadata": {"a": "1"}}
    v1.disputes.update(fraud.id, draft)
    v1.disputes.update(fraud.id, {"evidence": {"uncategorized_text": "winning_evidence"}})
    refused(v1.disputes.update, fraud.id, {"evidence": {"customer_name": "Ada"}})
    v1.disputes.close(missing.id)
    refused(v1.disputes.close, missing.id)
    v1.disputes.retrieve(fraud.id, {"expand": ["payment_intent", "charge"]})
    inquiry = found["fraudulentwarning_needs_response"]
    v1.disputes.update(inquiry.id, {"evidence": {"uncategorized_text": "We sent it."}})
    with peer.playing() as play:
        play.decide_dispute(inquiry.id, "warning_closed")
    [warning] = v1.radar.early_fraud_warnings.list({"limit": 1, "expand": ["data.payment_intent"]}).data
    v1.radar.early_fraud_warnings.retrieve(warning.id)


def _pdf() -> Any:
    file = io.BytesIO(b"%PDF-1.4 evidence")
    file.name = "evidence.pdf"
    return file


def _payouts(peer: StripeServer, v1: Any) -> None:
    v1.balance.retrieve()
    with peer.playing() as play:
        automatic = play.pay_out("eur")
        play.move("stripe_fee", -500)
        play.set_payout(automatic["id"], "in_transit")
        play.set_payout(automatic["id"], "paid")
        play.set_payout(automatic["id"], "failed")
    by_hand = v1.payouts.create({"amount": 900, "currency": "usd", "metadata": {"by": "hand"}})
    v1.payouts.cancel(by_hand.id)
    own = ["balance_transaction", "failure_balance_transaction", "destination"]
    v1.payouts.retrieve(automatic["id"], {"expand": own})
    v1.payouts.list({"status": "failed"})
    v1.balance_transactions.list({"payout": automatic["id"], "limit": 100, "expand": ["data.source"]})
    refused(v1.balance_transactions.list, {"payout": by_hand.id})
    refused(v1.payouts.create, {"amount": 90_000_000, "currency": "usd"})


def _webhook_endpoints(v1: Any) -> None:
    endpoints = v1.webhook_endpoints
    endpoint = endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["charge.*"]})
    endpoints.update(endpoint.id, {"disabled": True, "description": "rests"})
    endpoints.retrieve(endpoint.id)
    endpoints.list()
    endpoints.delete(endpoint.id)
