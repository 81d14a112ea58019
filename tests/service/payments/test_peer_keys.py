"""Idempotency keys and faults of the peer, by the SDK's own retries and by raw HTTP."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.peers.drive import client_of, refused
from tests.peers.stripe.faults import KINDS
from tests.peers.stripe.idempotency import LIFE_S
from tests.peers.stripe.server import StripeServer

CUSTOMERS = "/v1/customers"


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        server.clock.set(1_800_000_000)
        yield server


def post(peer: StripeServer, path: str, data: Any, key: str | None = None, *, timeout: float = 5) -> requests.Response:
    headers = {"Authorization": "Bearer sk_test_raw"} | ({"Idempotency-Key": key} if key is not None else {})
    return requests.post(peer.url + path, data=data, headers=headers, timeout=timeout)


def count(peer: StripeServer, kind: str = "customer") -> int:
    with peer.playing() as play:
        return len(play.all(kind))


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK waits half a second before each repeat; here it does not."""
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.001)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0.002)


def test_same_key_and_body_give_the_first_answer_and_one_effect(peer: StripeServer) -> None:
    first = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
    again = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Original-Request"] == first.headers["Request-Id"] != again.headers["Request-Id"]
    assert first.headers["Idempotency-Key"] == "key"
    assert "Idempotent-Replayed" not in first.headers
    assert count(peer) == 1


def test_without_a_key_each_call_has_its_effect(peer: StripeServer) -> None:
    assert post(peer, CUSTOMERS, {}).json()["id"] != post(peer, CUSTOMERS, {}).json()["id"]
    assert count(peer) == 2


@pytest.mark.parametrize(("path", "data"), [(CUSTOMERS, {"name": "Bob"}), (CUSTOMERS, {}), ("/v1/setup_intents", {})])
def test_key_with_another_body_or_address_is_400_idempotency_error(
    peer: StripeServer, path: str, data: dict[str, str]
) -> None:
    first = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
    wrong = post(peer, path, data, "key")
    assert (wrong.status_code, wrong.json()["error"]["type"]) == (400, "idempotency_error")
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").content == first.content
    assert count(peer) == 1


def test_the_sdk_knows_that_refusal_as_its_idempotency_error(peer: StripeServer) -> None:
    v1 = client_of(peer).v1
    v1.customers.create({"name": "Ada"}, {"idempotency_key": "key"})
    error = refused(lambda: v1.customers.create({"name": "Bob"}, {"idempotency_key": "key"}))
    assert isinstance(error, stripe.IdempotencyError)


def test_declined_card_stays_declined_under_its_key(peer: StripeServer) -> None:
    intent = post(peer, "/v1/payment_intents", {"amount": "900", "currency": "usd"}).json()["id"]
    confirm = f"/v1/payment_intents/{intent}/confirm"
    data = {"payment_method": "pm_card_chargeDeclined", "return_url": "http://127.0.0.1:9"}
    first, again = post(peer, confirm, data, "key"), post(peer, confirm, data, "key")
    assert (first.status_code, again.status_code, again.content == first.content) == (402, 402, True)
    assert count(peer, "charge") == 1


@pytest.mark.parametrize(("kind", "effects"), [("error_500", 0), ("error_500_after", 1)])
def test_500_is_kept_under_its_key_for_a_day(peer: StripeServer, kind: Any, effects: int) -> None:
    peer.fail_next(kind, CUSTOMERS)
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").status_code == 500
    again = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
    assert (again.status_code, again.json()["error"]["type"]) == (500, "api_error")
    assert count(peer) == effects
    peer.clock.advance(LIFE_S)
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").status_code == 200


def test_key_of_a_call_that_failed_validation_is_free_for_the_corrected_one(peer: StripeServer) -> None:
    assert post(peer, CUSTOMERS, {"email": "nobody"}, "key").status_code == 400
    assert post(peer, CUSTOMERS, {"mood": "good"}, "key").status_code == 400
    assert post(peer, CUSTOMERS, {"expand[]": "mood"}, "key").status_code == 400
    assert count(peer) == 0
    assert post(peer, CUSTOMERS, {"email": "ada@example.com"}, "key").status_code == 200


def test_refusal_of_an_act_that_began_is_kept(peer: StripeServer) -> None:
    paid = client_of(peer).v1.payment_intents.create(
        {"amount": 900, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True, "off_session": True}
    )
    data = {"payment_intent": paid.id, "amount": "901"}
    first = post(peer, "/v1/refunds", data, "key")
    assert first.status_code == 400
    again = post(peer, "/v1/refunds", data, "key")
    assert (again.content, again.headers["Idempotent-Replayed"]) == (first.content, "true")


@pytest.mark.parametrize("length", [255, 256])
def test_key_longer_than_255_characters_is_refused(peer: StripeServer, length: int) -> None:
    assert post(peer, CUSTOMERS, {}, "k" * length).status_code == (200 if length == 255 else 400)


