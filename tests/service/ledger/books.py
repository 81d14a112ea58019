"""Accounts and postings that the ledger's tests share."""

from datetime import UTC, datetime
from typing import Any

from billing.accounts import directory, heads
from billing.accounts.directory import SellerFacts
from billing.accounts.tables import BillingAccount
from billing.kernel.money import Money
from billing.ledger import book, periods, reversal
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.storage.database import Database, Session
from tests import staff

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
CASH = "cash:bank"


def seller(session: Session, code: str = "north") -> Any:
    """A seller of the test's own."""
    found = directory.find_seller_by_code(session, code)
    facts = SellerFacts(
        code=code,
        legal_name="North Ltd",
        street="Quay 1",
        city="Dublin",
        postcode="D01",
        country="IE",
        email="books@north.example",
        functional_currency="USD",
        invoice_prefix=f"{code}-",
        credit_note_prefix=f"{code}-C-",
    )
    return found or directory.create_seller(session, now=NOW, facts=facts)


def open_account(database: Database, code: str = "calla", seller_code: str = "north") -> str:
    """A tenant's billing account; its id."""
    with database.transaction() as session:
        account: BillingAccount = directory.create_tenant_account(
            session, now=NOW, code=code, seller=seller(session, seller_code)
        )
        return account.id


def entry(kind: str, debit: str, credit: str, minor: int, currency: str = "USD", **detail: Any) -> Entry:
    """One movement."""
    return Entry(kind=kind, debit=debit, credit=credit, amount=Money(minor=minor, currency=currency), detail=detail)


def post(session: Session, account_id: str, source_id: str, *entries: Entry, **more: Any) -> Posted:
    """Post with everything that a test does not care about filled in."""
    facts: dict[str, Any] = {"now": NOW, "type": "payment", "source_type": "test", "occurred_at": NOW, "actor": "test"}
    head = heads.lock_one(session, account_id)
    return book.post(session, head=head, source_id=source_id, entries=entries, **(facts | more))


def top_up(database: Database, account_id: str, minor: int, source_id: str, **more: Any) -> Posted:
    """A deposit into the wallet, in its own transaction."""
    with database.transaction() as session:
        return post(session, account_id, source_id, entry("bank_credit", CASH, "wallet", minor), **more)


def reverse(session: Session, transaction_id: str, *, reason: str = "wrong", now: datetime = NOW) -> str:
    """A reversal that one person asks for and another approves; the id of its transaction."""
    staff.hire_two(session)
    asked = reversal.request(session, now=now, transaction_id=transaction_id, maker=staff.MAKER, reason=reason)
    staff.approve(session, asked, now=now)
    return str(reversal.find_reversal(session, transaction_id))


def reopen(session: Session, seller_id: str, month: str, *, now: datetime = NOW) -> None:
    """A month that one person asks to open again and another opens."""
    staff.hire_two(session)
    asked = periods.request_reopening(
        session, now=now, seller_id=seller_id, month_label=month, maker=staff.MAKER, reason="a late bank statement"
    )
    staff.approve(session, asked, now=now)
