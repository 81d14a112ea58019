"""Reversal: a correction by finance that mirrors a transaction and names it (LG5). The original stays as it is.

One person asks with a reason, a second one approves exactly that transaction; only then the mirror is posted.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import AccountHead
from billing.kernel.errors import NotFound
from billing.kernel.money import Money
from billing.ledger import book, entries, promos
from billing.ledger.book import Posted
from billing.ledger.entries import Entry
from billing.ledger.errors import NotReversible
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.storage import audit

ACT, SUBJECT = "ledger.reverse", "ledger_transaction"
HELD_ELSEWHERE = frozenset({"unbilled", "receivable", "refund_pending", "disputed"})
"""Figures that charges, invoices, refunds and disputes account for: those are corrected where they are made."""

_OWN_WAY = {
    "bank_transfer": "bank_transfer",  # a booking from a bank statement is taken back where it was made
    "refund_request": "refund_request",  # a refund says itself what of its payment has gone
    # What a provider's balance shows stays there, and its payment could be refunded on: a refund gives it back.
    "balance_transaction": "of_the_provider",
    "provider_payment": "of_the_provider",
}
"""Source of a transaction -> why it is not mirrored here: something beside the books holds the same figure."""


def request(
    session: Session, *, now: datetime, transaction_id: str, maker: str, reason: str, form_key: str | None = None
) -> Approval:
    """Ask for the mirror of a transaction. Locks the account's head. Raises as `content_of`, and as `approvals.request`."""
    account_id = account_of(session, transaction_id)
    heads.lock_one(session, account_id)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=transaction_id,
        content=content_of(session, transaction_id),
        maker=maker,
        reason=reason,
        billing_account_id=account_id,
        form_key=form_key,
    )


def content_of(session: Session, transaction_id: str) -> dict[str, Any]:
    """What approval would post: the mirrored entries of that transaction, and its hash, which covers all of it.

    `amount_minor` and `currency` are there where all entries are of one currency. Raises NotFound, and NotReversible for a
    reversal, for one that only anchors, for one that was reversed, or for one that moves a figure held elsewhere: late usage, a
    credit note or a refund corrects those.
    """
    original = _get(session, transaction_id)
    moved = _entries_of(session, transaction_id)
    _require_reversible(session, original, moved)
    currencies = {entry.amount.currency for entry in moved}
    total = {"amount_minor": sum(entry.amount.minor for entry in moved), "currency": moved[0].amount.currency}
    return {
        "transaction_id": original.id,
        "transaction_hash": original.hash,
        "entries": [
            [entry.kind, entry.debit, entry.credit, entry.amount.minor, entry.amount.currency]
            for entry in entries.mirror(moved)
        ],
        **(total if len(currencies) == 1 else {}),
    }


def reverse(session: Session, *, now: datetime, transaction_id: str, reason: str, allowed: Allowed) -> Posted:
    """Post the mirror of a transaction into its own chain: each entry with its sides swapped, kind `adjustment`.

    Locks the account's head. Raises NotAllowed, NotFound and NotReversible. Into a closed month nothing posts: the mirror counts
    in the first open one.
    """
    account_id = account_of(session, transaction_id)
    head = heads.lock_one(session, account_id)
    approvals.spend(session, allowed, act=ACT, subject_id=transaction_id, content=content_of(session, transaction_id))
    posted = post_mirror(session, now=now, head=head, transaction_id=transaction_id, actor=allowed.checker, memo=reason)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=transaction_id,
        billing_account_id=account_id,
        facts={"reversal_id": posted.transaction_id, "approval_id": allowed.approval_id, "maker": allowed.maker},
    )
    return posted


def post_mirror(
    session: Session, *, now: datetime, head: AccountHead, transaction_id: str, actor: str, memo: str
) -> Posted:
    """The mirror of a transaction in its own chain, whose head the caller holds; a repeat gives the first.

    For rooms that ask two people themselves and put right what they hold beside the books.
    """
    return book.post(
        session,
        now=now,
        head=head,
        type="reversal",
        source_type=SUBJECT,
        source_id=transaction_id,
        entries=mirror_of(session, transaction_id),
        occurred_at=now,
        actor=actor,
        memo=memo,
        reverses_id=transaction_id,
        linked_id=transaction_id,
    )


def mirror_of(session: Session, transaction_id: str) -> list[Entry]:
    """The entries that undo a transaction."""
    return entries.mirror(_entries_of(session, transaction_id))


def account_of(session: Session, transaction_id: str) -> str:
    """The billing account in whose chain a transaction stands. Raises NotFound."""
    return _get(session, transaction_id).billing_account_id


def find_reversal(session: Session, transaction_id: str) -> str | None:
    """The id of the transaction that reverses this one, or None."""
    query = select(LedgerTransaction.id).where(LedgerTransaction.reverses_id == transaction_id)
    return session.execute(query).scalar_one_or_none()


def _get(session: Session, transaction_id: str) -> LedgerTransaction:
    found = session.get(LedgerTransaction, transaction_id) if names.is_safe(transaction_id) else None
    if found is None:
        raise NotFound(kind="ledger_transaction", id=names.shown(transaction_id))
    return found


def _require_reversible(session: Session, original: LedgerTransaction, moved: list[Entry]) -> None:
    if original.reverses_id is not None:
        raise NotReversible(transaction_id=original.id, reason="is_a_reversal")
    if not moved:
        raise NotReversible(transaction_id=original.id, reason="nothing_to_reverse")
    reversed_by = find_reversal(session, original.id)
    if reversed_by is not None:
        raise NotReversible(transaction_id=original.id, reason="already_reversed", reversal_id=reversed_by)
    if original.source_type in _OWN_WAY:
        raise NotReversible(transaction_id=original.id, reason=_OWN_WAY[original.source_type])
    for entry in moved:
        for name in (entry.debit, entry.credit):
            if entries.base_of(name) in HELD_ELSEWHERE:
                raise NotReversible(transaction_id=original.id, reason="held_elsewhere", ledger_account=name)
    _require_gift_unused(session, original, moved)


def _require_gift_unused(session: Session, original: LedgerTransaction, moved: list[Entry]) -> None:
    """A gift can be mirrored while all of it is left: what was used stands on documents."""
    taken: dict[str, int] = {}
    for entry in moved:
        if entry.credit == "promo" and "grant_id" in entry.detail:
            grant_id = str(entry.detail["grant_id"])
            taken[grant_id] = taken.get(grant_id, 0) + entry.amount.minor
    if taken:
        left = promos.remaining_of(session, original.billing_account_id, taken)
        for grant_id, minor in taken.items():
            if left.get(grant_id, 0) < minor:
                raise NotReversible(transaction_id=original.id, reason="gift_used", grant_id=grant_id)


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
