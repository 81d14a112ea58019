"""Asking the provider about an intent of ours, with or without knowing its id there."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from billing.payments.providers.port import CheckoutFacts, Provider
from billing.payments.tables import PaymentSession, ProviderCustomer


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What is needed to ask about a payment session. Without `customer_id` the provider was never asked for a checkout."""

    session_id: str
    billing_account_id: str
    provider: str
    provider_session_id: str | None
    customer_id: str | None
    state: str
    created_at: datetime
    correlation_id: str | None


def find_intent(
    session: Session, *, provider: str, reference: str | None = None, checkout_id: str | None = None
) -> Intent | None:
    """Our payment session behind a provider's checkout id, or behind our own id that the provider's object carries."""
    keys = [PaymentSession.provider_session_id == checkout_id] if checkout_id else []
    keys += [PaymentSession.id == reference] if reference else []
    if not keys:
        return None
    query = select(PaymentSession).where(PaymentSession.provider == provider, or_(*keys))
    item = session.execute(query.order_by(PaymentSession.id)).scalars().first()
    return None if item is None else intent_of(session, item)


def intent_of(session: Session, item: PaymentSession) -> Intent:
    """What to ask about this payment session."""
    customer = session.get(ProviderCustomer, (item.billing_account_id, item.provider))
    return Intent(
        session_id=item.id,
        billing_account_id=item.billing_account_id,
        provider=item.provider,
        provider_session_id=item.provider_session_id,
        customer_id=None if customer is None else customer.customer_id,
        state=item.state,
        created_at=item.created_at,
        correlation_id=item.correlation_id,
    )


def fetch_checkout(provider: Provider, intent: Intent, *, checkout_id: str | None = None) -> CheckoutFacts | None:
    """The checkout as the provider holds it now, or None when it certainly has none for this intent. Outside any transaction."""
    known = checkout_id or intent.provider_session_id
    if known is not None:
        return provider.fetch_checkout(known)
    if intent.customer_id is None:
        return None
    return provider.find_checkout(reference=intent.session_id, customer_id=intent.customer_id, since=intent.created_at)
