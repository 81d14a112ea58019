"""Asking the provider about a charge of ours, with or without knowing its id there."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments.charges.tables import ChargeAttempt
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.charges import ChargeFacts
from billing.payments.tables import PaymentSession


@dataclass(frozen=True, kw_only=True)
class ChargeIntent:
    """What is needed to ask about an off-session payment session."""

    session_id: str
    billing_account_id: str
    provider: str
    provider_intent_id: str | None
    customer_id: str
    state: str
    created_at: datetime
    correlation_id: str | None


def intent_of(session: Session, item: PaymentSession) -> ChargeIntent:
    """What to ask about this payment session, which must be an off-session one."""
    attempt = session.get_one(ChargeAttempt, item.id)
    return ChargeIntent(
        session_id=item.id,
        billing_account_id=item.billing_account_id,
        provider=item.provider,
        provider_intent_id=item.provider_intent_id,
        customer_id=attempt.customer_id,
        state=item.state,
        created_at=item.created_at,
        correlation_id=item.correlation_id,
    )


def find_charge(provider: Provider, intent: ChargeIntent) -> ChargeFacts | None:
    """The charge as the provider holds it now, or None when it certainly has none for this intent. Outside any transaction."""
    if intent.provider_intent_id is not None:
        return provider.fetch_charge(intent.provider_intent_id)
    return provider.find_charge(reference=intent.session_id, customer_id=intent.customer_id, since=intent.created_at)
