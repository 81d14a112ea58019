"""A coming change of plan is taken back as if it had never been asked for, and can be asked for again."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.assurance import selfcheck
from billing.catalog import plans, subscriptions
from billing.catalog.tables import Subscription
from billing.kernel.errors import Conflict, NotFound
from billing.rating import price_changes
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from tests.service.rating import world

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
NEXT_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def opened(database: Database) -> str:
    """An account on the plan `default`, and another plan that it may change to."""
    account_id = world.open_account(database, book=world.book("per_unit", code="book-a", unit_price="1"), code="calla")
    with database.transaction() as session:
        plans.create_plan(session, now=NOW, code="other", name="Other", book_code="book-a")
    return account_id


def change(database: Database, account_id: str, plan: str = "other") -> str:
    with database.transaction() as session:
        return price_changes.subscribe(
            session, now=NOW, account_id=account_id, plan_code=plan, valid_from=NEXT_YEAR, actor="usr_ann"
        ).id


def withdraw(database: Database, account_id: str, subscription_id: str, *, now: datetime = NOW) -> None:
    with database.transaction() as session:
        price_changes.withdraw(
            session, now=now, account_id=account_id, subscription_id=subscription_id, actor="usr_ann"
        )


def plans_of(database: Database, account_id: str) -> list[str]:
    with database.reading("jobs") as session:
        assert [one for one in selfcheck.run(session, now=NOW).differences if one.check != "audit"] == []
        return [row.plan_code for row in subscriptions.list_subscriptions(session, account_id)]


def test_a_coming_change_is_withdrawn_once_and_counts_for_nothing(database: Database) -> None:
    account_id = opened(database)
    before = plans_of(database, account_id)
    made = change(database, account_id)
    assert plans_of(database, account_id) == [*before, "other"]
    for _ in range(2):
        withdraw(database, account_id, made)
    assert plans_of(database, account_id) == before
    with database.reading() as session:
        stretch = subscriptions.plan_at(session, account_id, NEXT_YEAR + timedelta(days=1))
        assert stretch is not None
        assert (stretch.plan.code, stretch.until_at) == (before[-1], None)
        acts = session.scalars(select(AuditRecord.act).where(AuditRecord.subject_id == made)).all()
        assert sorted(acts) == ["subscription.create", "subscription.withdraw"]


def test_the_same_instant_can_have_another_change_afterwards(database: Database) -> None:
    account_id = opened(database)
    first = change(database, account_id)
    withdraw(database, account_id, first)
    second = change(database, account_id)
    assert change(database, account_id) == second != first
    with database.reading() as session:
        rows = session.scalars(select(Subscription.take).where(Subscription.valid_from == NEXT_YEAR)).all()
    assert sorted(rows) == [0, 1]
    assert plans_of(database, account_id)[-1] == "other"


def test_what_has_begun_and_what_is_anothers_stays(database: Database) -> None:
    account_id = opened(database)
    made = change(database, account_id)
    with pytest.raises(Conflict) as refused:
        withdraw(database, account_id, made, now=NEXT_YEAR)
    assert refused.value.fields["reason"] == "subscription_begun"
    with database.reading() as session:
        first = subscriptions.list_subscriptions(session, account_id)[0].id
    with pytest.raises(Conflict):
        withdraw(database, account_id, first)
    other = world.open_account(database, book=world.book("per_unit", code="book-b", unit_price="1"), code="brine")
    for subscription_id in (made, "sub_none", "\x00"):
        with pytest.raises(NotFound):
            withdraw(database, other, subscription_id)
    assert plans_of(database, account_id)[-1] == "other"
