"""Refunds that somebody made at the provider's own pages: each is a case, until two people adopt it as a refund of ours.

The money is gone already, so that no limit of funds stands against an adoption; it is taken from the wallet, after a credit note
where the maker names an invoice, and booked from the provider's balance transaction.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, heads, names
from billing.accounts.tables import AccountHead, BillingAccount
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments import (
    refund_authority,
    refund_limits,
    refund_outcomes,
    refund_seen,
    refund_subjects,
    refunds,
)
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.port import RefundFacts
from billing.payments.refund_tables import ForeignRefund
from billing.payments.refunds import RefundRow
from billing.payments.tables import Payment, RefundRequest
from billing.storage import audit, correlation

STATES = ("open", "asked", "adopted")
_SUBJECT = "foreign_refund"


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One case. `state` is open, asked (a second person is waited for) or adopted; `provider_status` is the provider's own word."""

    id: str
    provider: str
    provider_refund_id: str
    provider_payment_id: str
    billing_account_id: str
    account_code: str
    account_name: str
    payment_id: str
    amount_minor: int
    currency: str
    state: str
    facts: RefundFacts
    refund_id: str | None
    found_at: datetime
    seen_at: datetime
    adopted_at: datetime | None


def note(session: Session, *, now: datetime, provider: str, payment_id: str, facts: RefundFacts) -> str:
    """Keep a refund of a payment that none of our requests asked for, as the provider shows it now; returns the case's id.

    Locks the account's head. Raises ProviderMismatch when what was seen before was of another amount or payment.
    """
    account_id = session.execute(select(Payment.billing_account_id).where(Payment.id == payment_id)).scalar_one()
    heads.lock_one(session, account_id)
    query = select(ForeignRefund).where(
        ForeignRefund.provider == provider, ForeignRefund.provider_refund_id == facts.id
    )
    item = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    kept = refund_seen.to_json(facts)
    if item is not None:
        if (item.payment_id, item.amount_minor, item.currency) != (
            payment_id,
            facts.amount.minor,
            facts.amount.currency,
        ):
            raise ProviderMismatch(reason="amount_mismatch", refund_id=item.id, found_minor=facts.amount.minor)
        item.provider_status, item.facts, item.seen_at = facts.status, kept, now
        session.flush()
        return item.id
    item = ForeignRefund(
        id=new_id("frf"),
        provider=provider,
        provider_refund_id=facts.id,
        billing_account_id=account_id,
        payment_id=payment_id,
        amount_minor=facts.amount.minor,
        currency=facts.amount.currency,
        state="open",
        provider_status=facts.status,
        facts=kept,
        found_at=now,
        seen_at=now,
    )
    session.add(item)
    audit.record(
        session,
        now=now,
        actor=f"provider:{provider}",
        act="refund.found",
        subject_type=_SUBJECT,
        subject_id=item.id,
        billing_account_id=account_id,
        facts={"amount_minor": item.amount_minor, "currency": item.currency, "provider_refund_id": facts.id},
    )
    session.flush()
    return item.id


def ask_adoption(
    session: Session,
    *,
    now: datetime,
    case_id: str,
    reason: str,
    form_key: str,
    actor: str,
    invoice_id: str | None = None,
) -> RefundRow:
    """Ask that a case becomes a refund of ours, from the wallet, or with that invoice credited first; a second person decides.

    The same form twice is one request. Locks the account's head. Raises NotFound, Invalid, Conflict(already_adopted),
    AboveRefundable, AboveAuthority.
    """
    item, _head = _lock(session, case_id)
    known = session.execute(
        select(RefundRequest).where(
            RefundRequest.billing_account_id == item.billing_account_id, RefundRequest.form_key == form_key
        )
    ).scalar_one_or_none()
    if known is not None and (known.provider_refund_id, known.invoice_id) == (item.provider_refund_id, invoice_id):
        return refunds.get_request(session, refund_id=known.id)
    if item.state != "open" or known is not None:
        raise Conflict(refund_id=item.refund_id or item.id, reason="already_adopted")
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    reason = names.require_name(" ".join(reason.split()), "reason", max_length=approvals.REASON_MAX)
    if invoice_id is not None:
        invoice = refund_subjects.require_invoice(session, item.billing_account_id, invoice_id)
        if invoice.currency != item.currency:
            raise Invalid(field="currency", value=item.currency, expected=invoice.currency, reason="currency_mismatch")
    asked = RefundRequest(
        id=new_id("rfd"),
        billing_account_id=item.billing_account_id,
        payment_id=item.payment_id,
        invoice_id=invoice_id,
        origin="provider",
        mode="card",
        amount_minor=item.amount_minor,
        currency=item.currency,
        reason=reason,
        state="requested",
        form_key=form_key,
        requested_by=actor,
        requested_at=now,
        provider_refund_id=item.provider_refund_id,
        provider_status=item.provider_status,
        provider_facts=item.facts,
        provider_seen_at=item.seen_at,
        correlation_id=correlation.current(),
    )
    found = refund_limits.check(session, asked, now=now)
    amount = Money(minor=item.amount_minor, currency=item.currency)
    asked.policy = found.facts() | refund_authority.require(
        session, now=now, person_id=actor, act="ask", amount=amount, refund_id=asked.id
    )
    row = refunds.open_request(session, now=now, item=asked, actor=actor)
    item.state, item.refund_id = "asked", asked.id
    session.flush()
    return row


