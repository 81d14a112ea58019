"""Refunds: asked for, listed, and what a decision about one is bound to; limited under the account's lock.

Mode card: money back through the provider. Mode bank: by a transfer of ours. Approval by a second person holds it
(`refund_decisions`: wallet to refund_pending); `acts` or an operator (`refund_transfers`) sends it, `refund_outcomes` ends it.
Both may name an invoice, which is credited first. Mode credit: a credit note on an invoice, its surplus into the wallet; approval
is the end of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Select, and_, func, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.access_tables import Approval
from billing.accounts.tables import BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.kernel import canonical
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments import refund_authority, refund_limits, refund_steps, refund_subjects
from billing.payments.refund_steps import SUBJECT
from billing.payments.refund_subjects import Payee
from billing.payments.refund_tables import RefundEvent
from billing.payments.tables import Payment, RefundRequest
from billing.storage import correlation

_REASON_MAX = approvals.REASON_MAX
WAITING = ("requested", "approved", "sent", "unknown")


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
    origin: str
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
    outcome: str | None
    policy: dict[str, Any] | None
    booked_at: datetime | None
    expected_on: date | None
    payee_name: str | None
    payee_iban: str | None
    transfer_on: date | None
    transfer_reference: str | None
    provider_status: str | None
    provider_facts: dict[str, Any] | None
    provider_seen_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class RefundStep:
    """One step of a request: what happened, the state behind it, who or what did it, and the ledger transaction it posted."""

    type: str
    state: str
    actor: str
    facts: dict[str, Any]
    transaction_id: str | None
    at: datetime


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
    payee: Payee | None = None,
    is_once: bool = False,
) -> RefundRow:
    """Ask for money back; the same form sent twice is one request, with `is_once` also the same wish of the same person from
    another form while the first waits for its decision.

    Modes `card` and `bank` name a payment, and an invoice where that is to be credited first; `bank` names a payee. Mode `credit`
    names an issued invoice. Nothing moves yet, but what other requests ask for already counts against the limit. Locks the
    account's head. Raises NotFound, Invalid, AboveRefundable, AboveAuthority, DisputedAccount, Conflict.
    """
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=_REASON_MAX)
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    payee = refund_subjects.require_payee(mode, payee)
    heads.lock_one(session, account_id)
    known = session.execute(
        select(RefundRequest).where(RefundRequest.billing_account_id == account_id, RefundRequest.form_key == form_key)
    ).scalar_one_or_none()
    if known is not None:
        iban = payee.iban if payee else None
        asked = (mode, payment_id, invoice_id, amount.minor, amount.currency, iban)
        if asked != (
            known.mode,
            known.payment_id,
            known.invoice_id,
            known.amount_minor,
            known.currency,
            known.payee_iban,
        ):
            raise Conflict(refund_id=known.id, reason="form_key_reused")
        return get_request(session, refund_id=known.id)
    refund_subjects.check(session, account_id, mode, amount, payment_id, invoice_id)
    same_id = _find_same(session, actor, mode, amount, payment_id, invoice_id) if is_once else None
    if same_id is not None:
        return get_request(session, refund_id=same_id)
    item = RefundRequest(
        id=new_id("rfd"),
        billing_account_id=account_id,
        payment_id=payment_id,
        invoice_id=invoice_id,
        origin="request",
        mode=mode,
        amount_minor=amount.minor,
        currency=amount.currency,
        reason=reason,
        state="requested",
        form_key=form_key,
        requested_by=actor,
        requested_at=now,
        correlation_id=correlation.current(),
        payee_name=payee.name if payee else None,
        payee_iban=payee.iban if payee else None,
    )
    found = refund_limits.check(session, item, now=now, with_waiting=True)
    item.policy = found.facts() | refund_authority.require(
        session, now=now, person_id=actor, act="ask", amount=amount, refund_id=item.id
    )
    return open_request(session, now=now, item=item, actor=actor)


def _find_same(
    session: Session, actor: str, mode: str, amount: Money, payment_id: str | None, invoice_id: str | None
) -> str | None:
    """The undecided request of that person for exactly that, or None."""
    query = select(RefundRequest.id).where(
        RefundRequest.state == "requested",
        RefundRequest.requested_by == actor,
        RefundRequest.mode == mode,
        RefundRequest.amount_minor == amount.minor,
        RefundRequest.currency == amount.currency,
        RefundRequest.payment_id.is_not_distinct_from(payment_id),
        RefundRequest.invoice_id.is_not_distinct_from(invoice_id),
    )
    return session.execute(query.order_by(RefundRequest.id).limit(1)).scalar_one_or_none()


def open_request(session: Session, *, now: datetime, item: RefundRequest, actor: str) -> RefundRow:
    """Store a request that was checked, and ask for its approval. The account's head is held by the caller."""
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
        reason=item.reason,
        billing_account_id=item.billing_account_id,
    )
    notice = "requested" if item.origin == "request" else None
    refund_steps.tell(session, now, item, "requested", actor, act="refund.request", notice=notice, facts=item.policy)
    return get_request(session, refund_id=item.id)


