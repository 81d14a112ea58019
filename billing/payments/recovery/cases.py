"""One payment session beside what its provider holds now, and bringing it to that.

What is asked is asked outside any transaction; what is recorded is what the rooms of checkouts and charges record, so that looking
twice changes nothing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import NotFound
from billing.payments import checkout, lookups, receipts
from billing.payments.charges import acts as charge_acts
from billing.payments.charges import lookups as charge_lookups
from billing.payments.lookups import Intent
from billing.payments.providers.port import CheckoutState, PaymentFacts, Provider
from billing.payments.providers.ports.charges import ChargeFacts
from billing.payments.recovery import comparison, unmatched
from billing.payments.recovery.comparison import Comparison, Ours, Theirs
from billing.payments.tables import Payment, PaymentSession
from billing.storage import audit
from billing.storage.database import Database, Role

NEVER_REACHED = "never_reached_provider"
_NOT_FOUND_IS_FINAL = timedelta(minutes=15)
OFF_SESSION = "off_session"


@dataclass(frozen=True, kw_only=True)
class Recovered:
    """What asking has led to: both sides as they are now, and whether ours had to change."""

    comparison: Comparison
    has_changed: bool


def bring_up_to_date(
    database: Database, provider: Provider, *, now: datetime, session_id: str, role: Role = "jobs"
) -> bool:
    """Ask the provider and record what it says; True when the session is another than before.

    A checkout that it certainly never got, 15 minutes after our intent, has failed. Raises OutcomeUnknown and ProviderRefused when
    there is no answer, ProviderMismatch when the answer contradicts our row: nothing is recorded then. NotFound.
    """
    with database.reading(role) as session:
        item = _get(session, session_id)
        channel, intent = item.channel, lookups.intent_of(session, item)
    if channel == OFF_SESSION:
        return charge_acts.look_up(database, provider, now=now, session_id=session_id)
    facts = lookups.fetch_checkout(provider, intent)
    if facts is not None:
        with database.transaction(role) as session:
            state = receipts.record_checkout(
                session, now=now, session_id=session_id, facts=facts, is_live=provider.is_live
            )
        return state != intent.state
    if now - intent.created_at < _NOT_FOUND_IS_FINAL:
        return False
    with database.transaction(role) as session:
        row = checkout.record_refused(session, now=now, session_id=session_id, reason=NEVER_REACHED)
    return row.state != intent.state


def look(database: Database, provider: Provider, *, session_id: str, role: Role = "web") -> Comparison:
    """Our row beside the provider's object as it is now; records nothing. Raises OutcomeUnknown, ProviderRefused, ProviderMismatch
    for an object that cannot be read, NotFound."""
    with database.reading(role) as session:
        item = _get(session, session_id)
        ours, channel, intent = _ours(session, item, provider.is_live), item.channel, lookups.intent_of(session, item)
        charge = charge_lookups.intent_of(session, item) if channel == OFF_SESSION else None
    if ours.object_id is None and ours.payment_id is not None:
        # Given to the account by two people: there is no checkout, only the payment.
        given = provider.fetch_payment(ours.payment_id)
        amount = given.payment.received
        theirs: Theirs | None = _theirs(
            given.payment.id, "complete", amount.minor, given.payment, session_id, given.is_live, amount.currency
        )
    elif charge is None:
        theirs = _theirs_of_checkout(provider, intent)
    else:
        theirs = _theirs_of_charge(charge_lookups.find_charge(provider, charge))
    return comparison.compare(ours, theirs)


def recover(
    database: Database, provider: Provider, *, now: datetime, session_id: str, actor: str, role: Role = "web"
) -> Recovered:
    """`bring_up_to_date` as somebody's act, with its audit row, and how both sides stand afterwards. Raises what that raises."""
    with database.transaction(role) as session:
        item = _get(session, session_id)
        audit.record(
            session,
            now=now,
            actor=actor,
            act="payment.recover",
            subject_type="payment_session",
            subject_id=item.id,
            billing_account_id=item.billing_account_id,
            facts={"state": item.state},
        )
    has_changed = bring_up_to_date(database, provider, now=now, session_id=session_id, role=role)
    with database.transaction(role) as session:
        unmatched.end_credited(session, now=now, provider=provider.name)
    return Recovered(comparison=look(database, provider, session_id=session_id, role=role), has_changed=has_changed)


def _theirs_of_checkout(provider: Provider, intent: Intent) -> Theirs | None:
    found = lookups.fetch_checkout(provider, intent)
    if found is None:
        return None
    return _theirs(
        found.id, found.state, found.amount.minor, found.payment, found.reference, found.is_live, found.amount.currency
    )


def _theirs_of_charge(found: ChargeFacts | None) -> Theirs | None:
    if found is None:
        return None
    return _theirs(
        found.id, "complete", found.amount.minor, found.payment, found.reference, found.is_live, found.amount.currency
    )


def _theirs(
    object_id: str,
    state: CheckoutState,
    amount_minor: int,
    payment: PaymentFacts | None,
    reference: str | None,
    is_live: bool,
    currency: str,
) -> Theirs:
    return Theirs(
        object_id=object_id,
        state=comparison.state_of(state, payment),
        reference=reference,
        amount_minor=amount_minor,
        currency=currency,
        is_live=is_live,
        payment_id=payment.id if payment is not None and payment.state == "paid" else None,
        received_minor=payment.received.minor if payment is not None and payment.state == "paid" else None,
        paid_at=payment.paid_at if payment is not None else None,
        fee_minor=payment.fee.minor if payment is not None and payment.fee is not None else None,
        fee_currency=payment.fee.currency if payment is not None and payment.fee is not None else None,
        failure=payment.failure if payment is not None else None,
    )


def _ours(session: Session, item: PaymentSession, is_live: bool) -> Ours:
    payment = session.execute(select(Payment).where(Payment.session_id == item.id)).scalar_one_or_none()
    return Ours(
        session_id=item.id,
        object_id=item.provider_intent_id if item.channel == OFF_SESSION else item.provider_session_id,
        state=item.state,
        amount_minor=item.amount_minor,
        currency=item.currency,
        is_live=is_live,
        payment_id=None if payment is None else payment.provider_payment_id,
        credited_minor=None if payment is None else payment.amount_minor,
        credited_at=None if payment is None else payment.received_at,
        failure=item.failure,
    )


def _get(session: Session, session_id: str) -> PaymentSession:
    item = session.get(PaymentSession, session_id)
    if item is None:
        raise NotFound(payment_session_id=session_id[:80])
    return item
