"""A month's run: who waits for a draft, the dry run that writes nothing, review, and outliers that ask for a reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from billing.accounts import profiles
from billing.accounts.tables import Seller
from billing.assurance.schema import metadata
from billing.invoicing import batches, drafts, dry_runs, invoices, issue, reviews, runs, waiting
from billing.invoicing.errors import NotADraft, OutlierNeedsReason
from billing.jobs import steps, works
from billing.jobs.context import JobContext
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, OCTOBER, Use

IN_SEPTEMBER = datetime(2026, 9, 10, tzinfo=UTC)
ENDED = datetime(2026, 11, 1, tzinfo=UTC)


def context(database: Database, now: datetime = NOW) -> JobContext:
    return JobContext(database=database, providers={}, now=now)


def two_months(database: Database, code: str, september: int, october: int) -> str:
    account_id = world.open_account(database, code)
    if september:
        world.used(database, account_id, Use(september, at=IN_SEPTEMBER))
        world.issued(database, account_id, period="2026-09")
    if october:
        world.used(database, account_id, Use(october))
    return account_id


def counted(database: Database) -> dict[str, int]:
    """Rows of every table but the works and their answers."""
    with database.reading("jobs") as session:
        return {
            table: session.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
            for table in sorted(metadata.tables)
            if table not in ("works", "invoice_dry_run_rows", "audit_log")
        }


def test_a_month_is_drafted_when_its_grace_for_late_usage_is_over_and_once(database: Database) -> None:
    account_id = two_months(database, "acme-1", 0, 10_000)
    with database.transaction("jobs") as session:
        seller_id = session.scalars(select(Seller.id)).one()
        waiting.set_grace(session, now=NOW, seller_id=seller_id, hours=48, actor="usr_mia")
    for hours, is_waiting in ((0, False), (47, False), (48, True)):
        now = ENDED + timedelta(hours=hours)
        with database.reading() as session:
            found = waiting.list_waiting(session, now=now)
            seen = waiting.drafting(session, now=now, period_label=OCTOBER)
        assert found == ([(account_id, OCTOBER)] if is_waiting else [])
        assert (seen.waiting, seen.in_grace) == (int(is_waiting), int(not is_waiting))
    assert steps.invoices(context(database, ENDED + timedelta(hours=1))) == 0
    assert steps.invoices(context(database, ENDED + timedelta(hours=48))) == 1
    # Usage that comes while the draft is open waits for the next document, and the account is not asked again.
    world.used(database, account_id, Use(5))
    assert steps.invoices(context(database)) == 0
    with database.reading() as session:
        assert waiting.drafting(session, now=NOW, period_label=OCTOBER) == waiting.Drafting(
            drafted=1, waiting=0, in_grace=0, grace_until=None
        )


def test_a_draft_by_hand_does_not_wait_for_late_usage(database: Database) -> None:
    account_id = two_months(database, "acme-1", 0, 10_000)
    world.move_seller(database, grace_hours=48)
    world.draft(database, account_id, now=ENDED)


@pytest.mark.parametrize("hours", [-1, 337])
def test_a_grace_beyond_two_weeks_or_below_zero_is_refused(database: Database, hours: int) -> None:
    world.open_account(database)
    with database.transaction("jobs") as session:
        seller_id = session.scalars(select(Seller.id)).one()
        with pytest.raises(Invalid):
            waiting.set_grace(session, now=NOW, seller_id=seller_id, hours=hours, actor="u")


def test_a_dry_run_writes_nothing_and_says_what_would_be_drafted_refused_and_is_missing(
    database: Database,
) -> None:
    two_months(database, "a-same", 10_000, 10_500)
    two_months(database, "b-look", 10_000, 20_000)
    two_months(database, "c-outlier", 10_000, 40_000)
    incomplete = two_months(database, "d-incomplete", 10_000, 10_000)
    two_months(database, "e-missing", 10_000, 0)
    with database.transaction("jobs") as session:
        profiles.get_profile(session, incomplete).city = " "
    with database.transaction("jobs") as session:
        work_id = works.ask(
            session, now=NOW, kind="invoice-dry-run", facts={"period": OCTOBER}, form_key="k", actor="usr_ann"
        )
    before = counted(database)
    assert works.do_waiting(context(database)) == 1
    assert counted(database) == before
    with database.reading() as session:
        rows = dry_runs.list_rows(session, work_id=work_id, show=None)
        counts = dry_runs.counts(session, work_id=work_id)
        totals = dry_runs.totals(session, work_id=work_id)
        assert invoices.count_invoices(session, now=NOW, period_label=OCTOBER) == 0
    assert [(row.account_code, row.state, row.finding, row.change) for row in rows] == [
        ("a-same", "ready", None, None),
        ("b-look", "ready", "look", "risen"),
        ("c-outlier", "ready", "outlier", "risen"),
        ("d-incomplete", "refused", None, None),
        ("e-missing", "missing", None, None),
    ]
    assert (rows[3].refusal_code, (rows[3].refusal_facts or {})["missing"]) == ("profile_incomplete", "city")
    assert counts == {"": 5, "outlier": 1, "look": 1, "refused": 1, "missing": 1}
    assert [(total.currency, total.count, total.net_minor) for total in totals] == [("USD", 4, 80_500)]
    with database.reading() as session:
        first = dry_runs.list_rows(session, work_id=work_id, show=None, sort="-net", limit=1)
        assert [row.account_code for row in first] == ["c-outlier"]
        assert len(list(dry_runs.stream_rows(session, work_id=work_id))) == 5
    # What the dry run said is what the drafts say.
    steps.invoices(context(database))
    with database.reading() as session:
        run = runs.get_run(session, period_label=OCTOBER)
    said = {row.account_code: (row.net_minor, row.total_minor) for row in rows if row.state != "missing"}
    assert {item.account_code: (item.net_minor, item.total_minor) for item in run.items} == said
    assert [one.account_code for one in run.missing] == ["e-missing"]


def test_an_outlier_is_approved_with_a_reason_only_and_who_looked_is_kept(database: Database) -> None:
    account_id = two_months(database, "acme-1", 10_000, 40_000)
    draft_id = world.draft(database, account_id)
    for actor in ("usr_ann", "usr_ann", "usr_bob"):
        with database.transaction() as session:
            reviews.start(session, now=NOW, draft_id=draft_id, actor=actor)
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=draft_id).row.state == "in_review"
        assert invoices.count_invoices(session, now=NOW, states=("in_review",)) == 1
    with pytest.raises(OutlierNeedsReason), database.transaction() as session:
        reviews.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann", outlier_reason="  ")
    with database.transaction() as session:
        reviews.approve(session, now=NOW, draft_id=draft_id, actor="usr_ann", outlier_reason="They train now")
    with database.transaction() as session:
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.reading() as session:
        found = invoices.get_invoice(session, now=NOW, key=draft_id)
    assert found.row.state == "issued"
    happened = [(event.type, event.actor) for event in found.events]
    assert [each for each in happened if each[0] == "review_started"] == [
        ("review_started", "usr_ann"),
        ("review_started", "usr_bob"),
    ]
    accepted = next(event for event in found.events if event.type == "outlier_accepted")
    assert accepted.facts == {"change": "risen", "reason": "They train now"}
    with pytest.raises(NotADraft), database.transaction() as session:
        reviews.start(session, now=NOW, draft_id=draft_id, actor="usr_ann")


def test_many_are_approved_at_once_and_outliers_wait_for_a_reason(database: Database) -> None:
    ids = [
        world.draft(database, two_months(database, "a-same", 10_000, 10_000)),
        world.draft(database, two_months(database, "b-outlier", 10_000, 40_000)),
    ]
    for key, reason, refused in (("one", None, 1), ("two", "Checked with both", 0)):
        with database.transaction() as session:
            batch_id = batches.start(
                session,
                now=NOW,
                act="approve",
                period_label=OCTOBER,
                invoice_ids=batches.eligible_ids(session, act="approve", invoice_ids=ids),
                form_key=key,
                actor="usr_ann",
                outlier_reason=reason,
            )
        steps.invoice_batches(context(database))
        with database.reading() as session:
            progress = batches.get_progress(session, batch_id=batch_id)
        assert (progress.is_ended, progress.refused) == (True, refused)
    with database.reading() as session:
        states = session.execute(select(func.count()).select_from(text("invoice_headers WHERE state = 'approved'")))
        assert states.scalar_one() == 2


def test_own_terms_of_an_account_move_the_due_date(database: Database) -> None:
    account_id = two_months(database, "acme-1", 0, 10_000)
    with database.transaction("jobs") as session:
        session.execute(text("UPDATE billing_accounts SET payment_terms_days = 45 WHERE code = 'acme-1'"))
    header = world.issued(database, account_id)
    assert header.due_on is not None
    assert header.issued_on is not None
    assert (header.due_on - header.issued_on).days == 45


def test_a_discount_sends_a_draft_in_review_back(database: Database) -> None:
    draft_id = world.draft(database, two_months(database, "acme-1", 0, 10_000))
    with database.transaction() as session:
        reviews.start(session, now=NOW, draft_id=draft_id, actor="usr_ann")
    with database.transaction() as session:
        drafts.discount(session, now=NOW, draft_id=draft_id, amount_minor=500, reason="r", actor="usr_mia")
    with database.reading() as session:
        assert invoices.get_invoice(session, now=NOW, key=draft_id).row.state == "draft"


def test_the_preview_ties_to_the_invoice_when_nothing_comes_late(database: Database) -> None:
    account_id = two_months(database, "acme-1", 10_000, 12_345)
    with database.reading() as session:
        seen = drafts.preview(session, now=ENDED - timedelta(seconds=1), account_id=account_id, period_label=OCTOBER)
    made = world.issued(database, account_id)
    with database.reading() as session:
        document = invoices.get_invoice(session, now=NOW, key=made.id).document
    assert seen is not None
    plain = [replace(line, id="") for line in seen.lines]
    assert plain == [replace(line, id="") for line in document.lines]
    assert (seen.taxes, seen.total_minor) == (document.taxes, document.total_minor)
