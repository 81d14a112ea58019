"""Events of a checkout and of its payment: credited once, from what the provider's checkout says now."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments import lookups, receipts
from billing.payments.errors import OutcomeUnknown
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider

_CHECKOUT_TYPES = frozenset(
    {
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
        "checkout.session.async_payment_failed",
    }
)
_PAYMENT_TYPES = frozenset(
    {
        "payment_intent.succeeded",
        "payment_intent.payment_failed",
        "payment_intent.canceled",
        "payment_intent.requires_action",
        "charge.succeeded",
        "charge.failed",
    }
)


def find(session: Session, notice: Notice, provider_name: str) -> Look | None:
    """The payment session that the event is about, by the provider's id or by ours."""
    is_checkout = notice.type in _CHECKOUT_TYPES
    intent = lookups.find_intent(
        session,
        provider=provider_name,
        reference=notice.reference,
        checkout_id=notice.object_id if is_checkout else None,
    )
    if intent is None:
        return None
    checkout_id = notice.object_id if is_checkout else intent.provider_session_id

    def look(provider: Provider) -> Effect:
        facts = lookups.fetch_checkout(provider, intent, checkout_id=checkout_id)
        if facts is None:
            raise OutcomeUnknown("no checkout for our reference")

        def record(session: Session, now: datetime) -> None:
            receipts.record_checkout(
                session, now=now, session_id=intent.session_id, facts=facts, is_live=provider.is_live
            )

        return record

    return look


HANDLER = Handler(types=_CHECKOUT_TYPES | _PAYMENT_TYPES, find=find)
