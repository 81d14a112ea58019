"""Refunds as approvals: bound to their content, ended with them, and made for requests that are older than approvals."""

import importlib
from datetime import timedelta

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import select, text

from billing.accounts import approval_list, approvals
from billing.accounts.access_tables import Approval
from billing.accounts.errors import ApprovalExpired, ContentChanged, NotAllowed
from billing.controls import second_person
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.payments import acts, refund_decisions, refunds
from billing.payments.refunds import RefundRow
from billing.storage.database import Database, DatabaseUrls, Session, owner_engine
from billing.storage.tables import OutboxMessage
from tests.service.payments.world import ASKER, DECIDER, World, customer_of, open_world

REVISION = "migrations.versions.0018_approvals_of_refunds"


@pytest.fixture
def world(database: Database) -> World:
    with customer_of("sandbox", database) as customer:
        return open_world(database, customer)


def as_owner(urls: DatabaseUrls, statement: str, **values: object) -> None:
    engine = owner_engine(urls)
    with engine.begin() as owner:
        owner.execute(text(statement), values)
    engine.dispose()


def approval_of(world: World, refund: RefundRow) -> approval_list.ApprovalRow:
    with world.database.reading() as session:
        return approval_list.get_approval(session, str(refund.approval_id))


def test_asking_for_a_refund_asks_for_its_approval(world: World) -> None:
    payment = world.top_up(5000)
    refund = world.ask(payment, 2000)
    row = approval_of(world, refund)
    assert (row.act, row.subject_id, row.maker, row.state) == ("refund.card", refund.id, ASKER, "requested")
    assert row.content == {
        "refund_id": refund.id,
        "account_id": world.account_id,
        "mode": "card",
        "payment_id": payment.id,
        "invoice_id": None,
        "amount_minor": 2000,
        "currency": "USD",
    }
    assert row.expires_at == world.now + timedelta(days=30)
    world.approve(refund)
    assert approval_of(world, refund).state == "approved"


@pytest.mark.tampers
@pytest.mark.parametrize("change", ["amount_minor = 4000", "currency = 'EUR'"])
def test_a_refund_altered_after_it_was_asked_for_is_not_approved(
    world: World, database_urls: DatabaseUrls, change: str
) -> None:
    refund = world.ask(world.top_up(5000), 2000)
    as_owner(database_urls, f"UPDATE refund_requests SET {change} WHERE id = :id", id=refund.id)
    with pytest.raises(ContentChanged) as refused:
        world.approve(refund)
    assert refused.value.fields["reason"] == "content_changed"
    assert (world.refund(refund).state, world.held("wallet"), world.held("refund_pending")) == ("requested", 5000, 0)
    assert world.reject(refund, "Altered").state == "rejected"


def test_a_refund_cannot_be_carried_out_or_sent_without_its_approval(world: World) -> None:
    payment = world.top_up(5000)
    refund, other = world.ask(payment, 2000), world.ask(payment, 1000)
    for forged in (None, object()):
        with pytest.raises(NotAllowed), world.database.transaction() as session:
            refund_decisions.carry_out(session, now=world.now, refund_id=refund.id, allowed=forged)  # type: ignore[arg-type]
    with pytest.raises(NotAllowed), world.database.transaction() as session:
        carry_out_with_anothers(session, world, refund, other)
    assert acts.send_approved_refunds(world.database, world.providers, now=world.now) == 0
    assert world.send(refund).state == "requested"
    assert (world.held("wallet"), world.held("refund_pending")) == (5000, 0)


def test_a_withdrawn_refund_ends_and_its_amount_may_be_asked_for_again(world: World) -> None:
    payment = world.top_up(5000)
    refund = world.ask(payment, 5000)
    with world.database.transaction() as session:
        second_person.withdraw(session, now=world.now, approval_id=str(refund.approval_id), maker=ASKER)
    ended = world.refund(refund)
    assert (ended.state, ended.approval_state, ended.decided_by) == ("rejected", "withdrawn", None)
    assert world.send(world.approve(world.ask(payment, 5000))).state == "succeeded"


def test_a_refund_that_nobody_decides_in_time_ends_and_says_so(world: World) -> None:
    refund = world.ask(world.top_up(5000), 5000)
    world.later(days=30)
    with pytest.raises(ApprovalExpired):
        world.approve(refund)
    context = JobContext(database=world.database, providers=world.providers, now=world.now)
    assert [steps.approvals(context), steps.approvals(context)] == [1, 0]
    ended = world.refund(refund)
    assert (ended.state, ended.approval_state, world.held("wallet")) == ("rejected", "expired", 5000)
    with world.database.reading("jobs") as session:
        topics = session.scalars(select(OutboxMessage.topic).order_by(OutboxMessage.id)).all()
    assert [topic for topic in topics if topic.startswith("refund.")] == ["refund.requested", "refund.rejected"]


def test_requests_older_than_approvals_get_one_that_can_be_decided(world: World, database_urls: DatabaseUrls) -> None:
    payment = world.top_up(5000)
    waiting, decided, new = world.ask(payment, 2000), world.approve(world.ask(payment, 500)), world.ask(payment, 100)
    as_owner(database_urls, "DELETE FROM approvals WHERE id = :id", id=waiting.approval_id)
    revision = importlib.import_module(REVISION)
    engine = owner_engine(database_urls)
    for _ in range(2):  # a second run finds nothing to do
        with engine.begin() as owner, Operations.context(MigrationContext.configure(owner)):
            revision.upgrade()
    engine.dispose()
    with world.database.reading() as session:
        made = session.scalars(select(Approval).where(Approval.subject_id == waiting.id)).all()
        assert (
            session.scalars(select(Approval.subject_id).where(Approval.state == "requested")).all().count(new.id) == 1
        )
        assert [(row.act, row.maker, row.reason) for row in made] == [("refund.card", ASKER, waiting.reason)]
        assert approvals.is_intact(made[0])
    assert world.refund(decided).approval_state == "approved"
    assert world.send(world.approve(world.refund(waiting))).state == "succeeded"
    assert world.held("wallet") == 2500


def carry_out_with_anothers(session: Session, world: World, refund: RefundRow, other: RefundRow) -> None:
    """Try one refund with what was allowed for another."""
    allowed = approvals.approve(
        session,
        now=world.now,
        approval_id=str(other.approval_id),
        content_hash=str(other.content_hash),
        checker=DECIDER,
        content=refunds.get_content(session, other.id),
    )
    refund_decisions.carry_out(session, now=world.now, refund_id=refund.id, allowed=allowed)
