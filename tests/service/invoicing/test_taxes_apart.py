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
from tests.service.invoicing.world import NOW, OCTOBER, Use

SWITZERLAND = replace(world.GERMANY, country="CH", city="Zürich", postcode="8001")
IN_SEPTEMBER = datetime(2026, 9, 10, tzinfo=UTC)


def test_late_usage_that_was_not_subject_and_a_month_that_is_taxed_are_two_documents(database: Database) -> None:
    """1.00 of September is not subject (O, BR-O-11); 50.00 of October bear 8.1 %: neither waits for the other for ever."""
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
