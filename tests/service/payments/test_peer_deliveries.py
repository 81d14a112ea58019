"""Our side told by the peer over HTTP: what arrives twice, late and in any order has the effect of once."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from billing.payments.providers.stripe.adapter import StripeProvider
from tests.peers.drive import client_of
from tests.peers.stripe.webhooks import BACKOFF_S
from tests.service.payments.world import StripeCustomer, World

StripeWorld = tuple[World, StripeCustomer]


class Door:
    """A bare endpoint in front of our webhook's service: what it takes is stored and applied, then answered with 200."""

    def __init__(self, world: World) -> None:
        self.is_open = True
        self.states: list[str] = []
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if door.is_open:
                    door.states += world.deliver((body, dict(self.headers.items())))
                self.send_response(200 if door.is_open else 503)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Tests read `states`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> "Door":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def door(stripe_world: StripeWorld) -> Iterator[Door]:
    """Our endpoint, entered at the peer with every type it has; our side knows the secret that the peer gave it."""
    world, customer = stripe_world
    with Door(world) as found:
        params: Any = {"url": found.url, "enabled_events": ["*"]}
        endpoint = client_of(customer.peer).v1.webhook_endpoints.create(params)
        customer.provider = StripeProvider(
            secret_key="sk_test_peer", webhook_secret=endpoint.secret, api_base=customer.peer.url
        )
        yield found


def test_every_event_of_a_payment_twice_in_disorder_credits_once(stripe_world: StripeWorld, door: Door) -> None:
    world, customer = stripe_world
    habits = customer.peer.post.habits
    habits.copies, habits.is_shuffled = 2, True
    for _ in range(4):
        row = world.start(2500)
        customer.pay(row)
        customer.peer.post.deliver_due()
        assert world.session(row).state == "paid"
    assert world.held("wallet") == 10_000
    assert len(world.payments()) == 4
    assert set(door.states) == {"processed", "ignored"}
    assert customer.peer.post.waiting == []


def test_payment_while_our_door_was_shut_is_credited_by_the_retry(stripe_world: StripeWorld, door: Door) -> None:
    world, customer = stripe_world
    door.is_open = False
    customer.pay(world.start(2500))
    customer.peer.post.deliver_due()
    assert (door.states, world.held("wallet")) == ([], 0)
    door.is_open = True
    customer.peer.clock.advance(BACKOFF_S[0])
    customer.peer.post.deliver_due()
    assert world.held("wallet") == 2500
    assert len(world.payments()) == 1
