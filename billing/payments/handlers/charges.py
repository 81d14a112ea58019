"""Events of a payment intent that we charged without the customer: what the provider holds now is recorded, once."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.payments.charges import lookups, outcomes
from billing.payments.errors import OutcomeUnknown
from billing.payments.handlers.handler import Effect, Handler, Look
from billing.payments.providers.port import Notice, Provider
from billing.payments.tables import PaymentSession

_TYPES = frozenset(
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
    """The off-session payment session that the event is about, by our id or by the provider's."""
    keys = [PaymentSession.id == notice.reference] if notice.reference else []
    keys += [PaymentSession.provider_intent_id == notice.payment_id] if notice.payment_id else []
    for key in keys:
        query = select(PaymentSession).where(
            key, PaymentSession.provider == provider_name, PaymentSession.channel == "off_session"
        )
        item = session.execute(query).scalar_one_or_none()
        if item is not None:
            return _look(lookups.intent_of(session, item))
    return None


def _look(intent: lookups.ChargeIntent) -> Look:
    def look(provider: Provider) -> Effect:
        facts = lookups.find_charge(provider, intent)
        if facts is None:
            raise OutcomeUnknown("no charge for our reference")

        def record(session: Session, now: datetime) -> None:
            outcomes.record(session, now=now, session_id=intent.session_id, facts=facts, is_live=provider.is_live)

        return record

    return look


HANDLER = Handler(types=_TYPES, find=find)
