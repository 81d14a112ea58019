"""Early fraud warnings: a card issuer's word that a payment may be fraud. A refund in time mostly avoids the dispute and its fee."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.kernel.ids import new_id
from billing.payments.disputes.tables import FraudWarning
from billing.payments.errors import ProviderMismatch
from billing.payments.providers.ports.disputes import WarningFacts
from billing.payments.tables import Payment
from billing.storage import audit


@dataclass(frozen=True, kw_only=True)
class WarningRow:
    """One warning with what is left of its payment to refund (minor units). Without an account we do not know the payment."""

    id: str
    provider_warning_id: str
    provider_payment_id: str | None
    account_id: str | None
    account_code: str | None
    account_name: str | None
    payment_id: str | None
    amount_minor: int | None
    rest_minor: int | None
    currency: str | None
    fraud_type: str
    is_actionable: bool
    warned_at: datetime


def record(session: Session, *, now: datetime, provider: str, is_live: bool, facts: WarningFacts) -> str:
    """Bring our row to what the provider's warning says now and return its id; a second time changes nothing. Moves no money.

    Raises ProviderMismatch for another mode.
    """
    if facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", warning_id=facts.id)
    query = select(FraudWarning).where(FraudWarning.provider == provider, FraudWarning.provider_warning_id == facts.id)
    item = session.execute(query.with_for_update()).scalar_one_or_none()
    payment = session.execute(
        select(Payment).where(Payment.provider == provider, Payment.provider_payment_id == (facts.payment_id or ""))
    ).scalar_one_or_none()
    is_new = item is None
    if item is None:
        item = FraudWarning(
            id=new_id("efw"),
            provider=provider,
            provider_warning_id=facts.id,
            warned_at=facts.warned_at,
            recorded_at=now,
        )
    item.provider_payment_id, item.provider_charge_id = facts.payment_id, facts.charge_id
    item.fraud_type, item.is_actionable, item.updated_at = facts.fraud_type, facts.is_actionable, now
    if payment is not None:
        item.payment_id, item.billing_account_id = payment.id, payment.billing_account_id
    session.add(item)
    session.flush()
    if is_new:
        audit.record(
            session,
            now=now,
            actor=f"provider:{provider}",
            act="fraud_warning.receive",
            subject_type="fraud_warning",
            subject_id=item.id,
            billing_account_id=item.billing_account_id,
            facts={"fraud_type": item.fraud_type, "payment_id": item.payment_id},
        )
    return item.id


def list_warnings(session: Session, *, actionable_only: bool = True, limit: int = 200) -> list[WarningRow]:
    """The newest warnings, by default those that a refund may still help."""
    query: Select[*tuple[Any, ...]] = (
        select(FraudWarning, Payment, BillingAccount)
        .outerjoin(Payment, Payment.id == FraudWarning.payment_id)
        .outerjoin(BillingAccount, BillingAccount.id == FraudWarning.billing_account_id)
    )
    if actionable_only:
        query = query.where(FraudWarning.is_actionable)
    rows = session.execute(query.order_by(FraudWarning.id.desc()).limit(limit)).all()
    return [_row(*found) for found in rows]


def count_actionable(session: Session) -> int:
    """How many warnings a refund may still help."""
    query = select(func.count(FraudWarning.id)).where(FraudWarning.is_actionable)
    return int(session.execute(query).scalar_one())


def _row(item: FraudWarning, payment: Payment | None, account: BillingAccount | None) -> WarningRow:
    return WarningRow(
        id=item.id,
        provider_warning_id=item.provider_warning_id,
        provider_payment_id=item.provider_payment_id,
        account_id=account.id if account else None,
        account_code=account.code if account else None,
        account_name=account.name if account else None,
        payment_id=item.payment_id,
        amount_minor=payment.amount_minor if payment else None,
        rest_minor=payment.amount_minor - payment.refunded_minor if payment else None,
        currency=payment.currency if payment else None,
        fraud_type=item.fraud_type,
        is_actionable=item.is_actionable,
        warned_at=item.warned_at,
    )
