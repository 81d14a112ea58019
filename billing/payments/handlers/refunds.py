"""Events of a payment's refunds: all refunds of the payment are looked at, whichever the event speaks of."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.payments import foreign_refunds, refund_outcomes
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider, RefundFacts
from billing.payments.tables import Payment

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
    payment_id, provider_payment_id = payment.id, payment.provider_payment_id

    def look(provider: Provider) -> Effect:
        found = provider.list_refunds(provider_payment_id)

        def record(session: Session, now: datetime) -> None:
            for facts in found:
                _take_over(session, now, provider.name, payment_id, facts)

        return record

    return look


def _take_over(session: Session, now: datetime, provider_name: str, payment_id: str, facts: RefundFacts) -> None:
    """Ours goes on; one that somebody made at the provider's own pages is kept as a case for finance."""
    refund_id = foreign_refunds.find_request(session, payment_id=payment_id, facts=facts)
    if refund_id is None:
        foreign_refunds.note(session, now=now, provider=provider_name, payment_id=payment_id, facts=facts)
        return
    actor = f"provider:{provider_name}"
    refund_outcomes.record_outcome(session, now=now, refund_id=refund_id, facts=facts, actor=actor)


HANDLER = Handler(types=_TYPES, find=find)
