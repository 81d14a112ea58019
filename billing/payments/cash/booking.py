"""Booking a movement that the job may not book: one person asks, a second one approves exactly that entry (money.md).

Only kinds with one fixed meaning can be asked for (`meanings.BY_TYPE`); the seller is named by the person where more than one could
be meant.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, directory, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import Seller
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.money import Money
from billing.ledger.tables import LedgerTransaction
from billing.payments.cash import explaining, judging, matches, meanings
from billing.payments.cash.tables import BalanceTransaction
from billing.storage import audit

ACT, SUBJECT = "provider_balance.book", "balance_transaction"


def request(
    session: Session,
    *,
    now: datetime,
    movement_id: str,
    seller_code: str,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for a movement to be booked in a seller's house chain, as its kind means. Nothing is posted.

    Raises NotFound, Conflict for one that is explained or that has no fixed meaning, Invalid for a seller there is not, and as
    `approvals.request`.
    """
    seller = _seller(session, seller_code)
    content = content_of(session, movement_id, seller.code)
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=movement_id,
        content=content,
        maker=maker,
        reason=reason,
        billing_account_id=None,  # it is the house's own: no customer's books are touched
        form_key=form_key,
    )


def content_of(session: Session, movement_id: str, seller_code: str) -> dict[str, Any]:
    """What approval would post, as the movement stands now. Raises as `request`."""
    row = session.get(BalanceTransaction, movement_id) if names.is_safe(movement_id) else None
    if row is None:
        raise NotFound(kind=SUBJECT, id=names.shown(movement_id))
    _require_open(row)
    entries = _entries(row)
    return {
        "movement": row.provider_id,
        "provider": row.provider,
        "type": row.type,
        "seller": seller_code,
        "entries": [
            [entry.kind, entry.debit, entry.credit, entry.amount.minor, entry.amount.currency] for entry in entries
        ],
        "amount_minor": entries[0].amount.minor,
        "currency": entries[0].amount.currency,
    }


def book(session: Session, *, now: datetime, movement_id: str, seller_code: str, reason: str, allowed: Allowed) -> str:
    """Post what a second person allowed; the ledger transaction's id. The movement is explained by it, its fee booked with it.

    Locks the heads of the sellers' own accounts, then the movement. Raises NotAllowed, and as `request`.
    """
    seller = _seller(session, seller_code)
    houses = [directory.house_account(session, one.id).id for one in directory.list_sellers(session)]
    house = heads.lock(session, houses)[directory.house_account(session, seller.id).id]
    query = select(BalanceTransaction).where(BalanceTransaction.id == movement_id).with_for_update()
    row = session.execute(query.execution_options(populate_existing=True)).scalar_one()
    approvals.spend(
        session, allowed, act=ACT, subject_id=movement_id, content=content_of(session, movement_id, seller_code)
    )
    entries = _entries(row)
    transaction_id = explaining.book_movement(session, now, row, house, entries[0].kind, entries)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=row.id,
        facts={"transaction_id": transaction_id, "approval_id": allowed.approval_id, "maker": allowed.maker},
    )
    session.flush()
    explaining.explain(session, now=now, ids=[row.id])
    return transaction_id


def find_posted(session: Session, movement_id: str) -> str | None:
    """The ledger transaction that books a movement, or None."""
    row = session.get(BalanceTransaction, movement_id)
    if row is None:
        return None
    kinds = {meaning.kind for meaning in meanings.BY_TYPE.values()}
    return (
        session.execute(
            select(LedgerTransaction.id).where(
                LedgerTransaction.type.in_(kinds),
                LedgerTransaction.source_type == matches.SOURCE,
                LedgerTransaction.source_id == matches.key_of(row),
            )
        )
        .scalars()
        .first()
    )


def _entries(row: BalanceTransaction) -> list[Any]:
    meaning = meanings.BY_TYPE.get(row.type)
    presented = Money(minor=row.presented_minor, currency=row.presented_currency)
    if meaning is None or not presented.minor:
        raise Conflict(movement_id=row.id, type=row.type, reason="no_fixed_meaning")
    return judging.other_entries(meaning.kind, meaning.other, presented, detail={"movement": row.provider_id})


def _require_open(row: BalanceTransaction) -> None:
    if row.state not in ("waiting", "finding"):
        raise Conflict(movement_id=row.id, state=row.state, reason="movement_explained")


def _seller(session: Session, code: str) -> Seller:
    seller = directory.find_seller_by_code(session, code) if names.is_safe(code) else None
    if seller is None:
        raise Invalid(field="seller", value=names.shown(code), reason="unknown_seller")
    return seller
