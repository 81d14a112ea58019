"""Charges whose taxes no document may bear together: late ones of before a tax came into force go on a document of their own."""

from dataclasses import replace
from datetime import UTC, date, datetime

from sqlalchemy import select

from billing.accounts import directory
from billing.accounts.tax_tables import ManualRate
from billing.assurance import reconciliation
from billing.invoicing import drafts, issue
from billing.invoicing.tables import InvoiceHeader
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.terms_world import gift
from tests.service.invoicing.world import NOW, OCTOBER, Use

SWITZERLAND = replace(world.GERMANY, country="CH", city="Zürich", postcode="8001")
IN_SEPTEMBER = datetime(2026, 9, 10, tzinfo=UTC)


def swiss(database: Database) -> str:
    """An account in Switzerland, where a tax of 8.1 % came into force on the first of October."""
    account_id = world.open_account(database, profile=SWITZERLAND)
    with database.transaction("jobs") as session:
        session.add(
            ManualRate(
                id="tmr_1",
                seller_id=directory.get_account(session, account_id).seller_id,
                country="CH",
                tax_name="MWST",
                rate_bp=810,
                registration="CHE123456788",
                valid_from=date(2026, 10, 1),
                approval_id="apr_1",
                recorded_at=NOW,
                recorded_by="usr_otto",
            )
        )
    return account_id


def test_late_usage_that_was_not_subject_and_a_month_that_is_taxed_are_two_documents(database: Database) -> None:
    """1.00 of September is not subject (O, BR-O-11); 50.00 of October bear 8.1 %: neither waits for the other for ever."""
    account_id = swiss(database)
    world.used(database, account_id, Use(1_000, at=IN_SEPTEMBER))
    world.issued(database, account_id, period="2026-09")
    world.used(database, account_id, Use(100, at=IN_SEPTEMBER), Use(5_000))
    with database.reading() as session:
        shown = drafts.preview(session, now=NOW, account_id=account_id, period_label=OCTOBER)
    assert shown is not None
    assert (shown.net_minor, shown.tax_minor) == (5_000, 405)
    first = world.draft(database, account_id)
    assert world.draft(database, account_id) == first
    with database.transaction() as session:
        made = session.scalars(
            select(InvoiceHeader).where(InvoiceHeader.state == "draft").order_by(InvoiceHeader.net_minor.desc())
        ).all()
        assert [(one.net_minor, one.tax_minor) for one in made] == [(5_000, 405), (100, 0)]
        for one in made:
            drafts.approve(session, now=NOW, draft_id=one.id, actor="usr_ann")
    for one in made:
        with database.transaction() as session:
            issue.issue(session, now=NOW, draft_id=one.id, actor="usr_ann")
    left = world.balance(database, account_id)
    assert (left.unbilled_minor, left.receivable_minor) == (0, -(1_000 + 5_405 + 100))
    with database.reading() as session:
        assert reconciliation.compare(session, now=NOW).found == []


def test_of_two_documents_of_a_month_each_takes_its_own_part_of_a_gift(database: Database) -> None:
    """A gift of 30.00 over 50.00 of October and 1.00 of September: 30.00 off the first, nothing of it shown by the second."""
    account_id = swiss(database)
    world.used(database, account_id, Use(1_000, at=IN_SEPTEMBER))
    world.issued(database, account_id, period="2026-09")
    gift(database, account_id, 3_000)
    world.used(database, account_id, Use(100, at=IN_SEPTEMBER), Use(5_000))
    world.draft(database, account_id)
    with database.transaction() as session:
        made = session.scalars(
            select(InvoiceHeader).where(InvoiceHeader.state == "draft").order_by(InvoiceHeader.id)
        ).all()
        assert [(one.net_minor, one.allowance_minor) for one in made] == [(2_000, 3_000), (100, 0)]
        for one in made:
            drafts.approve(session, now=NOW, draft_id=one.id, actor="usr_ann")
    for one in reversed(made):  # the second goes first: the gift waits for the first
        with database.transaction() as session:
            issue.issue(session, now=NOW, draft_id=one.id, actor="usr_ann")
    with database.reading() as session:
        assert [session.get_one(InvoiceHeader, one.id).allowance_minor for one in made] == [3_000, 0]
        assert reconciliation.compare(session, now=NOW).found == []
