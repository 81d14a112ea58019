"""Reconciliation: whole books differ nowhere, each stage speaks of the row that was altered, and findings live as long as they are so."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, func, select, text
from sqlalchemy.orm import Session

from billing.assurance import reconciliation, reconciliation_findings
from billing.assurance.reconciliation import Comparison
from billing.assurance.reconciliation_findings import Filters
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.metering.tables import UsageRecord
from billing.rating.tables import BillingPeriod, RatedLine
from billing.storage.database import Database, DatabaseUrls, owner_engine
from billing.storage.tables import AuditRecord
from tests import staff
from tests.service.assurance.test_tampering import put_guards_aside
from tests.service.assurance.walk import LATER, Walk, walk
from tests.service.rating import world as rating_world

MUCH_LATER = LATER + timedelta(days=30)
WAITS = ("usage_rated", "token_input/no_price")  # what the walk has no price for: the one true difference in its books


def _settle(database: Database, found: Walk) -> None:
    """Bring what the walk left under way to its end."""
    for account_id in (found.account_id, found.other_id):
        rating_world.rate(database, account_id)
        rating_world.post(database, account_id)


def _compare(session: Session, *, now: datetime = MUCH_LATER, period: str | None = None) -> Comparison:
    return reconciliation.compare(session, now=now, period_label=period)


def _told(comparison: Comparison) -> list[tuple[str, str]]:
    return [(found.stage, found.subject_id) for found in comparison.found]


def test_whole_books_differ_nowhere_and_every_stage_has_looked(database: Database) -> None:
    _settle(database, walk(database))
    with database.reading("jobs") as session:
        found = _compare(session)
        assert _told(found) == [WAITS]
        looked = {stage.name: stage.looked for stage in found.stages}
        assert list(looked) == [rule.name for rule in reconciliation.STAGES]
        assert all(looked.values()), looked
        assert looked["usage_rated"] == session.scalar(select(func.count()).select_from(UsageRecord))
        assert looked["rated_posted"] == session.scalar(select(func.count()).select_from(RatedLine))
        for name in ("posted_ledger", "unbilled_charges", "charges_lines", "documents_receivable", "settlements"):
            stage = next(stage for stage in found.stages if stage.name == name)
            for currency, sums in stage.sums.items():
                assert len(set(sums.values())) == 1, (name, currency, sums)
        [label] = session.scalars(select(BillingPeriod.label).distinct()).all()
        month, another = _compare(session, period=label), _compare(session, period="2011-01")
        assert (_told(month), _told(another)) == ([WAITS], [])
        assert month.checked == found.checked > another.checked


def test_what_is_young_is_under_way_and_what_is_old_is_missing(database: Database) -> None:
    found = walk(database)  # the second account has lines that are not posted and usage that nobody looked at
    with database.reading("jobs") as session:
        recorded_at = session.scalar(select(func.max(UsageRecord.recorded_at)))
        rated_at = session.scalar(select(func.max(RatedLine.rated_at)))
        assert recorded_at is not None
        assert rated_at is not None
        young = _compare(session, now=min(recorded_at, rated_at))
        assert {stage.name: stage.under_way > 0 for stage in young.stages if stage.under_way} == {
            "usage_rated": True,
            "rated_posted": True,
        }
        old = _compare(session, now=max(recorded_at, rated_at) + timedelta(hours=1))
    told = {(each.stage, each.facts.get("reason") or each.subject_id): each for each in old.found}
    assert set(told) >= {("usage_rated", "not_looked_at"), ("rated_posted", "not_posted")}
    waiting = told["usage_rated", "not_looked_at"]
    assert waiting.billing_account_id == found.other_id
    assert waiting.facts["rows"] == 1
    unposted = told["rated_posted", "not_posted"]
    assert (unposted.currency, unposted.facts["rows"]) == ("USD", 2)


# What is done to which row, which stage must name it, and the row's type.
FAULTS: dict[str, tuple[str, str, str]] = {
    "a movement of another amount": (
        "provider_cash",
        "SELECT id FROM provider_balance_transactions WHERE type = 'charge'",
        "UPDATE provider_balance_transactions SET amount_minor = amount_minor + 1, net_minor = net_minor + 1 WHERE id = :id",
    ),
    "a movement that is gone": (
        "provider_cash",
        "SELECT transaction_id FROM provider_balance_explanations WHERE part = 'fee'",
        "DELETE FROM provider_balance_explanations WHERE transaction_id = :id",
    ),
    "a stated balance of another amount": (
        "provider_balance",
        "SELECT provider || ':' || currency FROM provider_balances",
        "UPDATE provider_balances SET pending_minor = pending_minor + 1 WHERE provider || ':' || currency = :id",
    ),
    "a payout of another amount": (
        "provider_payouts",
        "SELECT id FROM provider_payouts",
        "UPDATE provider_payouts SET amount_minor = amount_minor + 1 WHERE id = :id",
    ),
    "a movement that no payout took along": (
        "provider_payouts",
        "SELECT id FROM provider_payouts",
        "UPDATE provider_balance_transactions SET paid_out_by = NULL WHERE type = 'charge' AND :id <> ''",
    ),
    "a rated line of another quantity": (
        "usage_rated",
        "SELECT usage_record_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "UPDATE rated_usage_lines SET quantity_base = '7' WHERE usage_record_id = :id",
    ),
    "usage without its line": (
        "usage_rated",
        "SELECT usage_record_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "DELETE FROM rated_usage_lines WHERE usage_record_id = :id",
    ),
    "a line that was added to a charge": (
        "rated_posted",
        "SELECT charge_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "UPDATE rated_usage_lines SET quantity_base = '7' WHERE id = (SELECT min(id) FROM rated_usage_lines WHERE charge_id = :id)",
    ),
    "a line of another amount": (
        "rated_posted",
        "SELECT charge_id FROM rated_usage_lines ORDER BY id LIMIT 1",
        "UPDATE rated_usage_lines SET amount_micro = '987654321000' WHERE id = (SELECT min(id) FROM rated_usage_lines WHERE charge_id = :id)",
    ),
    "a charge that says more than its postings": (
        "rated_posted",
        "SELECT id FROM charges WHERE posting_seq > 0 ORDER BY id LIMIT 1",
        "UPDATE charges SET posted_minor = posted_minor + 1 WHERE id = :id",
    ),
    "a posting of another amount": (
        "posted_ledger",
        "SELECT transaction_id FROM postings ORDER BY id LIMIT 1",
        "UPDATE postings SET increment_minor = increment_minor + 1 WHERE id = (SELECT min(id) FROM postings WHERE transaction_id = :id)",
    ),
    "a posting that is gone": (
        "posted_ledger",
        "SELECT transaction_id FROM ledger_entries WHERE kind = 'usage_debit' ORDER BY id LIMIT 1",
        "DELETE FROM postings WHERE transaction_id = :id",
    ),
    "an entry of another amount": (
        "posted_ledger",
        "SELECT transaction_id FROM ledger_entries WHERE kind = 'usage_debit' ORDER BY id LIMIT 1",
        "UPDATE ledger_entries SET amount_minor = amount_minor + 3 WHERE kind = 'usage_debit' AND transaction_id = :id",
    ),
    "an open charge of another amount": (
        "unbilled_charges",
        "SELECT billing_account_id FROM charges WHERE draft_id IS NULL ORDER BY id LIMIT 1",
        "UPDATE charges SET posted_minor = posted_minor + 5 WHERE draft_id IS NULL AND billing_account_id = :id",
    ),
    "a billed charge of another amount": (
        "charges_lines",
        "SELECT id FROM charges WHERE draft_id IS NOT NULL ORDER BY id LIMIT 1",
        "UPDATE charges SET posted_minor = posted_minor + 5 WHERE id = :id",
    ),
    "a billed charge without its line": (
        "charges_lines",
        "SELECT id FROM charges WHERE draft_id IS NOT NULL ORDER BY id LIMIT 1",
        "DELETE FROM invoice_lines WHERE charge_id = :id",
    ),
    "a line of somebody else's charge": (
        "charges_lines",
        "SELECT l.id FROM invoice_lines l JOIN invoice_headers h ON h.id = l.invoice_id WHERE h.kind = 'invoice' ORDER BY l.id LIMIT 1",
        "UPDATE charges SET draft_id = NULL WHERE id = (SELECT charge_id FROM invoice_lines WHERE id = :id)",
    ),
    "a document of another total": (
        "documents_receivable",
        "SELECT id FROM invoice_headers WHERE kind = 'invoice' ORDER BY id LIMIT 1",
        "UPDATE invoice_headers SET total_minor = total_minor + 1 WHERE id = :id",
    ),
    "a credit note of another total": (
        "documents_receivable",
        "SELECT id FROM invoice_headers WHERE kind = 'credit_note' ORDER BY id LIMIT 1",
        "UPDATE invoice_headers SET total_minor = total_minor + 1 WHERE id = :id",
    ),
    "a settlement that is gone": (
        "settlements",
        "SELECT transaction_id FROM invoice_settlements ORDER BY id LIMIT 1",
        "DELETE FROM invoice_settlements WHERE transaction_id = :id",
    ),
    "a settlement of another amount": (
        "settlements",
        "SELECT transaction_id FROM invoice_settlements ORDER BY id LIMIT 1",
        "UPDATE invoice_settlements SET amount_minor = amount_minor + 1 WHERE transaction_id = :id",
    ),
    "a payment that settled nothing": (
        "settlements",
        "SELECT transaction_id FROM ledger_entries WHERE kind = 'wallet_apply' ORDER BY id LIMIT 1",
        "UPDATE ledger_entries SET amount_minor = amount_minor + 1 WHERE kind = 'wallet_apply' AND transaction_id = :id",
    ),
}


@contextmanager
def _owner(database: Database, urls: DatabaseUrls) -> Iterator[Connection]:
    engine = owner_engine(urls)
    try:
        with engine.connect() as connection:
            put_guards_aside(connection)
            yield connection
            connection.rollback()
    finally:
        engine.dispose()


@pytest.mark.tampers
def test_each_stage_names_the_row_that_was_altered(database: Database, database_urls: DatabaseUrls) -> None:
    _settle(database, walk(database))
    missed = []
    with _owner(database, database_urls) as connection:
        for name, (stage, which, fault) in FAULTS.items():
            savepoint = connection.begin_nested()
            row_id = connection.execute(text(which)).scalar_one()
            connection.execute(text(fault), {"id": row_id})
            with Session(bind=connection, join_transaction_mode="rollback_only") as session:
                told = _told(_compare(session))
            savepoint.rollback()
            if (stage, row_id) not in told:
                missed.append((name, row_id, told))
        with Session(bind=connection, join_transaction_mode="rollback_only") as session:
            assert _told(_compare(session)) == [WAITS]
    assert not missed
    assert {stage for stage, _, _ in FAULTS.values()} == {rule.name for rule in reconciliation.STAGES}


def _run(database: Database, *, now: datetime = MUCH_LATER, period: str | None = None) -> str:
    with database.reading("jobs") as session:
        comparison = _compare(session, now=now, period=period)
    with database.transaction("jobs") as session:
        return reconciliation.record(session, now=now, comparison=comparison, actor="test")


def _listed(database: Database, **filters: Any) -> list[reconciliation_findings.FindingRow]:
    """Findings, but for the usage that has no price."""
    with database.reading("jobs") as session:
        rows = reconciliation_findings.list_findings(session, Filters(**filters))
    return [row for row in rows if row.subject_id != WAITS[1]]


def test_a_finding_is_one_however_often_it_is_seen_closes_when_gone_and_comes_back_as_new(database: Database) -> None:
    found = walk(database)
    hour = timedelta(hours=1)
    first_run = _run(database)
    seen = _listed(database, stage="usage_rated")
    assert [(row.subject_id.rpartition("/")[2], row.state, row.first_run_id) for row in seen] == [
        ("not_looked_at", "open", first_run)
    ]
    second_run = _run(database, now=MUCH_LATER + hour)
    again = _listed(database, stage="usage_rated")
    assert [(row.id, row.first_run_id, row.last_run_id) for row in again] == [(seen[0].id, first_run, second_run)]
    assert again[0].age_s(MUCH_LATER + 2 * hour) == 7200
    with database.reading("jobs") as session:
        runs = reconciliation_findings.list_runs(session)
        assert [(row.id, row.new_count > 0) for row in runs] == [(second_run, False), (first_run, True)]
        assert runs[0].checked_count > 0
        assert runs[0].stages["usage_rated"]["differences"] == 2
    _settle(database, found)
    _run(database, now=MUCH_LATER + 2 * hour)
    assert _listed(database) == []
    [closed] = _listed(database, state="closed", stage="usage_rated")
    assert (closed.id, closed.closed_at) == (seen[0].id, MUCH_LATER + 2 * hour)
    rating_world.use(database, found.other_id, rating_world.Use(8, "b"))
    _run(database, now=MUCH_LATER + 3 * hour)
    [new] = _listed(database)
    assert new.id != seen[0].id
    assert new.first_seen_at == MUCH_LATER + 3 * hour


def test_a_run_over_one_month_leaves_findings_of_other_months_alone(database: Database) -> None:
    walk(database)
    _run(database)
    before = {row.id for row in _listed(database)}
    assert before
    _run(database, now=MUCH_LATER + timedelta(hours=1), period="2011-01")
    assert {row.id for row in _listed(database)} == before


def test_somebody_looks_after_a_finding_and_explains_it_until_its_figures_change(database: Database) -> None:
    found = walk(database)
    with database.transaction("jobs") as session:
        staff.hire(session, staff.MAKER, role="maker")
    _run(database)
    [finding] = _listed(database, stage="usage_rated")
    with database.transaction("jobs") as session:
        reconciliation_findings.assign(
            session, now=LATER, finding_id=finding.id, owner=staff.MAKER, actor=staff.CHECKER
        )
        reconciliation_findings.explain(
            session, now=LATER, finding_id=finding.id, explanation="  The feed is\nlate. ", actor=staff.MAKER
        )
    [row] = _listed(database, stage="usage_rated", owner=staff.MAKER)
    assert (row.state, row.explanation, row.owner_name) == ("explained", "The feed is late.", "Maker")
    with database.reading("jobs") as session:
        acts = session.scalars(select(AuditRecord.act).where(AuditRecord.subject_id == finding.id)).all()
    assert sorted(acts) == ["reconciliation.assign", "reconciliation.explain"]
    _run(database, now=MUCH_LATER + timedelta(hours=1))
    assert _listed(database, stage="usage_rated")[0].state == "explained"
    rating_world.use(database, found.other_id, rating_world.Use(9, "b"))
    _run(database, now=MUCH_LATER + timedelta(hours=2))
    [row] = _listed(database, stage="usage_rated")
    assert (row.id, row.state, row.facts["rows"]) == (finding.id, "open", 2)


def test_what_cannot_be_assigned_or_explained_is_refused(database: Database) -> None:
    found = walk(database)
    with database.transaction("jobs") as session:
        staff.hire(session, staff.MAKER, role="maker")
    _run(database)
    [finding] = _listed(database, stage="usage_rated")

    def refused(error: type[Exception], act: Any, **arguments: Any) -> None:
        with pytest.raises(error), database.transaction("jobs") as session:
            act(session, now=LATER, actor=staff.MAKER, **arguments)

    refused(NotFound, reconciliation_findings.assign, finding_id="rcf_none", owner=staff.MAKER)
    refused(NotFound, reconciliation_findings.explain, finding_id="\x00", explanation="x")
    refused(Invalid, reconciliation_findings.assign, finding_id=finding.id, owner="usr_nobody")
    refused(Invalid, reconciliation_findings.explain, finding_id=finding.id, explanation="   ")
    _settle(database, found)
    _run(database, now=MUCH_LATER + timedelta(hours=1))
    refused(Conflict, reconciliation_findings.explain, finding_id=finding.id, explanation="late")


def test_a_month_that_is_none_is_refused(database: Database) -> None:
    with database.reading("jobs") as session, pytest.raises(Invalid):
        _compare(session, period="2016-13")
