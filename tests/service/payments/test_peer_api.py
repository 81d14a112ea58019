"""The peer over HTTP, by the real SDK and raw: keys, headers, errors, states, pages."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.peers.drive import RETURN_URL, checkout_params, client_of, refused
from tests.peers.stripe.server import StripeServer

AUTHORIZED = {"Authorization": "Bearer sk_test_raw"}
NEVER: Any = {"enabled": True, "allow_redirects": "never"}


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        server.clock.set(1_800_000_000)
        yield server


@pytest.fixture
def v1(peer: StripeServer) -> Any:
    return client_of(peer).v1


def pay(v1: Any, amount: int = 2000, **more: Any) -> Any:
    """A payment that the card's bank grants."""
    params = {"amount": amount, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    return v1.payment_intents.create(params | {"automatic_payment_methods": NEVER} | more)


def declined(v1: Any, method: str) -> Any:
    """The bank's no to that card."""
    with pytest.raises(stripe.CardError) as refusal:
        pay(v1, payment_method=method)
    return refusal.value


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer sk_live_real"},
        {"Authorization": "Bearer pk_test_public"},
        {"Authorization": "Basic bm90LWEta2V5Og=="},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Digest sk_test_x"},
    ],
)
def test_call_without_a_secret_key_of_test_mode_is_refused(peer: StripeServer, headers: dict[str, str]) -> None:
    answer = requests.get(peer.url + "/v1/customers", headers=headers, timeout=5)
    assert answer.status_code == 401
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert "sk_live_real" not in answer.text


def test_key_may_come_as_bearer_or_as_the_user_of_basic(peer: StripeServer) -> None:
    address = peer.url + "/v1/customers"
    assert requests.get(address, headers=AUTHORIZED, timeout=5).status_code == 200
    assert requests.get(address, auth=("sk_test_raw", ""), timeout=5).status_code == 200


def test_answers_carry_request_id_and_version(peer: StripeServer) -> None:
    address, older = peer.url + "/v1/customers", {"Stripe-Version": "2024-06-20"}
    first = requests.get(address, headers=AUTHORIZED, timeout=5)
    second = requests.get(address, headers=AUTHORIZED | older, timeout=5)
    assert first.headers["Request-Id"].startswith("req_")
    assert first.headers["Request-Id"] != second.headers["Request-Id"]
    assert (first.headers["Stripe-Version"], second.headers["Stripe-Version"]) == ("2026-10-28.endive", "2024-06-20")
    wrong = requests.get(address, headers=AUTHORIZED | {"Stripe-Version": "newest"}, timeout=5)
    assert wrong.status_code == 400


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/nothing"), ("PUT", "/v1/customers"), ("POST", "/v1/events")])
def test_address_that_stripe_does_not_have_is_refused(peer: StripeServer, method: str, path: str) -> None:
    answer = requests.request(method, peer.url + path, headers=AUTHORIZED, timeout=5)
    assert answer.status_code in (404, 501)


def test_unknown_id_is_404_in_the_address_and_400_in_a_parameter(v1: Any) -> None:
    for error, status in [
        (refused(v1.customers.retrieve, "cus_nobody"), 404),
        (refused(v1.payment_intents.create, {"amount": 500, "currency": "usd", "customer": "cus_nobody"}), 400),
    ]:
        assert isinstance(error, stripe.InvalidRequestError)
        assert (error.http_status, error.code) == (status, "resource_missing")


def test_deleted_customer_says_only_that_and_takes_no_payment(v1: Any) -> None:
    customer = v1.customers.create({"name": "Gone"})
    assert v1.customers.delete(customer.id).deleted is True
    assert v1.customers.retrieve(customer.id).to_dict() == {"id": customer.id, "object": "customer", "deleted": True}
    error = refused(v1.payment_intents.create, {"amount": 500, "currency": "usd", "customer": customer.id})
    assert error.code == "resource_missing"
    assert v1.customers.list().data == []


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
    ],
)
def test_declined_card_is_402_with_the_intent_and_the_failed_charge(
    v1: Any, method: str, code: str, decline_code: str
) -> None:
    error = declined(v1, method)
    assert (error.http_status, error.code) == (402, code)
    body = error.error.to_dict()
    assert (body["type"], body["decline_code"]) == ("card_error", decline_code)
    assert body["payment_intent"]["status"] == "requires_payment_method"
    assert body["payment_intent"]["last_payment_error"]["code"] == code
    charge = v1.charges.retrieve(body["charge"])
    assert (charge.status, charge.paid, charge.balance_transaction) == ("failed", False, None)


