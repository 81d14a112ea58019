"""Payment sessions and payments as pages show them: small frozen rows, always of one billing account."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.kernel.errors import NotFound
from billing.payments.tables import Payment, PaymentSession


@dataclass(frozen=True, kw_only=True)
class SessionRow:
    """One intent to pay. `state` is created, open, unknown, paid, failed or expired; `failure` is a stable word."""

    id: str
    billing_account_id: str
    provider: str
    provider_session_id: str | None
    purpose: str
    invoice_id: str | None
    amount_minor: int
    currency: str
    state: str
    redirect_url: str | None
    failure: str | None
    created_at: datetime
    updated_at: datetime
    payment_id: str | None
    transaction_id: str | None

    @property
    def is_final(self) -> bool:
        """Whether the page can stop asking."""
        return self.state in ("paid", "failed", "expired")

    @property
    def is_processing(self) -> bool:
        """Whether the provider's page is done with and the money is still on its way."""
        return self.state == "open" and self.provider_session_id is not None and self.redirect_url is None


@dataclass(frozen=True, kw_only=True)
class PaymentRow:
    """Money received. `rest_minor` is what of it has not been refunded; how much may leave also depends on the wallet.

    Bank money has no session; `purpose` is then bank_transfer, and it is for no invoice or for several. `reversed_at`: booked wrongly.
    """

    id: str
    session_id: str | None
    purpose: str
    invoice_id: str | None
    amount_minor: int
    currency: str
    refunded_minor: int
    rest_minor: int
    method_label: str | None
    provider: str
    provider_payment_id: str
    transaction_id: str
    received_at: datetime
    reversed_at: datetime | None = None


def get_session(session: Session, *, account_id: str, session_id: str) -> SessionRow:
    """One payment session of that billing account. Raises NotFound for any other."""
    query = _sessions().where(PaymentSession.id == session_id, PaymentSession.billing_account_id == account_id)
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound(payment_session_id=session_id)
    return _session_row(*found)


def list_sessions(session: Session, *, account_id: str, limit: int = 50) -> list[SessionRow]:
    """The newest payment sessions of a billing account."""
    query = _sessions().where(PaymentSession.billing_account_id == account_id).order_by(PaymentSession.id.desc())
    return [_session_row(*found) for found in session.execute(query.limit(limit)).all()]


def list_payments(session: Session, *, account_id: str, limit: int = 100, offset: int = 0) -> list[PaymentRow]:
    """The newest payments of a billing account."""
    query = _payments().where(Payment.billing_account_id == account_id).order_by(Payment.id.desc())
    return [_payment_row(*found) for found in session.execute(query.limit(limit).offset(offset)).all()]


def count_payments(session: Session, *, account_id: str) -> int:
    """How many payments the billing account has made."""
    query = select(func.count()).select_from(Payment).where(Payment.billing_account_id == account_id)
    return session.execute(query).scalar_one()


def get_payment(session: Session, *, account_id: str, payment_id: str) -> PaymentRow:
    """One payment of that billing account. Raises NotFound for any other."""
    query = _payments().where(Payment.id == payment_id, Payment.billing_account_id == account_id)
    found = session.execute(query).one_or_none()
    if found is None:
        raise NotFound(payment_id=payment_id)
    return _payment_row(*found)


def row_of(session: Session, item: PaymentSession) -> SessionRow:
    """The row of a payment session that this transaction holds."""
    payment = session.execute(select(Payment).where(Payment.session_id == item.id)).scalar_one_or_none()
    return _session_row(item, payment.id if payment else None, payment.transaction_id if payment else None)


def _payments() -> Select[Payment, str, str | None]:
    return select(Payment, PaymentSession.purpose, PaymentSession.invoice_id).outerjoin(
        PaymentSession, PaymentSession.id == Payment.session_id
    )


def _payment_row(payment: Payment, purpose: str | None, invoice_id: str | None) -> PaymentRow:
    return PaymentRow(
        id=payment.id,
        session_id=payment.session_id,
        purpose=purpose or "bank_transfer",
        invoice_id=invoice_id,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        refunded_minor=payment.refunded_minor,
        rest_minor=payment.amount_minor - payment.refunded_minor if payment.reversed_at is None else 0,
        method_label=payment.method_label,
        provider=payment.provider,
        provider_payment_id=payment.provider_payment_id,
        transaction_id=payment.transaction_id,
        received_at=payment.received_at,
        reversed_at=payment.reversed_at,
    )


def _sessions() -> Select[PaymentSession, str, str]:
    return select(PaymentSession, Payment.id, Payment.transaction_id).outerjoin(
        Payment, Payment.session_id == PaymentSession.id
    )


def _session_row(item: PaymentSession, payment_id: str | None, transaction_id: str | None) -> SessionRow:
    return SessionRow(
        id=item.id,
        billing_account_id=item.billing_account_id,
        provider=item.provider,
        provider_session_id=item.provider_session_id,
        purpose=item.purpose,
        invoice_id=item.invoice_id,
        amount_minor=item.amount_minor,
        currency=item.currency,
        state=item.state,
        redirect_url=item.redirect_url if item.state == "open" else None,
        failure=item.failure,
        created_at=item.created_at,
        updated_at=item.updated_at,
        payment_id=payment_id,
        transaction_id=transaction_id,
    )
