"""Every way of a refund, by the postings it makes, written by hand: card, credit note first, pending, cancelled, failed, adopted."""

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid
from billing.payments import acts, refund_acts
from billing.payments.errors import AboveRefundable, ProviderRefused
from billing.payments.refund_tables import RefundEvent
from billing.payments.sessions import PaymentRow
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.service.invoicing import world as invoicing
from tests.service.payments import refund_world as way
from tests.service.payments.world import NOW, StripeCustomer, World, customer_of, open_world

StripeWorld = tuple[World, StripeCustomer]
HELD = ("refund_hold", "wallet", "refund_pending", 2000)
SENT = ("provider_refund", "refund_pending", "cash:stripe", 2000)
RETURNED = ("refund_return", "cash:stripe", "wallet", 2000)
RELEASED = ("refund_release", "refund_pending", "wallet", 2000)


@pytest.fixture(params=["prepaid", "postpaid"])
def policed(request: pytest.FixtureRequest, database: Database) -> World:
    """The sandbox's account, prepaid and postpaid."""
    with customer_of("sandbox", database) as customer:
        return open_world(database, customer, policy=request.param)


def paid_invoice(world: World, policy: str = "postpaid", code: str = "billed") -> tuple[InvoiceHeader, PaymentRow]:
    """119.00 invoiced and paid by card."""
    invoice = invoicing.invoice_of(world.database, 10_000, code=code)
    world.account_id, world.now = invoice.billing_account_id, max(NOW, invoicing.NOW)
    with world.database.transaction() as session:
        session.execute(
            text("UPDATE billing_accounts SET policy = :policy WHERE id = :id"),
            {"policy": policy, "id": world.account_id},
        )
    row = world.start(11_900, purpose="invoice", invoice_id=invoice.id)
    world.deliver(*world.customer.pay(row))
    [payment] = world.payments()
    return invoice, payment


def test_card_refund_is_held_and_leaves_with_the_providers_balance_transaction(policed: World) -> None:
    refund = policed.send(policed.approve(policed.ask(policed.top_up(5000), 2000)))
    assert (refund.state, refund.outcome) == ("succeeded", "refunded")
    assert way.posted(policed) == [HELD, SENT]
    [(source_type, source_id)] = way.sources(policed, "provider_refund")
    assert source_type == "balance_transaction"
    assert source_id == f"sandbox:{(refund.provider_facts or {})['source_id']}"
    assert way.steps(policed, refund) == [
        ("requested", "requested"),
        ("approved", "approved"),
        ("sent", "sent"),
        ("booked", "sent"),
        ("succeeded", "succeeded"),
    ]
    assert refund.expected_on is not None
    assert (refund.expected_on - policed.now.date()).days == 10
    assert refund.policy is not None
    assert refund.policy["limit_minor"] == 5000


