"""Refunds: asked for, listed, and what all their steps share; limited under the account's lock.

Mode card: money back through the provider. Approval by a second person holds it (`refund_decisions`: wallet to refund_pending),
`acts` sends it, `refund_outcomes` ends it. Mode credit: a credit note on an invoice, its surplus into the wallet; approval is the
end of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.tables import AccountHead, BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.payments import refund_limits
from billing.payments.tables import Payment, RefundRequest
from billing.reference import provider_currencies
from billing.storage import audit, correlation, outbox

SUBJECT = "refund_request"
_REASON_MAX = approvals.REASON_MAX


@dataclass(frozen=True, kw_only=True)
class RefundRow:
    """One refund request. `state` is requested, approved, sent, succeeded, failed, rejected or unknown.

    `approval_id` is the decision about it and `content_hash` what that is bound to; `approval_state` tells one that was rejected
    from one that was withdrawn or expired. None only for refunds that were decided before there were approvals.
    """

    id: str
    billing_account_id: str
    account_code: str
    account_name: str
    mode: str
    payment_id: str | None
    invoice_id: str | None
    invoice_number: str | None
    amount_minor: int
    currency: str
    reason: str
    state: str
    requested_by: str
    requested_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    decision_note: str | None
    credit_note_id: str | None
    provider_refund_id: str | None
    sent_at: datetime | None
    ended_at: datetime | None
    failure: str | None
    approval_id: str | None
    approval_state: str | None
    content_hash: str | None


@dataclass(frozen=True, kw_only=True)
class RefundLimits:
    """What an operator sees before deciding: the rest of the payment (or what can be credited) and the funds that may leave."""

    rest_minor: int
    funds_minor: int
    limit_minor: int
    currency: str
    is_within: bool


def request(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    mode: str,
    amount: Money,
    reason: str,
    form_key: str,
    actor: str,
    payment_id: str | None = None,
    invoice_id: str | None = None,
) -> RefundRow:
    """Ask for money back; the same form sent twice is one request.

    Mode `card` names a payment, mode `credit` an issued invoice. Nothing moves yet, but what other requests ask for already
    counts against the limit. Locks the account's head. Raises NotFound, Invalid, AboveRefundable, DisputedAccount, Conflict.
    """
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=_REASON_MAX)
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    heads.lock_one(session, account_id)
    known = session.execute(
        select(RefundRequest).where(RefundRequest.billing_account_id == account_id, RefundRequest.form_key == form_key)
    ).scalar_one_or_none()
    if known is not None:
        asked = (mode, payment_id, invoice_id, amount.minor, amount.currency)
        if (known.mode, known.payment_id, known.invoice_id, known.amount_minor, known.currency) != asked:
            raise Conflict(refund_id=known.id, reason="form_key_reused")
        return get_request(session, refund_id=known.id)
    _check_subject(session, account_id, mode, amount, payment_id, invoice_id)
    item = RefundRequest(
        id=new_id("rfd"),
        billing_account_id=account_id,
        payment_id=payment_id,
        invoice_id=invoice_id,
        mode=mode,
        amount_minor=amount.minor,
        currency=amount.currency,
        reason=reason,
        state="requested",
        form_key=form_key,
        requested_by=actor,
        requested_at=now,
        correlation_id=correlation.current(),
    )
    waiting_minor = refund_limits.waiting_minor(session, payment_id=payment_id, invoice_id=invoice_id)
    refund_limits.check(session, item, now=now, waiting_minor=waiting_minor)
    session.add(item)
    session.flush()  # the approval names it
    approvals.request(
        session,
        now=now,
        act=act_of(item),
        subject_type=SUBJECT,
        subject_id=item.id,
        content=content_of(item),
        maker=actor,
        reason=reason,
        billing_account_id=account_id,
    )
    tell(session, now, item, "refund.request", actor)
    return get_request(session, refund_id=item.id)


def act_of(item: RefundRequest) -> str:
    """Which act its approval is about."""
    return f"refund.{item.mode}"


def content_of(item: RefundRequest) -> dict[str, Any]:
    """What approval would let happen, as the request says it now."""
    return {
        "refund_id": item.id,
        "account_id": item.billing_account_id,
        "mode": item.mode,
        "payment_id": item.payment_id,
        "invoice_id": item.invoice_id,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
    }


def get_content(session: Session, refund_id: str) -> dict[str, Any]:
    """What approval of a request would let happen now, read anew. Raises NotFound."""
    item = session.get(RefundRequest, refund_id, populate_existing=True)
    if item is None:
        raise NotFound(refund_id=refund_id)
    return content_of(item)


def refundable(session: Session, *, now: datetime, account_id: str, payment_id: str) -> Money:
    """What of a payment may be asked back now: its rest, less what is asked already, at most the refundable funds."""
    payment = _payment_of(session, account_id, payment_id)
    waiting = refund_limits.waiting_minor(session, payment_id=payment_id)
    rest = payment.amount_minor - payment.refunded_minor - waiting
    funds = refund_limits.funds(session, now=now, account_id=account_id, currency=payment.currency)
    return Money(minor=0 if funds.is_disputed else max(0, min(rest, funds.minor)), currency=payment.currency)


def limits_of(session: Session, *, now: datetime, refund_id: str) -> RefundLimits:
    """What an operator sees before deciding a request."""
    item = session.get(RefundRequest, refund_id)
    if item is None:
        raise NotFound(refund_id=refund_id)
    rest_minor = refund_limits.rest_minor(session, item)
    funds = refund_limits.funds(session, now=now, account_id=item.billing_account_id, currency=item.currency)
    limit_minor = rest_minor if item.mode == "credit" else 0 if funds.is_disputed else min(rest_minor, funds.minor)
    return RefundLimits(
        rest_minor=rest_minor,
        funds_minor=funds.minor,
        limit_minor=limit_minor,
        currency=item.currency,
        is_within=item.amount_minor <= limit_minor,
    )


def get_request(session: Session, *, refund_id: str, account_id: str | None = None) -> RefundRow:
    """One request; with `account_id` only of that billing account. Raises NotFound."""
    found = session.execute(_requests(account_id).where(RefundRequest.id == refund_id)).one_or_none()
    if found is None:
        raise NotFound(refund_id=refund_id)
    return _row(*found)


def list_requests(
    session: Session,
    *,
    account_id: str | None = None,
    states: tuple[str, ...] = (),
    limit: int = 200,
    offset: int = 0,
    before_id: str | None = None,
) -> list[RefundRow]:
    """The newest requests, of one billing account or of all, in the given states or any; `before_id` goes on behind a request."""
    query = _requests(account_id)
    if states:
        query = query.where(RefundRequest.state.in_(states))
    if before_id is not None:
        query = query.where(RefundRequest.id < before_id)
    rows = session.execute(query.order_by(RefundRequest.id.desc()).limit(limit).offset(offset)).all()
    return [_row(*found) for found in rows]


def count_requests(session: Session, *, states: tuple[str, ...] = ()) -> dict[str, int]:
    """{state: number of requests} over all billing accounts; every one of `states` is there, with 0 where it has none."""
    rows = session.execute(select(RefundRequest.state, func.count()).group_by(RefundRequest.state)).all()
    return dict.fromkeys(states, 0) | dict(rows)


def lock_request(session: Session, refund_id: str) -> tuple[RefundRequest, AccountHead]:
    """The request and its account's head, the head locked first, the request read anew. Raises NotFound."""
    account_id = session.execute(
        select(RefundRequest.billing_account_id).where(RefundRequest.id == refund_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise NotFound(refund_id=refund_id)
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
) -> str:
    """One movement of a refund, once per refund and kind; returns the ledger transaction's id."""
    source_type, source_id = source or ("refund_request", item.id)
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
        occurred_at=now,
        actor=actor,
        memo=f"refund {item.id}",
    ).transaction_id


