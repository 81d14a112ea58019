"""Tries of saved methods as pages and lists show them: small frozen rows, newest first."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, cast

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound
from billing.payments.charges.tables import ChargeAttempt
from billing.payments.tables import Payment, PaymentSession

Trigger = Literal["auto_pay", "auto_top_up"]
Outcome = Literal["pending", "processing", "paid", "declined", "action_required", "never_sent"]


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One try. `outcome` is pending, processing, paid, declined, action_required or never_sent; `state` the payment session's."""

    session_id: str
    account_id: str
    account_code: str
    trigger: Trigger
    step: str
    invoice_id: str | None
    invoice_number: str | None
    amount_minor: int
    currency: str
    method_label: str
    outcome: Outcome
    state: str
    decline_code: str | None
    verdict: str | None
    next_try_on: date | None
    provider: str
    provider_intent_id: str | None
    payment_id: str | None
    created_at: datetime
    ended_at: datetime | None


def list_attempts(
    session: Session,
    *,
    account_id: str | None = None,
    invoice_id: str | None = None,
    outcome: str | None = None,
    limit: int = 50,
) -> list[AttemptRow]:
    """The newest tries, of one account, one invoice, or all."""
    return _rows(session, account_id=account_id, invoice_id=invoice_id, outcome=outcome, limit=limit)


def get_attempt(session: Session, *, account_id: str, session_id: str) -> AttemptRow:
    """One try of that billing account. Raises NotFound for any other."""
    found = _rows(session, account_id=account_id, session_id=session_id, limit=1)
    if not found:
        raise NotFound(payment_session_id=session_id[:60])
    return found[0]


def _rows(
    session: Session,
    *,
    account_id: str | None = None,
    invoice_id: str | None = None,
    session_id: str | None = None,
    outcome: str | None = None,
    limit: int,
) -> list[AttemptRow]:
    query = (
        select(PaymentSession, ChargeAttempt, BillingAccount.code, InvoiceHeader.number, Payment.id)
        .join(ChargeAttempt, ChargeAttempt.session_id == PaymentSession.id)
        .join(BillingAccount, BillingAccount.id == PaymentSession.billing_account_id)
        .outerjoin(InvoiceHeader, InvoiceHeader.id == PaymentSession.invoice_id)
        .outerjoin(Payment, Payment.session_id == PaymentSession.id)
        .order_by(ChargeAttempt.session_id.desc())
        .limit(limit)
    )
    for column, value in (
        (ChargeAttempt.billing_account_id, account_id),
        (PaymentSession.invoice_id, invoice_id),
        (ChargeAttempt.session_id, session_id),
        (ChargeAttempt.outcome, outcome),
    ):
        if value is not None:
            query = query.where(column == value)
    return [
        AttemptRow(
            session_id=item.id,
            account_id=item.billing_account_id,
            account_code=code,
            trigger=cast(Trigger, item.trigger),
            step=attempt.step,
            invoice_id=item.invoice_id,
            invoice_number=number,
            amount_minor=item.amount_minor,
            currency=item.currency,
            method_label=attempt.method_label,
            outcome=cast(Outcome, attempt.outcome),
            state=item.state,
            decline_code=attempt.decline_code,
            verdict=attempt.verdict,
            next_try_on=attempt.next_try_on if attempt.verdict == "soft" else None,
            provider=item.provider,
            provider_intent_id=item.provider_intent_id,
            payment_id=payment_id,
            created_at=item.created_at,
            ended_at=attempt.ended_at,
        )
        for item, attempt, code, number, payment_id in session.execute(query).all()
    ]
