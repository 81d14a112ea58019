"""Budgets against what the ledger holds, on both engines."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.accounts.tables import Project
from billing.catalog import onboarding
from billing.controls import budgets
from billing.controls.errors import BudgetNameTaken
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.money import Money
from billing.metering import ingest
from billing.metering.sources.port import EventFacts
from billing.rating import postings, rater
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNER = "usr_owner"


def _open(database: Database, code: str = "calla") -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW - timedelta(days=60), code=code).id


def _use_reports(database: Database, account_id: str, count: int, event_id: str, project: str | None = None) -> None:
    """`count` analytics reports at 0.25 USD each, rated and posted."""
    event = EventFacts(
        source="test", source_id=event_id, account_id=account_id, meter_code="report", quantity_base=count,
        start_at=NOW - timedelta(days=1), end_at=NOW - timedelta(days=1), project_code=project,
    )  # fmt: skip
    with database.transaction("jobs") as session:
        assert [result.status for result in ingest.ingest_events(session, [event], now=NOW)] == ["accepted"]
        rater.rate_account(session, now=NOW, account_id=account_id, limit=1000)
        postings.post_account(session, now=NOW, account_id=account_id)


def _create(
    database: Database, account_id: str, minor: int = 10_000, name: str = "Compute", project_id: str | None = None
) -> str:
    with database.transaction() as session:
        return budgets.create(
            session, now=NOW, account_id=account_id, name=name, amount=Money(minor=minor, currency="USD"),
            thresholds_percent=[50, 80, 100], actor=OWNER, project_id=project_id,
        )  # fmt: skip


def _evaluate(database: Database, account_id: str, at: datetime = NOW) -> int:
    with database.transaction("jobs") as session:
        return budgets.evaluate(session, now=at, account_id=account_id)


def test_each_threshold_is_told_once_a_month_however_often_it_is_seen(database: Database) -> None:
    account_id = _open(database)
    policy_id = _create(database, account_id)  # 100.00
    _use_reports(database, account_id, 240, "a")  # 60.00
    assert _evaluate(database, account_id) == 1
    assert _evaluate(database, account_id, NOW + timedelta(hours=1)) == 0
    _use_reports(database, account_id, 160, "b")  # 100.00 in all
    assert _evaluate(database, account_id, NOW + timedelta(hours=2)) == 2
    with database.reading() as session:
        events = budgets.list_events(session, account_id=account_id, policy_id=policy_id)
        notices = session.scalars(select(OutboxMessage.payload).where(OutboxMessage.topic == "budget.crossed")).all()
    assert {(e.threshold_percent, e.seen_count, e.amount_minor) for e in events} == {
        (50, 3, 10_000),
        (80, 1, 10_000),
        (100, 1, 10_000),
    }
    assert sorted(notice["threshold_percent"] for notice in notices) == [50, 80, 100]


def test_spending_is_what_the_ledger_holds_of_the_month(database: Database) -> None:
    account_id = _open(database)
    _create(database, account_id)
    _use_reports(database, account_id, 3, "a")
    with database.reading() as session:
        assert [row.spent_minor for row in budgets.list_budgets(session, now=NOW, account_id=account_id)] == [75]
        after = budgets.list_budgets(session, now=datetime(2026, 12, 1, tzinfo=UTC), account_id=account_id)
    assert [(row.spent_minor, row.period_label) for row in after] == [(0, "2026-12")]


def test_a_projects_budget_counts_its_own_usage_only(database: Database) -> None:
    account_id = _open(database)
    _use_reports(database, account_id, 200, "a", project="vision")  # 50.00
    _use_reports(database, account_id, 400, "b", project="speech")
    with database.reading() as session:
        project_id = session.scalars(select(Project.id).where(Project.code == "vision")).one()
    policy_id = _create(database, account_id, project_id=project_id)
    with database.reading() as session:
        assert budgets.get_budget(session, now=NOW, account_id=account_id, policy_id=policy_id).spent_minor == 5_000
    assert _evaluate(database, account_id) == 1


def test_an_inactive_budget_tells_nothing(database: Database) -> None:
    account_id = _open(database)
    policy_id = _create(database, account_id)
    _use_reports(database, account_id, 800, "a")
    with database.transaction() as session:
        budgets.update(
            session, now=NOW, account_id=account_id, policy_id=policy_id, name="Compute", is_active=False, actor=OWNER,
            amount=Money(minor=10_000, currency="USD"), thresholds_percent=[50],
        )  # fmt: skip
    assert _evaluate(database, account_id) == 0
    with database.reading("jobs") as session:
        assert account_id not in budgets.accounts_with_budgets(session)


def test_what_cannot_be_a_budget_is_refused(database: Database) -> None:
    account_id, stranger_id = _open(database), _open(database, "taifl")
    policy_id = _create(database, account_id)
    with pytest.raises(BudgetNameTaken):
        _create(database, account_id)
    with pytest.raises(Invalid):
        _create(database, account_id, minor=0, name="Zero")
    with pytest.raises(Invalid), database.transaction() as session:
        budgets.create(
            session, now=NOW, account_id=account_id, name="Euro", amount=Money(minor=1, currency="EUR"),
            thresholds_percent=[50], actor=OWNER,
        )  # fmt: skip
    with pytest.raises(NotFound), database.reading() as session:
        budgets.get_budget(session, now=NOW, account_id=stranger_id, policy_id=policy_id)