@pytest.mark.parametrize("policy", ["prepaid", "postpaid"])
def test_invoice_payment_goes_back_behind_a_credit_note_in_one_decision(database: Database, policy: str) -> None:
    """119.00 paid; 23.80 back: net 20.00 out of revenue, 3.80 out of tax, into the wallet and out of it to the card."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        invoice, payment = paid_invoice(world, policy)
        before = len(way.posted(world))
        refund = way.ask(world, payment, 2380, invoice=invoice)
        assert way.posted(world)[before:] == []
        refund = world.approve(refund)
        assert (refund.state, world.held("wallet"), world.held("refund_pending")) == ("approved", 0, 2380)
        assert refund.credit_note_id is not None
        refund = world.send(refund)
    assert refund.state == "succeeded"
    assert sorted(way.posted(world)[before:]) == [
        ("provider_refund", "refund_pending", "cash:stripe", 2380),
        ("refund_credit", "revenue:analytics", "wallet", 2000),
        ("refund_credit", "tax:DE", "wallet", 380),
        ("refund_hold", "wallet", "refund_pending", 2380),
    ]
    with world.database.reading() as session:
        assert settlement.open_minor(session, invoice.id) == 0


def test_credit_note_and_hold_happen_together_or_not_at_all(database: Database) -> None:
    """Two refunds of 119.00 behind a credit note are asked for before either is decided: the second is refused, whole."""
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        invoice, payment = paid_invoice(world)
        first = way.ask(world, payment, 6000, invoice=invoice)
        with pytest.raises(AboveRefundable) as refused:
            way.ask(world, payment, 5901, invoice=invoice)
        assert refused.value.fields["limit_minor"] == 5900
        world.approve(first)
        posted = way.posted(world)
        with world.database.transaction() as session:
            session.execute(text("UPDATE payments SET refunded_minor = 11000 WHERE id = :id"), {"id": payment.id})
        with pytest.raises(AboveRefundable):
            way.ask(world, payment, 901, invoice=invoice)
        with world.database.transaction() as session:
            session.execute(text("UPDATE payments SET refunded_minor = 6000 WHERE id = :id"), {"id": payment.id})
        assert way.posted(world) == posted


def test_open_invoice_is_credited_before_money_is_refunded_behind_it(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        world = open_world(database, customer)
        invoice = invoicing.invoice_of(world.database, 10_000, code="billed")
        world.account_id, world.now = invoice.billing_account_id, max(NOW, invoicing.NOW)
        world.deliver(*customer.pay(world.start(5000, purpose="invoice", invoice_id=invoice.id)))
        with pytest.raises(AboveRefundable) as refused:
            way.ask(world, world.payments()[0], 1000, invoice=invoice)
    assert (refused.value.fields["reason"], refused.value.fields["limit_minor"]) == ("invoice_open", 0)


def test_failed_refund_behind_a_credit_note_leaves_the_money_in_the_wallet(database: Database) -> None:
    with customer_of("sandbox", database) as customer:
        customer.last4 = "5126"  # type: ignore[attr-defined]
        world = open_world(database, customer)
        invoice, payment = paid_invoice(world)
        refund = world.send(world.approve(way.ask(world, payment, 2380, invoice=invoice)))
        refund = refund_acts.refresh_refund(world.database, world.providers, now=world.now, refund_id=refund.id)
        assert (refund.state, refund.outcome, world.held("wallet")) == ("failed", "returned", 2380)
        again = world.ask(payment, 2380)  # the credit note stands: only the money goes again
        assert again.invoice_id is None
        assert way.ask(world, payment, 100, invoice=invoice).state == "requested"


def test_pending_refund_has_left_our_cash_and_comes_back_when_it_fails(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    with customer.peer.playing() as objects:
        objects.refunds_start_pending = True
    refund = world.send(world.approve(world.ask(payment, 2000)))
    assert (refund.state, refund.provider_status, way.posted(world)) == ("sent", "pending", [HELD, SENT])
    way.play(world, customer, lambda objects: objects.set_refund(refund.provider_refund_id, "failed", "declined"))
    ended = world.refund(refund)
    assert (ended.state, ended.outcome, ended.failure) == ("failed", "returned", "declined")
    assert way.posted(world) == [HELD, SENT, RETURNED]
    [(source_type, source_id)] = way.sources(world, "refund_return")
    assert (source_type, source_id) == (
        "balance_transaction",
        f"stripe:{(ended.provider_facts or {})['failure_source_id']}",
    )
    assert world.payments()[0].rest_minor == 5000


def test_pending_refund_that_arrives_posts_nothing_more(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    with customer.peer.playing() as objects:
        objects.refunds_start_pending = True
    refund = world.send(world.approve(world.ask(payment, 2000)))
    way.play(world, customer, lambda objects: objects.set_refund(refund.provider_refund_id, "succeeded"))
    assert (world.refund(refund).state, way.posted(world)) == ("succeeded", [HELD, SENT])


def test_failure_after_success_returns_the_money_once(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    refund = world.send(world.approve(world.ask(world.top_up(5000), 2000)))
    assert refund.state == "succeeded"
    for _ in range(2):
        way.play(world, customer, lambda objects: objects.set_refund(refund.provider_refund_id, "failed", "lost_card"))
    assert way.posted(world) == [HELD, SENT, RETURNED]
    assert [step for step, _ in way.steps(world, refund)][-3:] == ["booked", "succeeded", "returned"]


def test_refund_that_waits_for_the_customer_is_told_and_can_be_cancelled(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    with customer.peer.playing() as objects:
        objects.refunds_ask_customer = True
    refund = world.send(world.approve(world.ask(payment, 2000)))
    assert (refund.state, refund.provider_status, way.posted(world)) == ("sent", "requires_action", [HELD])
    with world.database.reading("jobs") as session:
        topics = session.scalars(select(OutboxMessage.topic).where(OutboxMessage.topic.like("refund.%"))).all()
    assert "refund.action_required" in topics
    for _ in range(2):  # the provider asks the customer for 45 days: nothing moves meanwhile
        world.later(days=10)
        assert acts.send_approved_refunds(world.database, world.providers, now=world.now) == 0
    ended = refund_acts.cancel_refund(
        world.database, world.providers, now=world.now, refund_id=refund.id, actor="usr_decider"
    )
    assert (ended.state, ended.outcome, ended.failure) == ("failed", "released", "canceled")
    assert way.posted(world) == [HELD, RELEASED]
    with pytest.raises(Conflict) as refused:
        refund_acts.cancel_refund(
            world.database, world.providers, now=world.now, refund_id=refund.id, actor="usr_decider"
        )
    assert refused.value.fields["reason"] == "refund_not_cancellable"


def test_customer_who_gives_the_details_gets_the_money(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    with customer.peer.playing() as objects:
        objects.refunds_ask_customer = True
    refund = world.send(world.approve(world.ask(payment, 2000)))
    way.play(world, customer, lambda objects: objects.set_refund(refund.provider_refund_id, "pending"))
    way.play(world, customer, lambda objects: objects.set_refund(refund.provider_refund_id, "succeeded"))
    assert (world.refund(refund).state, way.posted(world)) == ("succeeded", [HELD, SENT])


def test_only_what_waits_for_the_customer_is_cancelled_at_the_provider(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    refund = world.send(world.approve(world.ask(world.top_up(5000), 2000)))
    with pytest.raises(Conflict):
        refund_acts.cancel_refund(world.database, world.providers, now=world.now, refund_id=refund.id, actor="u")
    with pytest.raises(ProviderRefused):
        world.provider.cancel_refund(str(refund.provider_refund_id))


@pytest.mark.parametrize("fault", ["rate_limit", "error_500", "error_500_after", "drop_after"])
def test_whatever_the_provider_answers_the_money_goes_once(stripe_world: StripeWorld, fault: str) -> None:
    from billing.payments.recovery import unknown

    world, customer = stripe_world
    refund = world.approve(world.ask(world.top_up(5000), 2000))
    customer.peer.faults.add(fault, "/v1/refunds", method="POST")  # type: ignore[arg-type]
    assert world.send(refund).state in ("unknown", "sent", "succeeded")
    for _ in range(3):
        world.later(minutes=20)
        unknown.look_up_unknown(world.database, world.providers, now=world.now)
    if fault == "error_500":  # kept under the key for a day: looked up until then, never sent under another key
        world.later(hours=24)
        unknown.look_up_unknown(world.database, world.providers, now=world.now)
        assert (world.refund(refund).state, way.posted(world)) == ("failed", [HELD, RELEASED])
        return
    assert (world.refund(refund).state, way.posted(world)) == ("succeeded", [HELD, SENT])
    with customer.peer.playing() as objects:
        assert len(objects.all("refund")) == 1


def test_refund_of_a_disputed_charge_is_refused_by_the_provider_and_released(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    refund = world.approve(world.ask(payment, 2000))
    with customer.peer.playing() as objects:
        objects.all("charge")[0]["disputed"] = True
    ended = world.send(refund)
    assert (ended.state, ended.failure, way.posted(world)) == ("failed", "charge_disputed", [HELD, RELEASED])


def test_foreign_refund_is_a_case_that_two_people_adopt(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    params = {"payment_intent": payment.provider_payment_id, "amount": "2000"}
    told = way.play(world, customer, lambda objects: objects.create_refund(params))
    assert set(told) == {"processed"}
    [case] = way.cases(world)
    assert (case.state, case.amount_minor, way.posted(world)) == ("open", 2000, [])
    with pytest.raises(AboveRefundable) as refused:  # what has left already counts
        world.ask(payment, 3001)
    assert refused.value.fields["limit_minor"] == 3000
    asked = way.ask_adoption(world, case.id)
    assert way.ask_adoption(world, case.id).id == asked.id
    with pytest.raises(Conflict):
        way.ask_adoption(world, case.id, form_key="another tab")
    ended = world.approve(asked)
    assert (ended.state, ended.outcome, ended.origin) == ("succeeded", "refunded", "provider")
    assert way.posted(world) == [HELD, SENT]
    assert [found.state for found in way.cases(world)] == ["adopted"]
    way.play(world, customer, lambda objects: objects.set_refund(case.provider_refund_id, "failed", "lost_card"))
    assert (world.refund(ended).outcome, way.posted(world)) == ("returned", [HELD, SENT, RETURNED])


def test_foreign_refund_of_spent_money_is_adopted_behind_a_credit_note_or_leaves_the_wallet_owing(
    stripe_world: StripeWorld,
) -> None:
    world, customer = stripe_world
    invoice, payment = paid_invoice(world)
    for number, minor in enumerate((2380, 1000)):
        params = {"payment_intent": payment.provider_payment_id, "amount": str(minor)}
        way.play(world, customer, lambda objects, params=params: objects.create_refund(params))
        case = way.cases(world)[number]
        world.approve(way.ask_adoption(world, case.id, invoice=None if number else invoice, form_key=f"adopt-{number}"))
        assert world.held("wallet") == (-1000 if number else 0)
    assert world.payments()[0].refunded_minor == 3380


def test_rejected_adoption_leaves_the_case_open_for_another(stripe_world: StripeWorld) -> None:
    world, customer = stripe_world
    payment = world.top_up(5000)
    params = {"payment_intent": payment.provider_payment_id, "amount": "2000"}
    way.play(world, customer, lambda objects: objects.create_refund(params))
    [case] = way.cases(world)
    world.reject(way.ask_adoption(world, case.id), "Credit the invoice first")
    assert [found.state for found in way.cases(world)] == ["open"]
    again = world.approve(way.ask_adoption(world, case.id, form_key="again"))
    assert (again.state, way.posted(world)) == ("succeeded", [HELD, SENT])


@pytest.mark.tampers
def test_history_of_a_refund_cannot_be_changed(world: World) -> None:
    refund = world.ask(world.top_up(5000), 100)
    with pytest.raises(Exception, match=r"append-only|permission denied"), world.database.transaction() as session:
        session.execute(text("UPDATE refund_events SET type = 'approved'"))
    with world.database.reading() as session:
        assert session.scalars(select(RefundEvent.type).where(RefundEvent.refund_id == refund.id)).all() == [
            "requested"
        ]


@pytest.mark.tampers
def test_database_refuses_one_refund_of_the_provider_twice(stripe_world: StripeWorld) -> None:
    world, _customer = stripe_world
    payment = world.top_up(5000)
    first, second = (world.send(world.approve(world.ask(payment, 1000))) for _ in range(2))
    with pytest.raises(IntegrityError), world.database.transaction() as session:
        session.execute(
            text("UPDATE refund_requests SET provider_refund_id = :id WHERE id = :other"),
            {"id": first.provider_refund_id, "other": second.id},
        )


def test_asking_about_what_was_never_sent_is_refused(world: World) -> None:
    refund = world.ask(world.top_up(5000), 100)
    with pytest.raises(Conflict) as refused:
        refund_acts.refresh_refund(world.database, world.providers, now=world.now, refund_id=refund.id)
    assert refused.value.fields["reason"] == "nothing_to_ask"
    sent = world.send(world.approve(refund))
    with pytest.raises(Invalid):
        refund_acts.refresh_refund(world.database, {}, now=world.now, refund_id=sent.id)
