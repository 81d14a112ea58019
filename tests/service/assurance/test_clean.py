"""Untouched books: every check looks at every row, and finds nothing."""

import pytest
from sqlalchemy import func, select

from billing.assurance import replay, selfcheck, verification
from billing.assurance.report import Report
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel.errors import Invalid
from billing.ledger.tables import LedgerEntry, LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating.tables import Charge, Counter, Posting, RatedLine
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
        assert set(checked.by_check) == {
            *(
                "guard",
                "chain",
                "root",
                "rated_day",
                "balance",
                "price",
                "usage",
                "rated_line",
                "posting",
                "invoice",
                "invoice_line",
                "payment",
                "audit",
            )
        }
        assert all(checked.by_check.values()), checked.by_check
        assert checked.by_check["audit"] == _rows(session, AuditRecord)
        assert checked.by_check["usage"] == _rows(session, UsageRecord)
        assert checked.by_check["chain"] > _rows(session, LedgerTransaction, LedgerEntry)
        assert checked.by_check["rated_line"] == _rows(session, RatedLine, Counter, Charge)
        assert checked.by_check["invoice"] > _rows(session, InvoiceHeader, InvoiceSettlement)
        assert verified.checked > _rows(session, LedgerTransaction, LedgerEntry, RatedLine, UsageRecord)
        assert replayed.by_check == {"rated_line": _rows(session, RatedLine), "posting": _rows(session, Posting)}


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
        assert report.by_check["price"] == 8
        assert replay.replay(session).checked == 0
