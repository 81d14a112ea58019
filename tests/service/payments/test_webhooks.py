"""Events from outside: signed, stored once, applied once in any order, and believed only as a hint where to look."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from billing.payments import inbox, webhooks
from billing.payments.errors import WebhookRefused
from tests.service.payments.world import NOW, StripeCustomer, World

StripeWorld = tuple[World, StripeCustomer]


@pytest.fixture
def paid(stripe_world: StripeWorld) -> tuple[World, StripeCustomer, list[dict[str, Any]]]:
    """A paid checkout whose events have not arrived; the last one tells that the checkout is complete."""
    world, customer = stripe_world
    row = world.start(5000)
    customer.pay(row)
    with customer.peer.playing() as objects:
        return world, customer, list(objects.events)


def test_any_order_with_any_repetition_credits_once(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    expected = 0
    for order in itertools.permutations((0, 1, 0, 1), 4):
        row = world.start(100)
        deliveries = customer.pay(row)
        assert "failed" not in world.deliver(*(deliveries[place] for place in order))
        expected += 100
    assert expected == 2400
    assert world.held("wallet") == expected
    assert len(world.payments()) == 24


def test_signature_of_another_secret_is_refused_and_nothing_is_stored(world: World) -> None:
    [(body, headers), *_] = world.customer.pay(world.start())
    forged = {name: value[:-4] + "0000" if "ignature" in name else value for name, value in headers.items()}
    with pytest.raises(WebhookRefused) as refusal:
        world.deliver((body, forged))
    assert refusal.value.fields["reason"] == "signature_wrong"
    assert world.events() == []
    assert world.held("wallet") == 0


def test_changed_body_is_refused(world: World) -> None:
    [(body, headers), *_] = world.customer.pay(world.start())
    with pytest.raises(WebhookRefused) as refusal:
        world.deliver((body.replace(b"5000", b"9000"), headers))
    assert refusal.value.fields["reason"] == "signature_wrong"


@pytest.mark.parametrize("offset_s", [-301, 301, -86_400, 86_400])
def test_signature_older_or_younger_than_300_seconds_is_refused(stripe_world: StripeWorld, offset_s: int) -> None:
    world, customer = stripe_world
    customer.pay(world.start())
    with customer.peer.playing() as objects:
        delivery = customer.peer.signed(objects.events[-1], at=int(NOW.timestamp()) + offset_s)
    with pytest.raises(WebhookRefused) as refusal:
        world.deliver(delivery)
    assert refusal.value.fields["reason"] == "timestamp_out_of_range"
    assert world.events() == []


@pytest.mark.parametrize("offset_s", [-299, 299])
def test_signature_within_300_seconds_is_accepted(stripe_world: StripeWorld, offset_s: int) -> None:
    world, customer = stripe_world
    customer.pay(world.start())
    with customer.peer.playing() as objects:
        delivery = customer.peer.signed(objects.events[-1], at=int(NOW.timestamp()) + offset_s)
    assert world.deliver(delivery) == ["processed"]


def test_signed_event_that_claims_a_payment_which_the_provider_denies_credits_nothing(
    stripe_world: StripeWorld,
) -> None:
    world, customer = stripe_world
    row = world.start()
    with customer.peer.playing() as objects:
        checkout = objects.by_id[str(row.provider_session_id)]
        claim = objects.event("checkout.session.completed", checkout | {"payment_status": "paid", "status": "complete"})
    assert world.deliver(customer.peer.signed(claim)) == ["processed"]
    assert world.session(row).state == "open"
    assert world.held("wallet") == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"amount_total": 4999}, "amount_mismatch"),
        ({"amount_total": 500_000}, "amount_mismatch"),
        ({"currency": "eur"}, "currency_mismatch"),
        ({"currency": "xxq"}, "unreadable_object"),
        ({"livemode": True}, "livemode_mismatch"),
        ({"client_reference_id": "pay_somebody_elses"}, "reference_mismatch"),
        ({"amount_total": None}, "unreadable_object"),
    ],
)
def test_confirmed_object_that_differs_from_our_intent_is_kept_as_failed(
    paid: tuple[World, StripeCustomer, list[dict[str, Any]]], changes: dict[str, Any], reason: str
) -> None:
    world, customer, events = paid
    with customer.peer.playing() as objects:
        [checkout] = objects.all("checkout.session")
        checkout.update(changes)
    assert world.deliver(*(customer.peer.signed(event) for event in events)) == ["failed"] * len(events)
    assert {str(event.note).partition(":")[0] for event in world.events()} == {reason}
    assert world.held("wallet") == 0
    assert world.payments() == []


def test_received_amount_that_differs_from_our_intent_is_kept_as_failed(
    paid: tuple[World, StripeCustomer, list[dict[str, Any]]],
) -> None:
    world, customer, events = paid
    with customer.peer.playing() as objects:
        objects.all("payment_intent")[0]["amount_received"] = 4000
    assert world.deliver(customer.peer.signed(events[-1])) == ["failed"]
    assert world.held("wallet") == 0


def test_failed_event_is_processed_again_once_the_cause_is_gone(
    paid: tuple[World, StripeCustomer, list[dict[str, Any]]],
) -> None:
    from billing.payments import apply

    world, customer, events = paid
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[0]["amount_total"] = 1
    assert world.deliver(customer.peer.signed(events[-1])) == ["failed"]
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[0]["amount_total"] = 5000
    for _ in range(2):
        with world.database.transaction() as session:
            event_id = inbox.reopen(session, now=world.now, key=events[-1]["id"], actor="usr_x")
        assert apply.apply_event(world.database, world.providers, event_id, now=world.now) == "processed"
    assert world.held("wallet") == 5000


def test_event_of_live_mode_under_a_test_key_is_kept_and_ignored(
    paid: tuple[World, StripeCustomer, list[dict[str, Any]]],
) -> None:
    world, customer, events = paid
    assert world.deliver(customer.peer.signed(events[-1] | {"livemode": True})) == ["ignored"]
    assert world.events()[0].note == "livemode_mismatch"
    assert world.held("wallet") == 0


def test_event_of_another_stripe_account_is_kept_and_ignored(
    paid: tuple[World, StripeCustomer, list[dict[str, Any]]],
) -> None:
    world, customer, events = paid
    assert world.deliver(customer.peer.signed(events[-1] | {"account": "acct_other"})) == ["ignored"]
    assert world.events()[0].note == "other_account"


def test_every_event_type_of_stripe_is_stored_and_answered(stripe_world: StripeWorld, data_dir: Path) -> None:
    world, customer = stripe_world
    types = (data_dir / "stripe" / "event_types_2026-10-28.endive.txt").read_text().split()
    assert len(types) == 275
    with customer.peer.playing() as objects:
        events = [objects.event(name, {"id": f"obj_{number}", "object": "thing"}) for number, name in enumerate(types)]
    world.deliver(*(customer.peer.signed(event) for event in events))
    kept = {event.type: event for event in world.events()}
    assert len(kept) == 275
    without = {name for name, event in kept.items() if event.note == "type_without_effect"}
    assert without == set(types) - webhooks.HANDLED_TYPES
    assert {kept[name].state for name in without} == {"ignored"}
    for name in set(types) & webhooks.HANDLED_TYPES:
        assert kept[name].state == "processed" or kept[name].note, name
    assert world.held("wallet") == 0


def test_every_real_event_is_handled_or_kept_with_a_reason_and_none_moves_money(
    stripe_world: StripeWorld, data_dir: Path
) -> None:
    world, customer = stripe_world
    files = sorted((data_dir / "stripe" / "events").glob("*.json"))
    assert len(files) == 25
    for number, file in enumerate(files):
        event = json.loads(file.read_text()) | {"id": f"evt_{number:024d}"}
        world.deliver(customer.peer.signed(event))
    kept = world.events()
    assert len(kept) == 25
    for event in kept:
        assert (event.note == "type_without_effect") == (event.type not in webhooks.HANDLED_TYPES), event.type
        assert event.state == "processed" or event.note, event.type
    assert {
        "checkout.session.completed",
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "charge.succeeded",
        "charge.failed",
        "charge.refunded",
        "charge.refund.updated",
        "charge.dispute.created",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "payout.paid",
        "payout.failed",
    } <= webhooks.HANDLED_TYPES
    assert (world.held("wallet"), world.payments()) == (0, [])


def test_real_event_bodies_with_one_placeholder_id_are_one_event(stripe_world: StripeWorld, data_dir: Path) -> None:
    """The same id again is the same event, whatever it says: the first one stands."""
    world, customer = stripe_world
    for file in sorted((data_dir / "stripe" / "events").glob("charge.*.json")):
        world.deliver(customer.peer.signed(json.loads(file.read_text()) | {"id": "evt_1"}))
    assert len(world.events()) == 1


def test_delayed_method_is_credited_when_it_succeeds_not_before(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    row = world.start()
    with customer.peer.playing() as objects:
        objects.pay_later(str(row.provider_session_id))
        first = customer.peer.signed(objects.events[-1])
    assert world.deliver(first) == ["processed"]
    assert (world.session(row).state, world.held("wallet")) == ("open", 0)
    with customer.peer.playing() as objects:
        objects.settle(str(row.provider_session_id), is_paid=True)
        second = customer.peer.signed(objects.events[-1])
    world.deliver(second, first)
    assert (world.session(row).state, world.held("wallet")) == ("paid", 5000)


def test_delayed_method_that_fails_ends_the_session(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    row = world.start()
    with customer.peer.playing() as objects:
        objects.pay_later(str(row.provider_session_id))
        objects.settle(str(row.provider_session_id), is_paid=False)
        last = customer.peer.signed(objects.events[-1])
    assert world.deliver(last) == ["processed"]
    assert (world.session(row).state, world.held("wallet")) == ("failed", 0)


def test_body_above_one_mebibyte_is_refused(world: World) -> None:
    with pytest.raises(WebhookRefused) as refusal:
        world.deliver((b" " * (1024 * 1024 + 1), {}))
    assert refusal.value.fields["reason"] == "body_too_large"
