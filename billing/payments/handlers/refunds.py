"""Events of a payment's refunds: all refunds of the payment are looked at, whichever the event speaks of."""

from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.payments import foreign_refunds, refund_outcomes
from billing.payments.errors import OutcomeUnknown
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider, RefundFacts
from billing.payments.recovery import unmatched
from billing.payments.tables import Payment, PaymentSession

_TYPES = frozenset({"charge.refunded", "charge.refund.updated", "refund.created", "refund.updated", "refund.failed"})


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """The payment whose refunds the event is about, and the requests of ours that name it; one that is not credited here yet too."""
    payment = session.execute(
        select(Payment.id, Payment.provider_payment_id).where(
            Payment.provider == provider_name, Payment.provider_payment_id == (notice.payment_id or "")
        )
    ).one_or_none()
    if payment is None:
        return _look_at_uncredited(session, notice, provider_name)
    payment_id, provider_payment_id = payment.id, payment.provider_payment_id

    def look(provider: Provider) -> Effect:
        found = provider.list_refunds(provider_payment_id)

        def record(session: Session, now: datetime) -> None:
            for facts in found:
                _take_over(session, now, provider.name, payment_id, facts)

        return record

    return look


def _look_at_uncredited(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """A payment of ours whose own events are late or lost is waited for, or nobody would hear of its refund again.

    One without an owner here is noted with the payment, so that no account is given money that has gone back.
    """
    keys = [PaymentSession.id == notice.reference] if notice.reference else []
    keys += [PaymentSession.provider_intent_id == notice.payment_id] if notice.payment_id else []
    if keys:
        ours = select(PaymentSession.id).where(PaymentSession.provider == provider_name, or_(*keys))
        if session.execute(ours.limit(1)).first() is not None:
            return _wait
    unmatched_id = unmatched.find_open(session, provider=provider_name, payment_id=notice.payment_id or "")
    if unmatched_id is None:
        return None

    def note(session: Session, now: datetime) -> None:
        unmatched.note_given_back(session, now=now, key=unmatched_id)

    return lambda _provider: note


def _wait(_provider: Provider) -> Effect:
    raise OutcomeUnknown("the refunded payment is not credited yet")


def _take_over(session: Session, now: datetime, provider_name: str, payment_id: str, facts: RefundFacts) -> None:
    """Ours goes on; one that somebody made at the provider's own pages is kept as a case for finance."""
    refund_id = foreign_refunds.find_request(session, payment_id=payment_id, facts=facts)
    if refund_id is None:
        foreign_refunds.note(session, now=now, provider=provider_name, payment_id=payment_id, facts=facts)
        return
    actor = f"provider:{provider_name}"
    refund_outcomes.record_outcome(session, now=now, refund_id=refund_id, facts=facts, actor=actor)


HANDLER = Handler(types=_TYPES, find=find)
