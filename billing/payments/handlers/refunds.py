"""Events of a payment's refunds: all refunds of the payment are looked at, whichever the event speaks of."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.payments import refund_outcomes
from billing.payments.errors import ProviderMismatch
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider
from billing.payments.tables import Payment, RefundRequest

_TYPES = frozenset({"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed"})


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """The payment whose refunds the event is about, and the requests of ours that name it."""
    payment = session.execute(
        select(Payment.id, Payment.provider_payment_id).where(
            Payment.provider == provider_name, Payment.provider_payment_id == (notice.payment_id or "")
        )
    ).one_or_none()
    if payment is None:
        return None
    ours = frozenset(session.execute(select(RefundRequest.id).where(RefundRequest.payment_id == payment.id)).scalars())
    provider_payment_id = payment.provider_payment_id

    def look(provider: Provider) -> Effect:
        refunds = provider.list_refunds(provider_payment_id)
        if any(refund.reference not in ours for refund in refunds):
            # Someone refunded at the provider's own pages: finance must book it, we may not guess for which request.
            raise ProviderMismatch(reason="foreign_refund", payment_id=provider_payment_id)

        def record(session: Session, now: datetime) -> None:
            for refund in refunds:
                refund_outcomes.record_outcome(
                    session, now=now, refund_id=refund.reference or "", facts=refund, actor=f"provider:{provider.name}"
                )

        return record

    return look


HANDLER = Handler(types=_TYPES, find=find)