def _check_subject(
    session: Session, account_id: str, mode: str, amount: Money, payment_id: str | None, invoice_id: str | None
) -> None:
    if amount.minor <= 0:
        raise Invalid(field="amount", amount_minor=amount.minor, currency=amount.currency, reason="not_positive")
    if mode == "card" and payment_id and not invoice_id:
        currency = _payment_of(session, account_id, payment_id).currency
        provider_currencies.require_payable(amount)
    elif mode == "credit" and invoice_id and not payment_id:
        invoice = session.get(InvoiceHeader, invoice_id)
        if invoice is None or invoice.billing_account_id != account_id or invoice.state != "issued":
            raise NotFound(invoice_id=invoice_id)
        if invoice.kind != "invoice":
            raise Invalid(field="invoice_id", value=invoice_id, reason="not_an_invoice")
        currency = invoice.currency
    else:
        raise Invalid(field="mode", value=mode, reason="unknown_refund_mode")
    if amount.currency != currency:
        raise Invalid(field="currency", value=amount.currency, expected=currency, reason="currency_mismatch")


def _payment_of(session: Session, account_id: str, payment_id: str) -> Payment:
    payment = session.get(Payment, payment_id)
    if payment is None or payment.billing_account_id != account_id:
        raise NotFound(payment_id=payment_id)
    return payment


