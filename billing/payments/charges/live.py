"""What is under way for an invoice: at most one charge, and none beside a checkout that somebody may be paying."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.payments.errors import NotPayable
from billing.payments.tables import PaymentSession

STATES = ("created", "open", "unknown")


def of_invoice(session: Session, invoice_id: str) -> list[PaymentSession]:
    """Intents to pay that invoice which have not ended, oldest first. True for an act only under the account's head."""
    query = select(PaymentSession).where(PaymentSession.invoice_id == invoice_id, PaymentSession.state.in_(STATES))
    return list(session.execute(query.order_by(PaymentSession.id)).scalars())


def require_no_charge(session: Session, invoice_id: str) -> None:
    """Nobody pays by hand what a saved method is being asked for. Raises NotPayable(charge_under_way)."""
    charges = [one for one in of_invoice(session, invoice_id) if one.channel == "off_session"]
    if charges:
        raise NotPayable(invoice_id=invoice_id, payment_session_id=charges[0].id, reason="charge_under_way")


def top_ups(session: Session, account_id: str, *, since: datetime) -> list[PaymentSession]:
    """Top-ups of the account that have not ended: every automatic one, and checkouts begun since."""
    query = select(PaymentSession).where(
        PaymentSession.billing_account_id == account_id,
        PaymentSession.purpose == "top_up",
        PaymentSession.state.in_(STATES),
        (PaymentSession.channel == "off_session") | (PaymentSession.created_at >= since),
    )
    return list(session.execute(query.order_by(PaymentSession.id)).scalars())
