"""Reversal: a correction by finance that mirrors a transaction and names it (LG5). The original stays as it is."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.money import Money
from billing.ledger import book, entries
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.ledger.errors import NotReversible
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.storage import audit

HELD_ELSEWHERE = frozenset({"unbilled", "receivable", "refund_pending", "disputed"})
"""Figures that charges, invoices, refunds and disputes account for: those are corrected where they are made."""


def reverse(session: Session, *, now: datetime, transaction_id: str, actor: str, reason: str) -> Posted:
    """Post the mirror of a transaction into its own chain: each entry with its sides swapped, kind `adjustment`.

    Locks the account's head. Reversing again gives the first reversal back. Raises NotFound, Invalid without a reason, and
    NotReversible for a reversal, for one that only anchors, or for one that moves a figure held elsewhere: late usage, a credit
    note or a refund corrects those. Into a closed month nothing posts: the mirror counts in the first open one.
    """
    if not reason.strip():
        raise Invalid(field="reason", value=reason, reason="missing")
    account_id = session.execute(
        select(LedgerTransaction.billing_account_id).where(LedgerTransaction.id == transaction_id)
    ).scalar()
    if account_id is None:
        raise NotFound(kind="ledger_transaction", id=transaction_id[:60])
    head = heads.lock_one(session, account_id)
    original = session.get_one(LedgerTransaction, transaction_id)
    moved = _entries_of(session, transaction_id)
    _require_reversible(original, moved)
    posted = book.post(
        session,
        now=now,
        head=head,
        type="reversal",
        source_type="ledger_transaction",
        source_id=transaction_id,
        entries=entries.mirror(moved),
        occurred_at=now,
        actor=actor,
        memo=reason.strip(),
        reverses_id=transaction_id,
        linked_id=transaction_id,
    )
    if posted.is_new:
        audit.record(
            session,
            now=now,
            actor=actor,
            act="ledger.reverse",
            subject_type="ledger_transaction",
            subject_id=transaction_id,
            billing_account_id=account_id,
            facts={"reversal_id": posted.transaction_id},
        )
    return posted


def _require_reversible(original: LedgerTransaction, moved: list[Entry]) -> None:
    if original.reverses_id is not None:
        raise NotReversible(transaction_id=original.id, reason="is_a_reversal")
    if not moved:
        raise NotReversible(transaction_id=original.id, reason="nothing_to_reverse")
    for entry in moved:
        for name in (entry.debit, entry.credit):
            if entries.base_of(name) in HELD_ELSEWHERE:
                raise NotReversible(transaction_id=original.id, reason="held_elsewhere", ledger_account=name)


def _entries_of(session: Session, transaction_id: str) -> list[Entry]:
    names = {
        row.id: row.name
        for row in session.execute(
            select(LedgerAccount.id, LedgerAccount.name)
            .join(
                LedgerEntry,
                (LedgerEntry.debit_account_id == LedgerAccount.id)
                | (LedgerEntry.credit_account_id == LedgerAccount.id),
            )
            .where(LedgerEntry.transaction_id == transaction_id)
        )
    }
    stored = session.scalars(
        select(LedgerEntry).where(LedgerEntry.transaction_id == transaction_id).order_by(LedgerEntry.seq)
    )
    return [
        Entry(
            kind=row.kind,
            debit=names[row.debit_account_id],
            credit=names[row.credit_account_id],
            amount=Money(minor=row.amount_minor, currency=row.currency),
            detail=row.detail,
        )
        for row in stored
    ]
