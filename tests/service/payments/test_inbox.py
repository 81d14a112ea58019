"""The inbox: each try is kept, waiting holds up nobody, finance tries again or closes, and fifty deliveries are one event."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, update

from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.payments import apply, inbox
from billing.payments.inbox import Filters
from billing.payments.recovery import redaction
from billing.payments.tables import ProviderEvent
from billing.storage.tables import AuditRecord
from tests.service.payments.world import NOW, StripeCustomer, World

StripeWorld = tuple[World, StripeCustomer]
CHECKOUTS = "/v1/checkout/sessions"


def completed(world: World, customer: StripeCustomer) -> tuple[bytes, dict[str, str]]:
    """A paid checkout's last event, as it would arrive."""
    return customer.pay(world.start())[-1]


def states(world: World) -> dict[str, int]:
    with world.database.reading("jobs") as session:
        return {count.state: count.count for count in inbox.count_states(session)}


def reopen(world: World, key: str) -> str:
    with world.database.transaction() as session:
        return inbox.reopen(session, now=world.now, key=key, actor="usr_finance")


def close(world: World, key: str, reason: str) -> str:
    with world.database.transaction() as session:
        return inbox.close(session, now=world.now, key=key, reason=reason, actor="usr_finance")


def failed(world: World, customer: StripeCustomer) -> str:
    """An event that contradicts our row."""
    delivery = completed(world, customer)
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[-1]["amount_total"] = 1
    assert world.deliver(delivery) == ["failed"]
    return world.events()[-1].id


def test_fifty_identical_deliveries_at_once_are_one_row_and_one_effect(world: World) -> None:
    from billing.payments import webhooks

    body, headers = world.customer.pay(world.start())[-1]
    answers: list[webhooks.Received] = []
    wrong: list[BaseException] = []

    def deliver() -> None:
        try:
            with world.database.transaction() as session:
                answers.append(
                    webhooks.receive(session, now=NOW, provider=world.provider, raw_body=body, headers=headers)
                )
            apply.apply_event(world.database, world.providers, answers[-1].id, now=world.now)
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=deliver) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len({answer.id for answer in answers}) == 1
    assert sum(answer.is_new for answer in answers) == 1
    assert [event.state for event in world.events()] == ["processed"]
    assert (world.held("wallet"), len(world.payments())) == (5000, 1)


