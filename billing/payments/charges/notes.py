"""What people are told about charges that were made without them."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing.tables import InvoiceHeader
from billing.payments.charges import declines
from billing.payments.charges.tables import AutomaticPayments, ChargeAttempt
from billing.payments.tables import PaymentSession
from billing.storage import outbox


def tell_ended(
    session: Session, *, now: datetime, item: PaymentSession, attempt: ChargeAttempt, is_turned_off: bool = False
) -> None:
    """Queue what the end of a charge means for its people, once; a payment of an invoice is told by its receipt."""
    if attempt.outcome == "paid" and item.trigger == "auto_top_up":
        topic = "top_up.automatic"
    elif attempt.outcome == "action_required":
        topic = "payment.action_required"
    elif attempt.outcome == "declined":
        topic = "payment.failed"
    else:
        return
    number = (
        session.scalar(select(InvoiceHeader.number).where(InvoiceHeader.id == item.invoice_id))
        if item.invoice_id
        else None
    )
    next_try_on = attempt.next_try_on if attempt.verdict == "soft" else None
    payload: dict[str, Any] = {
        "payment_session_id": item.id,
        "invoice_id": item.invoice_id,
        "invoice_number": number,
        "amount_minor": item.amount_minor,
        "currency": item.currency,
        "method_label": attempt.method_label,
        "trigger": item.trigger,
        "decline_code": declines.told_as(attempt.decline_code) if topic == "payment.failed" else None,
        "verdict": attempt.verdict,
        "next_try_on": next_try_on.isoformat() if next_try_on else None,
        "is_turned_off": is_turned_off,
    }
    outbox.enqueue(
        session,
        now=now,
        topic=topic,
        dedup_key=f"{topic}:{item.id}",
        payload=payload,
        billing_account_id=item.billing_account_id,
    )


def tell_cap_reached(
    session: Session, *, now: datetime, settings: AutomaticPayments, month: str, spent_minor: int
) -> None:
    """Queue, once a month, that the wallet is low and the month's cap allows no further top-up."""
    outbox.enqueue(
        session,
        now=now,
        topic="top_up.cap_reached",
        dedup_key=f"top_up.cap_reached:{settings.billing_account_id}:{month}",
        payload={
            "month": month,
            "spent_minor": spent_minor,
            "cap_minor": settings.cap_minor,
            "amount_minor": settings.amount_minor,
            "currency": settings.currency,
        },
        billing_account_id=settings.billing_account_id,
    )