def test_off_session_payment_that_needs_the_customer_is_refused(v1: Any) -> None:
    customer = v1.customers.create().id
    method = v1.payment_methods.attach("pm_card_authenticationRequired", {"customer": customer}).id
    error = refused(
        v1.payment_intents.create,
        {
            "amount": 900,
            "currency": "usd",
            "customer": customer,
            "payment_method": method,
            "off_session": True,
            "confirm": True,
        },
    )
    assert (error.http_status, error.code) == (402, "authentication_required")


def test_set_up_card_is_kept_with_its_customer_and_pays_without_them(peer: StripeServer, v1: Any) -> None:
    customer = v1.customers.create().id
    intent = v1.setup_intents.create({"customer": customer})
    v1.setup_intents.confirm(
        intent.id, {"payment_method": "pm_card_authenticationRequiredOnSetup", "return_url": RETURN_URL}
    )
    with peer.playing() as play:
        play.authenticate(intent.id, is_confirmed=True)
    kept = v1.payment_methods.list({"customer": customer}).data
    assert [method.id for method in kept] == [v1.setup_intents.retrieve(intent.id).payment_method]
    paid = pay(v1, customer=customer, payment_method=kept[0].id, off_session=True)
    assert paid.status == "succeeded"


def test_method_of_another_customer_is_refused_and_leaves_no_intent(v1: Any) -> None:
    one, two = v1.customers.create().id, v1.customers.create().id
    method = v1.payment_methods.attach("pm_card_visa", {"customer": one}).id
    error = refused(
        v1.payment_intents.create, {"amount": 900, "currency": "usd", "customer": two, "payment_method": method}
    )
    assert error.http_status == 400
    assert v1.payment_intents.list().data == []


