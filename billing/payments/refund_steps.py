"""What every step of a refund shares: its locks, its one movement in the ledger, and how it is told: history, audit, notice."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.payments.refund_tables import RefundEvent
from billing.payments.tables import Payment, RefundRequest
from billing.storage import audit, outbox

SUBJECT = "refund_request"


def lock_request(session: Session, refund_id: str) -> tuple[RefundRequest, AccountHead]:
    """The request and its account's head, the head locked first, the request read anew. Raises NotFound."""
    account_id = session.execute(
        select(RefundRequest.billing_account_id).where(RefundRequest.id == refund_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise NotFound(refund_id=refund_id[:60])
    head = heads.lock_one(session, account_id)
    query = select(RefundRequest).where(RefundRequest.id == refund_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one(), head


def lock_payment(session: Session, payment_id: str) -> Payment:
    """The payment's row, locked and read anew; its account's head is held by the caller."""
    query = select(Payment).where(Payment.id == payment_id).with_for_update().execution_options(populate_existing=True)
    return session.execute(query).scalar_one()


def post(
    session: Session,
    *,
    now: datetime,
    item: RefundRequest,
    head: AccountHead,
    kind: str,
    debit: str,
    credit: str,
    actor: str,
    source: tuple[str, str] | None = None,
    occurred_at: datetime | None = None,
) -> str:
    """One movement of a refund, once per refund and kind (or per `source`); returns the ledger transaction's id."""
    source_type, source_id = source or (SUBJECT, item.id)
    entry = Entry(
        kind=kind,
        debit=debit,
        credit=credit,
        amount=Money(minor=item.amount_minor, currency=item.currency),
        detail={"refund_id": item.id, "payment_id": item.payment_id or ""},
    )
    return book.post(
        session,
        now=now,
        head=head,
        type=kind,
        source_type=source_type,
        source_id=source_id,
        entries=[entry],
        occurred_at=occurred_at or now,
        actor=actor,
        memo=f"refund {item.id}",
    ).transaction_id


def tell(
    session: Session,
    now: datetime,
    item: RefundRequest,
    step: str,
    actor: str,
    *,
    act: str | None = None,
    notice: str | None = None,
    facts: dict[str, Any] | None = None,
    transaction_id: str | None = None,
) -> None:
    """Write a step into the refund's history; with `act` also an audit row, with `notice` the topic `refund.<notice>`, once; flushes.

    `facts` are ids, codes and integers about the step alone.
    """
    last = session.scalar(select(func.max(RefundEvent.seq)).where(RefundEvent.refund_id == item.id))
    session.add(
        RefundEvent(
            id=new_id("rfe"),
            refund_id=item.id,
            seq=(last or 0) + 1,
            billing_account_id=item.billing_account_id,
            type=step,
            state=item.state,
            actor=actor,
            facts=facts or {},
            transaction_id=transaction_id,
            at=now,
        )
    )
    known = {"amount_minor": item.amount_minor, "currency": item.currency, "mode": item.mode, "state": item.state}
    if act is not None:
        audit.record(
            session,
            now=now,
            actor=actor,
            act=act,
            subject_type=SUBJECT,
            subject_id=item.id,
            billing_account_id=item.billing_account_id,
            facts=known | (facts or {}),
        )
    if notice is not None:
        payload = known | {
            "refund_id": item.id,
            "payment_id": item.payment_id,
            "invoice_id": item.invoice_id,
            "notice": notice,
            "expected_on": item.expected_on.isoformat() if item.expected_on else None,
        }
        outbox.enqueue(
            session,
            now=now,
            topic=f"refund.{notice}",
            dedup_key=f"refund.{notice}:{item.id}",
            payload=payload,
            billing_account_id=item.billing_account_id,
        )
    session.flush()