def act_of(item: RefundRequest) -> str:
    """Which act its approval is about."""
    return "refund.adopt" if item.origin == "provider" else f"refund.{item.mode}"


def content_of(item: RefundRequest) -> dict[str, Any]:
    """What approval would let happen, as the request says it now. Whose bank account it goes to stands there as a commitment."""
    content: dict[str, Any] = {
        "refund_id": item.id,
        "account_id": item.billing_account_id,
        "mode": item.mode,
        "payment_id": item.payment_id,
        "invoice_id": item.invoice_id,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
    }
    if item.payee_iban is not None:
        content["payee_hash"] = canonical.digest("refund-payee/1", item.id, item.payee_name, item.payee_iban)
    if item.origin == "provider":
        content["provider_refund_id"] = item.provider_refund_id
    return content


def get_content(session: Session, refund_id: str) -> dict[str, Any]:
    """What approval of a request would let happen now, read anew. Raises NotFound."""
    item = session.get(RefundRequest, refund_id, populate_existing=True)
    if item is None:
        raise NotFound(refund_id=refund_id)
    return content_of(item)


def provider_of(session: Session, item: RefundRequest) -> tuple[str, str]:
    """(the provider of a refund's payment, the payment's id there)."""
    payment = session.get_one(Payment, item.payment_id)
    return payment.provider, payment.provider_payment_id


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
    account_ids: Sequence[str] | None = None,
    states: tuple[str, ...] = (),
    mode: str | None = None,
    limit: int = 200,
    offset: int = 0,
    before_id: str | None = None,
    is_oldest_first: bool = False,
) -> list[RefundRow]:
    """Requests, the newest first unless told otherwise, of one billing account, of several or of all, in the given states and mode or any.

    `before_id` goes on behind a request.
    """
    query = _requests(account_id)
    if account_ids is not None:
        query = query.where(RefundRequest.billing_account_id.in_(account_ids))
    if states:
        query = query.where(RefundRequest.state.in_(states))
    if mode is not None:
        query = query.where(RefundRequest.mode == mode)
    if before_id is not None:
        query = query.where(RefundRequest.id < before_id)
    order = RefundRequest.id if is_oldest_first else RefundRequest.id.desc()
    rows = session.execute(query.order_by(order).limit(limit).offset(offset)).all()
    return [_row(*found) for found in rows]


def count_requests(session: Session, *, states: tuple[str, ...] = (), mode: str | None = None) -> dict[str, int]:
    """{state: number of requests} over all billing accounts; every one of `states` is there, with 0 where it has none."""
    query = select(RefundRequest.state, func.count()).group_by(RefundRequest.state)
    if mode is not None:
        query = query.where(RefundRequest.mode == mode)
    found: dict[str, int] = dict(session.execute(query).all())
    return dict.fromkeys(states, 0) | found


def oldest_waiting(session: Session) -> dict[str, datetime]:
    """{state: when the oldest request in it was asked for}, of the states in which somebody or something is waited for."""
    rows = session.execute(
        select(RefundRequest.state, func.min(RefundRequest.requested_at))
        .where(RefundRequest.state.in_(WAITING))
        .group_by(RefundRequest.state)
    ).all()
    return dict(rows)


def history(session: Session, *, refund_id: str) -> list[RefundStep]:
    """Every step of a request as it happened, oldest first."""
    query = select(RefundEvent).where(RefundEvent.refund_id == refund_id).order_by(RefundEvent.seq)
    return [
        RefundStep(
            type=event.type,
            state=event.state,
            actor=event.actor,
            facts=dict(event.facts),
            transaction_id=event.transaction_id,
            at=event.at,
        )
        for event in session.execute(query).scalars()
    ]


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
        origin=item.origin,
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
        outcome=item.outcome,
        policy=item.policy,
        booked_at=item.booked_at,
        expected_on=item.expected_on,
        payee_name=item.payee_name,
        payee_iban=item.payee_iban,
        transfer_on=item.transfer_on,
        transfer_reference=item.transfer_reference,
        provider_status=item.provider_status,
        provider_facts=item.provider_facts,
        provider_seen_at=item.provider_seen_at,
    )