def test_confirming_without_a_way_back_is_refused_where_a_redirect_could_come(v1: Any) -> None:
    params = {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    error = refused(v1.payment_intents.create, params)
    assert error.param == "return_url"
    assert v1.payment_intents.create(params | {"return_url": RETURN_URL}).status == "succeeded"


def test_types_of_methods_are_allowed_not_set_in_this_version(v1: Any) -> None:
    base = {"amount": 900, "currency": "usd"}
    error = refused(v1.payment_intents.create, base | {"payment_method_types": ["card"]})
    assert error.code == "payment_method_types_no_longer_supported"
    intent = v1.payment_intents.create(base | {"allowed_payment_method_types": ["card", "sepa_debit"]})
    assert intent.payment_method_types == ["card"]  # debits want euros
    assert (
        refused(v1.payment_intents.create, base | {"allowed_payment_method_types": ["sepa_debit"]}).http_status == 400
    )


@pytest.mark.parametrize("end", ["cancel", "capture"])
def test_held_amount_is_captured_in_part_or_let_go_and_neither_is_a_refund(v1: Any, end: str) -> None:
    held = pay(v1, 2000, capture_method="manual")
    assert (held.status, held.amount_capturable, held.amount_received) == ("requires_capture", 2000, 0)
    if end == "cancel":
        ended, taken = v1.payment_intents.cancel(held.id), 0
    else:
        ended, taken = v1.payment_intents.capture(held.id, {"amount_to_capture": 1500}), 1500
    charge = v1.charges.retrieve(held.latest_charge)
    assert (ended.amount_received, ended.amount_capturable) == (taken, 0)
    assert (charge.amount_captured, charge.amount_refunded, charge.refunded) == (taken, 0, False)
    assert v1.refunds.list({"payment_intent": held.id}).data == []


@pytest.mark.parametrize("verb", ["confirm", "capture", "cancel"])
def test_act_that_the_state_does_not_allow_is_refused(v1: Any, verb: str) -> None:
    paid = pay(v1)
    error = refused(getattr(v1.payment_intents, verb), paid.id)
    assert error.code == "payment_intent_unexpected_state"


def test_refunds_never_give_back_more_than_was_captured(v1: Any) -> None:
    paid = pay(v1, 2000, capture_method="manual")
    v1.payment_intents.capture(paid.id, {"amount_to_capture": 1500})
    v1.refunds.create({"payment_intent": paid.id, "amount": 1000})
    assert refused(v1.refunds.create, {"payment_intent": paid.id, "amount": 501}).http_status == 400
    v1.refunds.create({"payment_intent": paid.id})
    assert refused(v1.refunds.create, {"payment_intent": paid.id}).code == "charge_already_refunded"
    charge = v1.charges.retrieve(paid.latest_charge)
    assert (charge.amount_refunded, charge.refunded) == (1500, True)


def test_unpaid_intent_cannot_be_refunded(v1: Any) -> None:
    intent = v1.payment_intents.create({"amount": 900, "currency": "usd"})
    assert refused(v1.refunds.create, {"payment_intent": intent.id}).http_status == 400


def test_refund_that_fails_days_later_gives_the_amount_back(peer: StripeServer, v1: Any) -> None:
    paid = pay(v1, payment_method="pm_card_refundFail")
    refund = v1.refunds.create({"payment_intent": paid.id})
    assert refund.status == "succeeded"
    peer.clock.advance(4 * 86_400)
    failed = v1.refunds.retrieve(refund.id)
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert v1.charges.retrieve(paid.latest_charge).amount_refunded == 0
    amounts = [item.net for item in v1.balance_transactions.list().data]
    assert amounts == [2000, -2000, 2000 - 88]  # newest first; the fee of 2.9 % and 30 stays


def test_money_is_available_two_days_later(peer: StripeServer, v1: Any) -> None:
    pay(v1)
    [movement] = v1.balance_transactions.list().data
    assert (movement.fee, movement.net, movement.status) == (88, 1912, "pending")
    peer.clock.advance(2 * 86_400)
    assert v1.balance_transactions.retrieve(movement.id).status == "available"


def test_open_session_expires_after_a_day_by_the_peers_clock(peer: StripeServer, v1: Any) -> None:
    session = v1.checkout.sessions.create(checkout_params())
    peer.clock.advance(86_399)
    assert v1.checkout.sessions.retrieve(session.id).status == "open"
    peer.clock.advance(1)
    ended = v1.checkout.sessions.retrieve(session.id)
    assert (ended.status, ended.url, ended.payment_status) == ("expired", None, "unpaid")
    assert [event.type for event in v1.events.list({"type": "checkout.*"}).data] == ["checkout.session.expired"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"line_items": []},
        {"mode": "subscription"},
        {"success_url": "nowhere"},
        {"expires_at": 1_800_000_000 + 60},
        {"expires_at": 1_800_000_000 + 90_000},
        {"line_items": [{"quantity": 1, "price": "price_1"}]},
        {
            "line_items": [
                {"quantity": 0, "price_data": {"currency": "usd", "unit_amount": 5, "product_data": {"name": "x"}}}
            ]
        },
        {"setup_intent_data": {"description": "x"}},
    ],
)
def test_session_that_stripe_would_not_open_is_refused(v1: Any, wrong: dict[str, Any]) -> None:
    assert refused(v1.checkout.sessions.create, checkout_params() | wrong).http_status == 400
    assert v1.checkout.sessions.list().data == []


def test_lists_are_paged_by_the_sdk_to_their_end(v1: Any) -> None:
    made = [v1.customers.create({"name": f"C{number}"}).id for number in range(25)]
    found = [item.id for item in v1.customers.list({"limit": 7}).auto_paging_iter()]
    assert found == made[::-1]


def test_events_tell_what_caused_them(v1: Any) -> None:
    customer = v1.customers.create({"name": "Ada"}, {"idempotency_key": "once"})
    v1.customers.update(customer.id, {"name": "Ada L."})
    updated, created = v1.events.list().data
    assert created.request.idempotency_key == "once"
    assert created.request.id.startswith("req_")
    assert updated.data.to_dict()["previous_attributes"] == {"name": "Ada"}
    assert (created.data.object["name"], updated.data.object["name"]) == ("Ada", "Ada L.")


def test_two_peers_of_one_seed_answer_alike() -> None:
    def ids() -> list[str]:
        with StripeServer(seed="same") as server:
            paid = pay(client_of(server).v1)
            return [paid.id, paid.latest_charge, paid.payment_method]

    assert ids() == ids()


def test_fault_of_the_peer_itself_fails_the_test() -> None:
    peer = StripeServer()
    peer.__enter__()
    peer.account.by_id["cus_broken"] = {"id": "cus_broken", "object": "customer"}
    assert refused(client_of(peer).v1.customers.update, "cus_broken", {"name": "x"}).http_status == 500
    with pytest.raises(AssertionError, match="the peer itself failed"):
        peer.__exit__(None, None, None)