def test_key_in_flight_is_409_and_then_replayed(peer: StripeServer) -> None:
    answers: list[requests.Response] = []
    with peer.holding(CUSTOMERS) as gate:
        caller = threading.Thread(target=lambda: answers.append(post(peer, CUSTOMERS, {"name": "Ada"}, "key")))
        caller.start()
        assert gate.is_reached.wait(5)
        busy = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
        assert (busy.status_code, busy.json()["error"]["code"]) == (409, "idempotency_key_in_use")
        gate.is_open.set()
        caller.join()
    assert answers[0].status_code == 200
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").content == answers[0].content
    assert count(peer) == 1


def test_fifty_threads_under_one_key_have_one_effect(peer: StripeServer) -> None:
    answers: list[requests.Response] = []
    callers = [
        threading.Thread(target=lambda: answers.append(post(peer, CUSTOMERS, {"name": "Ada"}, "key")))
        for _ in range(50)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(answers) == 50
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert len({answer.content for answer in answers if answer.status_code == 200}) == 1
    assert count(peer) == 1


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "reset_before", "reset_after"])
def test_the_sdks_own_retry_over_a_broken_connection_has_one_effect(peer: StripeServer, kind: Any) -> None:
    peer.fail_next(kind, CUSTOMERS, times=2)
    customer = client_of(peer, max_network_retries=2).v1.customers.create({"name": "Ada"})
    assert customer.name == "Ada"
    assert peer.count_calls("POST", CUSTOMERS) == 3
    assert len({key for _method, _path, key in peer.calls}) == 1
    assert count(peer) == 1


@pytest.mark.usefixtures("quick_retries")
def test_the_sdk_repeats_a_key_in_flight_until_its_first_call_is_through(peer: StripeServer) -> None:
    made: list[Any] = []
    options: Any = {"idempotency_key": "key"}
    with peer.holding(CUSTOMERS) as gate:
        first = threading.Thread(
            target=lambda: made.append(client_of(peer).v1.customers.create({"name": "Ada"}, options))
        )
        first.start()
        assert gate.is_reached.wait(5)
        second = threading.Thread(
            target=lambda: made.append(
                client_of(peer, max_network_retries=1000).v1.customers.create({"name": "Ada"}, options)
            )
        )
        second.start()
        while peer.count_calls("POST", CUSTOMERS) < 3:
            second.join(0.01)
        gate.is_open.set()
        first.join()
        second.join()
    assert made[0].id == made[1].id
    assert count(peer) == 1


@pytest.mark.usefixtures("quick_retries")
def test_500_is_replayed_to_the_sdks_retry(peer: StripeServer) -> None:
    peer.fail_next("error_500_after", CUSTOMERS)
    error = refused(client_of(peer, max_network_retries=2).v1.customers.create, {"name": "Ada"})
    assert isinstance(error, stripe.APIError)
    assert (peer.count_calls("POST", CUSTOMERS), count(peer)) == (3, 1)


@pytest.mark.parametrize(("kind", "effects"), [("timeout_before", 0), ("timeout_after", 1)])
def test_call_that_gets_no_answer_times_out(peer: StripeServer, kind: Any, effects: int) -> None:
    peer.fail_next(kind, CUSTOMERS)
    with pytest.raises(requests.ReadTimeout):
        post(peer, CUSTOMERS, {"name": "Ada"}, "key", timeout=0.2)
    assert count(peer) == effects
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").status_code == 200
    assert count(peer) == 1


@pytest.mark.parametrize("kind", ["rate_limit", "lock_timeout"])
def test_limit_is_429_without_effect_and_frees_the_key(peer: StripeServer, kind: Any) -> None:
    peer.fail_next(kind, CUSTOMERS)
    answer = post(peer, CUSTOMERS, {"name": "Ada"}, "key")
    assert (answer.status_code, answer.json()["error"]["code"], count(peer)) == (429, kind, 0)
    assert post(peer, CUSTOMERS, {"name": "Ada"}, "key").status_code == 200


def test_faults_are_used_up_in_their_order_and_only_by_calls_they_are_meant_for(peer: StripeServer) -> None:
    peer.faults.add("error_500", CUSTOMERS, method="GET")
    peer.fail_next("rate_limit", "/v1/refunds")
    assert post(peer, CUSTOMERS, {}).status_code == 200
    v1 = client_of(peer).v1
    assert refused(v1.customers.list).http_status == 500
    assert v1.customers.list().data
    assert refused(v1.refunds.list).http_status == 429
    assert peer.faults.script == []


def test_fault_that_does_not_exist_is_refused(peer: StripeServer) -> None:
    wrong: Any = "error_418"
    with pytest.raises(ValueError, match="error_418"):
        peer.fail_next(wrong, CUSTOMERS)
    assert len(KINDS) == 12