def tell(session: Session, now: datetime, item: RefundRequest, act: str, actor: str) -> None:
    """Audit and notice of a refund's new state, one notice per state; flushes."""
    facts = {"amount_minor": item.amount_minor, "currency": item.currency, "mode": item.mode, "state": item.state}
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="refund_request",
        subject_id=item.id,
        billing_account_id=item.billing_account_id,
        facts=facts,
    )
    outbox.enqueue(
        session,
        now=now,
        topic=f"refund.{item.state}",
        dedup_key=f"refund.{item.state}:{item.id}",
        payload=facts | {"refund_id": item.id, "payment_id": item.payment_id, "invoice_id": item.invoice_id},
        billing_account_id=item.billing_account_id,
    )


def _requests(account_id: str | None) -> Select[RefundRequest, str, str, str | None, Approval | None]:
    query = (
        select(RefundRequest, BillingAccount.code, BillingAccount.name, InvoiceHeader.number, Approval)
        .join(BillingAccount, BillingAccount.id == RefundRequest.billing_account_id)
        .outerjoin(InvoiceHeader, InvoiceHeader.id == RefundRequest.invoice_id)
        .outerjoin(Approval, and_(Approval.subject_type == SUBJECT, Approval.subject_id == RefundRequest.id))
    )
    return query if account_id is None else query.where(RefundRequest.billing_account_id == account_id)


def _row(
    item: RefundRequest,
    account_code: str,
    account_name: str,
    invoice_number: str | None,
    approval: Approval | None,
) -> RefundRow:
    return RefundRow(
        id=item.id,
        billing_account_id=item.billing_account_id,
        account_code=account_code,
        account_name=account_name,
        mode=item.mode,
        payment_id=item.payment_id,
        invoice_id=item.invoice_id,
        invoice_number=invoice_number,
        amount_minor=item.amount_minor,
        currency=item.currency,
        reason=item.reason,
        state=item.state,
        requested_by=item.requested_by,
        requested_at=item.requested_at,
        decided_by=item.decided_by,
        decided_at=item.decided_at,
        decision_note=item.decision_note,
        credit_note_id=item.credit_note_id,
        provider_refund_id=item.provider_refund_id,
        sent_at=item.sent_at,
        ended_at=item.ended_at,
        failure=item.failure,
        approval_id=approval.id if approval else None,
        approval_state=approval.state if approval else None,
        content_hash=approval.content_hash if approval else None,
    )
