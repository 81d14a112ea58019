"""Untouched books: every check looks at every row, and finds nothing."""

import pytest
from sqlalchemy import func, select

from billing.accounts.tables import BillingAccount
from billing.assurance import replay, selfcheck, verification
from billing.assurance.report import Report
from billing.catalog.tables import PriceVersion
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import Invalid
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating.tables import Charge, Counter, CounterRescale, Posting, RatedLine
from billing.storage import audit_chain
from billing.storage.database import Database, Session
from billing.storage.tables import AuditRecord
from tests.service.assurance.walk import LATER, walk


def _rows(session: Session, *tables: type) -> int:
    return sum(session.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)


def test_all_checks_look_at_every_row_and_find_nothing(database: Database) -> None:
    walk(database)
    with database.transaction("jobs") as session:
        audit_chain.seal(session, now=LATER)
    with database.reading("jobs") as session:
        checked = selfcheck.run(session)
        verified = verification.verify_chain(session)
        replayed = replay.replay(session)
        assert checked.differences == verified.differences == replayed.differences == ()
        for name in (
            *("guard", "chain", "root", "balance", "price", "usage", "rated_line", "rated_day", "posting", "invoice"),
            *("invoice_line", "payment", "audit"),
        ):
            assert checked.by_check[name], name
        assert checked.by_check["audit"] == _rows(session, AuditRecord)
        assert checked.by_check["usage"] == _rows(session, UsageRecord)
        assert checked.by_check["chain"] > _rows(session, LedgerTransaction, LedgerEntry)
        assert checked.by_check["rated_line"] == _rows(session, RatedLine, Counter, Charge, CounterRescale)
        assert checked.by_check["invoice"] > _rows(session, InvoiceHeader, InvoiceSettlement)
        assert verified.checked > _rows(session, LedgerTransaction, LedgerEntry, RatedLine, UsageRecord)
        assert replayed.by_check == {"rated_line": _rows(session, RatedLine), "posting": _rows(session, Posting)}


@pytest.mark.parametrize("processes", [1, 2])
def test_verification_over_processes_proves_the_same_rows(
    database: Database, processes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk(database)
    monkeypatch.setattr(verification, "_FEW", 0)
    split = verification.verify_database(database, processes=processes)
    with database.reading("jobs") as session:
        whole = verification.verify_chain(session)
        # Proven by the scan alone, without the row by row checks that speak where it gives up.
        for account_id in session.scalars(select(BillingAccount.id)):
            assert verification._scan(session, account_id) is not None
    assert split.differences == whole.differences == ()
    assert split.by_check["usage"] == whole.by_check["usage"]
    assert split.by_check["chain"] == whole.by_check["chain"]
    assert split.by_check["root"] == whole.by_check["root"]


def test_one_accounts_chain_is_verified_alone(database: Database) -> None:
    found = walk(database)
    with database.reading("jobs") as session:
        one = verification.verify_chain(session, found.account_id)
        whole = verification.verify_chain(session)
    assert one.differences == ()
    assert 0 < one.checked < whole.checked


def test_replay_of_a_month_works_only_that_months_lines_out(database: Database) -> None:
    walk(database)
    with database.reading("jobs") as session:
        october, none = replay.replay(session, "2026-10"), replay.replay(session, "2026-09")
        assert october.by_check["rated_line"] == _rows(session, RatedLine)
        assert none.checked == 0
        with pytest.raises(Invalid):
            replay.replay(session, "October")


def test_empty_books_are_in_order(database: Database) -> None:
    with database.reading("jobs") as session:
        report: Report = selfcheck.run(session)
        assert report.differences == ()
        assert report.by_check["guard"] > 40
        assert report.by_check["price"] == _rows(session, PriceVersion)
        assert replay.replay(session).checked == 0
