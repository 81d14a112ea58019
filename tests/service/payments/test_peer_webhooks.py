"""Webhooks of the peer: signed so that Stripe's own code takes them, repeated, doubled, late and out of order when asked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import stripe

from tests.peers.drive import client_of
from tests.peers.stripe.server import StripeServer
from tests.peers.stripe.webhooks import BACKOFF_S


class Receiver:
    """Somebody's webhook endpoint. Answers come from `answers`, then 200."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.bodies: list[bytes] = []
        self.signatures: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.signatures.append(self.headers["Stripe-Signature"])
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read `bodies`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?tenant=1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._thread.start()

    def types(self, secret: str) -> list[str]:
        """The types in the order of arrival, each checked by the SDK."""
        return [self.event(place, secret).type for place in range(len(self.bodies))]

    def event(self, place: int, secret: str) -> stripe.Event:
        """One delivery as the SDK takes it; raises stripe.SignatureVerificationError."""
        # The peer's clock stands in another year, so the SDK's own tolerance is switched off.
        return stripe.Webhook.construct_event(self.bodies[place], self.signatures[place], secret, tolerance=0)

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        server.clock.set(1_800_000_000)
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def subscribe(peer: StripeServer, receiver: Receiver, *types: str) -> Any:
    """An endpoint with its secret."""
    params: Any = {"url": receiver.url, "enabled_events": list(types or ("*",))}
    return client_of(peer).v1.webhook_endpoints.create(params)


def make_customers(peer: StripeServer, count: int = 1) -> list[str]:
    return [client_of(peer).v1.customers.create({"name": f"C{number}"}).id for number in range(count)]


def test_delivery_is_signed_so_that_the_sdk_takes_it(peer: StripeServer, receiver: Receiver) -> None:
    secret = subscribe(peer, receiver).secret
    make_customers(peer)
    [attempt] = peer.post.deliver_due()
    assert (attempt.status, attempt.event_type) == (200, "customer.created")
    event = receiver.event(0, secret)
    assert (event.type, event.data.object["name"]) == ("customer.created", "C0")
    assert receiver.signatures[0].startswith("t=1800000000,v1=")
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(receiver.bodies[0], receiver.signatures[0], "whsec_other", tolerance=0)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(receiver.bodies[0] + b" ", receiver.signatures[0], secret, tolerance=0)


def test_secret_is_shown_once(peer: StripeServer, receiver: Receiver) -> None:
    endpoint = subscribe(peer, receiver)
    assert endpoint.secret.startswith("whsec_")
    assert "secret" not in client_of(peer).v1.webhook_endpoints.retrieve(endpoint.id).to_dict()


def test_both_secrets_sign_while_one_is_rolled(peer: StripeServer, receiver: Receiver) -> None:
    endpoint = subscribe(peer, receiver)
    with peer.playing() as play:
        newer = play.roll_secret(endpoint.id, old_signs_for_s=3600)
    make_customers(peer)
    peer.post.deliver_due()
    assert receiver.signatures[0].count("v1=") == 2
    assert receiver.types(endpoint.secret) == receiver.types(newer) == ["customer.created"]
    peer.clock.advance(3600)
    make_customers(peer)
    peer.post.deliver_due()
    assert receiver.event(1, newer).type == "customer.created"
    with pytest.raises(stripe.SignatureVerificationError):
        receiver.event(1, endpoint.secret)


def test_endpoint_is_told_the_types_it_asked_for(peer: StripeServer, receiver: Receiver) -> None:
    endpoint = subscribe(peer, receiver, "customer.updated", "payment_method.*")
    v1, [customer] = client_of(peer).v1, make_customers(peer)
    v1.customers.update(customer, {"name": "Ada"})
    v1.payment_methods.attach("pm_card_visa", {"customer": customer})
    peer.post.deliver_due()
    assert receiver.types(endpoint.secret) == ["customer.updated", "payment_method.attached"]
    v1.webhook_endpoints.update(endpoint.id, {"disabled": True})
    v1.customers.update(customer, {"name": "Bea"})
    assert peer.post.deliver_due() == []


@pytest.mark.parametrize("status", [500, 404, 301])
def test_delivery_that_is_not_taken_comes_again_after_its_backoff(
    peer: StripeServer, receiver: Receiver, status: int
) -> None:
    secret = subscribe(peer, receiver).secret
    receiver.answers = [status, status]
    [customer] = make_customers(peer)
    assert [attempt.status for attempt in peer.post.deliver_due()] == [status]
    assert peer.post.deliver_due() == []
    pending = client_of(peer).v1.events.list({"delivery_success": False}).data
    assert [event.data.object["id"] for event in pending] == [customer]
    peer.clock.advance(BACKOFF_S[0] - 1)
    assert peer.post.deliver_due() == []
    peer.clock.advance(1)
    assert [attempt.status for attempt in peer.post.deliver_due()] == [status]
    peer.clock.advance(BACKOFF_S[1])
    assert [attempt.status for attempt in peer.post.deliver_due()] == [200]
    assert len({receiver.event(place, secret).id for place in range(3)}) == 1
    assert client_of(peer).v1.events.list({"delivery_success": True}).data[0].pending_webhooks == 0


def test_delivery_that_is_never_taken_is_given_up_after_three_days(peer: StripeServer, receiver: Receiver) -> None:
    subscribe(peer, receiver)
    receiver.close()
    make_customers(peer)
    for wait_s in (0, *BACKOFF_S):
        peer.clock.advance(wait_s)
        assert [attempt.status for attempt in peer.post.deliver_due()] == [None]
    assert (peer.post.waiting, len(peer.post.given_up)) == ([], 1)
    assert 2.5 * 86_400 < sum(BACKOFF_S) < 3.5 * 86_400


def test_duplicates_delay_and_disorder_are_asked_for_and_repeatable(peer: StripeServer, receiver: Receiver) -> None:
    secret = subscribe(peer, receiver, "customer.created").secret
    peer.post.habits.copies, peer.post.habits.is_shuffled, peer.post.habits.delay_s = 2, True, 30
    made = make_customers(peer, 6)
    assert peer.post.deliver_due() == []
    peer.clock.advance(30)
    peer.post.deliver_due()
    arrived = [receiver.event(place, secret).data.object["id"] for place in range(12)]
    assert sorted(arrived) == sorted(made * 2)
    assert list(dict.fromkeys(arrived)) != made
    assert {event.pending_webhooks for event in client_of(peer).v1.events.list({"type": "customer.created"}).data} == {
        0
    }


def test_a_thread_may_deliver_by_itself(peer: StripeServer, receiver: Receiver) -> None:
    secret = subscribe(peer, receiver).secret
    with peer.post.delivering():
        make_customers(peer, 3)
    assert receiver.types(secret) == ["customer.created"] * 3


def test_receiver_may_call_back_while_it_is_told(peer: StripeServer, receiver: Receiver) -> None:
    """As ours does, which fetches the object again: a delivery must not hold the peer's lock."""
    subscribe(peer, receiver)
    seen: list[str] = []
    answers = receiver.answers

    class Asking(list[int]):
        def __bool__(self) -> bool:
            seen.append(client_of(peer).v1.customers.list().data[0].id)
            return False

    receiver.answers = Asking(answers)
    made = make_customers(peer)
    peer.post.deliver_due()
    assert seen == made


def test_endpoint_outside_this_machine_is_refused(peer: StripeServer) -> None:
    params: Any = {"url": "https://shop.example/hook", "enabled_events": ["*"]}
    with pytest.raises(stripe.InvalidRequestError):
        client_of(peer).v1.webhook_endpoints.create(params)
