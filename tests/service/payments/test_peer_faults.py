"""What the peer does wrong when asked: every kind of fault to every route, by script or by a seed, and its two modes."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import stripe

from tests.peers.drive import checkout_params, client_of, refused
from tests.peers.stripe.faults import KINDS
from tests.peers.stripe.server import StripeServer

CUSTOMERS = "/v1/customers"


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as found:
        found.clock.set(1_800_000_000)
        yield found


def ask(peer: StripeServer, number: int, **more: Any) -> int | None:
    """The status of one call, None without a whole answer."""
    try:
        return requests.post(
            peer.url + CUSTOMERS,
            data={"name": f"c{number}"},
            headers={"Authorization": "Bearer sk_test_x", "Idempotency-Key": f"k{number}"} | more,
            timeout=0.2,
        ).status_code
    except requests.RequestException:
        return None


def test_limit_says_when_to_come_back_and_why(peer: StripeServer) -> None:
    peer.fail_next("rate_limit", CUSTOMERS)
    error = refused(client_of(peer).v1.customers.create, {})
    assert isinstance(error, stripe.RateLimitError)
    assert error.headers is not None
    assert (error.headers["Retry-After"], error.headers["Stripe-Rate-Limited-Reason"]) == ("1", "global-rate")


def test_answer_cut_in_its_middle_is_no_answer_and_its_effect_stands(peer: StripeServer) -> None:
    peer.fail_next("reset_within", CUSTOMERS)
    assert isinstance(refused(client_of(peer).v1.customers.create, {"name": "Ada"}), stripe.APIConnectionError)
    assert len(peer.account.all("customer")) == 1


def test_late_answer_is_a_whole_answer(peer: StripeServer) -> None:
    peer.fail_next("delay", CUSTOMERS)
    assert ask(peer, 1) == 200
    assert peer.faults.met == [("POST", CUSTOMERS, "delay")]


def test_a_seed_meets_the_same_faults_each_time_and_another_seed_others() -> None:
    def run(seed: int) -> tuple[list[int | None], list[Any]]:
        with StripeServer() as peer:
            quick = [kind for kind in KINDS if not kind.startswith("timeout")]
            peer.faults.by_chance(seed, per_mille=500, kinds=quick, most=12)
            statuses = [ask(peer, number) for number in range(30)]
            return statuses, list(peer.faults.met)

    first, again, other = run(1), run(1), run(2)
    assert first == again
    assert first != other
    assert len(first[1]) == 12
    assert {None, 200, 429, 500} <= set(first[0])


def test_faults_cease_when_they_are_told_to(peer: StripeServer) -> None:
    peer.faults.by_chance(1, per_mille=1000, kinds=["rate_limit"])
    peer.fail_next("error_500", CUSTOMERS)
    assert ask(peer, 1) == 429
    peer.faults.cease()
    assert ask(peer, 1) == 200


def test_chance_of_an_unknown_fault_is_refused(peer: StripeServer) -> None:
    wrong: Any = ["error_418"]
    with pytest.raises(ValueError, match="error_418"):
        peer.faults.by_chance(1, per_mille=10, kinds=wrong)


def test_live_account_takes_live_keys_alone_and_says_so_in_every_object() -> None:
    with StripeServer(is_live=True) as peer:
        assert ask(peer, 1) == 401
        live: Any = stripe.StripeClient("sk_live_peer", base_addresses={"api": peer.url}).v1
        session = live.checkout.sessions.create(checkout_params())
        assert session.id.startswith("cs_live_")
        with peer.playing() as play:
            play.pay(session.id)
            events = play.events
        assert {event["livemode"] for event in events} == {True}
        assert {event["data"]["object"].get("livemode") for event in events} == {True}


def test_call_for_another_account_is_refused(peer: StripeServer) -> None:
    assert ask(peer, 1, **{"Stripe-Account": "acct_somebody"}) == 403
    assert ask(peer, 1, **{"Stripe-Account": peer.account.account_id}) == 200


def test_deliveries_may_be_doubled_late_and_lost_by_the_seed() -> None:
    def run(seed: str) -> list[Any]:
        with StripeServer(seed=seed) as peer:
            peer.clock.set(1_800_000_000)
            v1 = client_of(peer).v1
            v1.webhook_endpoints.create({"url": "http://127.0.0.1:9/hook", "enabled_events": ["*"]})
            habits = peer.post.habits
            habits.doubled_per_mille, habits.lost_per_mille, habits.latest_s = 300, 200, 3600
            for _ in range(40):
                v1.customers.create({})
            lost, waiting = len(peer.post.lost), [delivery.due_at for delivery in peer.post.waiting]
            assert 0 < lost < 30
            assert 40 < lost + len(waiting) < 80
            assert max(waiting) - min(waiting) > 1000
            return [lost, *waiting]

    assert run("a") == run("a")
    assert run("a") != run("b")