def test_each_try_is_kept_and_the_next_one_waits_longer(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    delivery = completed(world, customer)
    customer.peer.fail_next("error_500", CHECKOUTS, times=4)
    assert world.deliver(delivery) == ["received"]
    pauses = []
    for _ in range(3):
        event = world.events()[0]
        assert event.next_try_at is not None
        pauses.append(int((event.next_try_at - world.now).total_seconds()))
        world.now = event.next_try_at - timedelta(seconds=1)
        assert apply.apply_pending(world.database, world.providers, now=world.now) == 0
        world.now = event.next_try_at
        apply.apply_pending(world.database, world.providers, now=world.now)
    assert pauses == [10, 20, 40]
    world.later(minutes=5)
    assert apply.apply_pending(world.database, world.providers, now=world.now) == 1
    with world.database.reading("jobs") as session:
        tries = inbox.list_tries(session, world.events()[0].id)
    assert [one.outcome for one in tries] == ["processed", "received", "received", "received", "received"]
    assert [str(one.note).partition(":")[0] for one in tries[1:]] == ["provider_unreachable"] * 4
    assert world.held("wallet") == 5000


def test_a_hundred_events_that_wait_hold_up_no_new_one(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    body, headers = completed(world, customer)
    with world.database.transaction("jobs") as session:
        session.add_all(
            ProviderEvent(
                id=f"pev_{number:03d}", provider="gone", event_id=f"evt_{number}", type="charge.refunded", state="received",
                body='{"id":"evt_1","type":"charge.refunded","data":{"object":{}}}', attempts=9,
                received_at=world.now - timedelta(hours=1), next_try_at=world.now + timedelta(minutes=9),
            )
            for number in range(150)
        )  # fmt: skip
    with world.database.transaction() as session:
        from billing.payments import webhooks

        webhooks.receive(session, now=NOW, provider=world.provider, raw_body=body, headers=headers)
    assert apply.apply_pending(world.database, world.providers, now=world.now) == 1
    assert world.held("wallet") == 5000


def test_a_failed_event_is_closed_with_a_reason_and_opened_again(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    event_id = failed(world, customer)
    assert (states(world)["failed"], states(world)["closed"]) == (1, 0)
    with pytest.raises(Invalid):
        close(world, event_id, "  ")
    with pytest.raises(Invalid, match="control_character"):
        close(world, event_id, "A test\x00")
    close(world, event_id, "A test of the old shop")
    close(world, event_id, "A second click")
    with world.database.reading("jobs") as session:
        row = inbox.get_event(session, event_id)
    assert (row.state, row.closed_by, row.closed_reason) == ("closed", "usr_finance", "A test of the old shop")
    with customer.peer.playing() as objects:
        objects.all("checkout.session")[-1]["amount_total"] = 5000
    reopen(world, event_id)
    assert apply.apply_event(world.database, world.providers, event_id, now=world.now) == "processed"
    assert world.held("wallet") == 5000
    with pytest.raises(Conflict):
        close(world, event_id, "Too late")
    with world.database.reading("jobs") as session:
        acts = session.scalars(select(AuditRecord.act).where(AuditRecord.subject_id == event_id)).all()
    assert sorted(acts) == ["event.close", "event.reprocess"]


def test_what_is_not_for_us_cannot_be_tried_into_an_effect(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    customer.pay(world.start())
    with customer.peer.playing() as objects:
        event = objects.events[-1]
    assert world.deliver(customer.peer.signed(event | {"id": "evt_live", "livemode": True})) == ["ignored"]
    assert world.deliver(customer.peer.signed(event | {"id": "evt_other", "account": "acct_2"})) == ["ignored"]
    assert world.deliver(customer.peer.signed(event | {"id": "evt_type", "type": "price.created"})) == ["ignored"]
    for key in ("evt_live", "evt_other", "evt_type"):
        with pytest.raises(Conflict) as refusal:
            reopen(world, key)
        assert refusal.value.fields["reason"] == "not_retryable"
    with pytest.raises(NotFound):
        reopen(world, "evt_nothing")
    # Even one whose row somebody has altered is looked at again before it takes effect.
    with world.database.transaction("jobs") as session:
        session.execute(
            update(ProviderEvent)
            .where(ProviderEvent.event_id == "evt_other")
            .values(state="received", note=None, next_try_at=world.now, processed_at=None)
        )
    apply.apply_pending(world.database, world.providers, now=world.now)
    assert world.held("wallet") == 0
    assert {event.note for event in world.events()} == {"livemode_mismatch", "other_account", "type_without_effect"}


def test_events_are_found_by_state_type_id_and_day(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    row = world.start()
    deliveries = customer.pay(row)
    world.deliver(*deliveries)
    with world.database.reading("jobs") as session:

        def found(**filters: Any) -> int:
            rows = inbox.list_events(session, Filters(**filters))
            assert inbox.count_events(session, Filters(**filters)) == len(rows)
            return len(rows)

        assert found() == len(deliveries)
        assert found(states=("processed",)) + found(states=("ignored",)) == len(deliveries)
        assert found(text="checkout.session") == 1
        assert found(text=row.id) == len(deliveries)
        assert found(text="%") == 0
        assert found(provider="sandbox") == 0
        assert found(from_at=NOW + timedelta(seconds=1)) == 0
        assert found(to_at=NOW + timedelta(seconds=1)) == len(deliveries)
        about = inbox.list_of_payment(
            session, session_id=row.id, payment_ids=(row.provider_session_id, world.payments()[0].provider_payment_id)
        )
    assert len(about) == len(deliveries)


def test_body_is_shown_without_what_identifies_people() -> None:
    shown = redaction.body(
        '{"id":"evt_1","data":{"object":{"amount":500,"customer_details":{"email":"a@b.example","name":"Ann"},'
        '"client_secret":"pi_1_secret_2","receipt_email":"a@b.example","customer":"cus_1","name":null,'
        '"charges":[{"billing_details":{"phone":"1"}}],"url":null,'
        '"evidence":{"billing_address":"1 Mill Lane","access_activity_log":"203.0.113.7"},"refunds":{"url":"/v1/refunds"},'
        '"next":{"url":"https://checkout.stripe.com/c/pay/cs_1"}}}}'
    )
    for hidden in ("a@b.example", "Ann", "pi_1_secret_2", '"phone"', "Mill Lane", "203.0.113.7", "c/pay"):
        assert hidden not in shown
    for kept in ('"amount": 500', "cus_1", "evt_1", "/v1/refunds"):
        assert kept in shown
    assert redaction.body("not json") == '"[hidden]"'


def test_counts_stop_where_the_page_stops_showing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "COUNTED_MAX", 3)
    with world.database.transaction("jobs") as session:
        session.add_all(
            ProviderEvent(
                id=f"pev_{number}", provider="sandbox", event_id=f"evt_{number}", type="x", body="{}", state="ignored",
                attempts=0, note="type_without_effect", received_at=world.now,
            )
            for number in range(5)
        )  # fmt: skip
    assert states(world)["ignored"] == 3
    with world.database.reading("jobs") as session:
        assert inbox.count_events(session, Filters()) == 3
        assert session.scalar(select(func.count()).select_from(ProviderEvent)) == 5