def adopt(session: Session, *, now: datetime, item: RefundRequest, actor: str) -> None:
    """Book an approved adoption from what the provider showed last; the caller has held the money. Raises ProviderMismatch."""
    case = session.execute(select(ForeignRefund).where(ForeignRefund.refund_id == item.id)).scalar_one()
    case.state, case.adopted_at = "adopted", now
    facts = refund_seen.of_json(case.facts)
    item.state, item.sent_at = "sent", facts.created_at or now
    session.flush()
    refund_outcomes.record_outcome(session, now=now, refund_id=item.id, facts=facts, actor=actor)


def reopen(session: Session, *, item: RefundRequest) -> None:
    """The adoption was refused or withdrawn: the case is open again."""
    case = session.execute(select(ForeignRefund).where(ForeignRefund.refund_id == item.id)).scalar_one()
    case.state, case.refund_id = "open", None
    session.flush()


def find_request(session: Session, *, payment_id: str, facts: RefundFacts) -> str | None:
    """Our request that a provider's refund of a payment belongs to: by our reference, or adopted by its id."""
    adopted = select(RefundRequest.id).where(
        RefundRequest.payment_id == payment_id,
        RefundRequest.origin == "provider",
        RefundRequest.provider_refund_id == facts.id,
        RefundRequest.state.not_in(("requested", "rejected")),
    )
    found = session.execute(adopted).scalar_one_or_none()
    if found is not None or facts.reference is None:
        return found
    named = select(RefundRequest.id).where(RefundRequest.id == facts.reference, RefundRequest.payment_id == payment_id)
    return session.execute(named).scalar_one_or_none()


def get_case(session: Session, case_id: str) -> CaseRow:
    """One case. Raises NotFound."""
    found = session.execute(_cases().where(ForeignRefund.id == case_id)).one_or_none()
    if found is None:
        raise NotFound(foreign_refund_id=case_id[:60])
    return _row(*found)


def list_cases(
    session: Session, *, states: tuple[str, ...] = ("open", "asked"), limit: int = 50, offset: int = 0
) -> list[CaseRow]:
    """Cases in these states, the oldest first."""
    query = _cases().where(ForeignRefund.state.in_(states)).order_by(ForeignRefund.id).limit(limit).offset(offset)
    return [_row(*found) for found in session.execute(query).all()]


def count_open(session: Session) -> int:
    """How many cases nobody has taken up yet."""
    return int(
        session.execute(
            select(func.count()).select_from(ForeignRefund).where(ForeignRefund.state == "open")
        ).scalar_one()
    )


def _lock(session: Session, case_id: str) -> tuple[ForeignRefund, AccountHead]:
    account_id = session.execute(
        select(ForeignRefund.billing_account_id).where(ForeignRefund.id == case_id)
    ).scalar_one_or_none()
    if account_id is None:
        raise NotFound(foreign_refund_id=case_id[:60])
    head = heads.lock_one(session, account_id)
    query = select(ForeignRefund).where(ForeignRefund.id == case_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one(), head


def _cases() -> Select[ForeignRefund, BillingAccount, str]:
    return (
        select(ForeignRefund, BillingAccount, Payment.provider_payment_id)
        .join(BillingAccount, BillingAccount.id == ForeignRefund.billing_account_id)
        .join(Payment, Payment.id == ForeignRefund.payment_id)
    )


def _row(item: ForeignRefund, account: BillingAccount, provider_payment_id: str) -> CaseRow:
    return CaseRow(
        id=item.id,
        provider=item.provider,
        provider_refund_id=item.provider_refund_id,
        provider_payment_id=provider_payment_id,
        billing_account_id=item.billing_account_id,
        account_code=account.code,
        account_name=account.name,
        payment_id=item.payment_id,
        amount_minor=item.amount_minor,
        currency=item.currency,
        state=item.state,
        facts=refund_seen.of_json(item.facts),
        refund_id=item.refund_id,
        found_at=item.found_at,
        seen_at=item.seen_at,
        adopted_at=item.adopted_at,
    )
