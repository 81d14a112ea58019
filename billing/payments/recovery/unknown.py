"""Looks up what nobody told us: intents of unknown outcome, checkouts whose event was lost, refunds without an answer."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Select, or_, select
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.payments import acts, lookups, refund_outcomes, refund_steps
from billing.payments.errors import OutcomeUnknown, ProviderMismatch, ProviderRefused
from billing.payments.lookups import Intent
from billing.payments.providers.port import Provider, RefundFacts
from billing.payments.recovery import cases
from billing.payments.refund_outcomes import Sending
from billing.payments.tables import Payment, PaymentSession, RefundRequest
from billing.storage import correlation
from billing.storage.database import Database

_log = logging.getLogger("billing.payments")
_BATCH = 50
# A call that is still under way must not be looked up; after that, ask less often the longer it lasts.
_SETTLE_S = 60
_OPEN_PAUSE_S = 600


def look_up_unknown(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Bring what is unknown or open to what its provider says; returns how many intents and refunds changed.

    One that fails is logged and tried again later; the others go on.
    """
    done = 0
    for intent in _due_intents(database, providers, now):
        try:
            with correlation.restored(intent.correlation_id):
                done += _look_up_session(database, providers[intent.provider], intent, now)
        except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
            _log.warning("lookup failed", extra={"payment_session_id": intent.session_id, "cause": str(trouble)})
    for refund_id in _due_refunds(database, providers, now):
        try:
            done += _look_up_refund(database, providers, refund_id, now)
        except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
            _log.warning("lookup failed", extra={"refund_id": refund_id, "cause": str(trouble)})
    return done


def _due_intents(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[Intent]:
    """Intents to ask about, marked as asked so that two runs do not ask twice and one that fails waits its turn.

    Each part walks the index (state, looked_up_at, updated_at): the cost follows what is due, not how many sessions there are.
    """
    with database.transaction("jobs") as session:
        items: list[PaymentSession] = []
        for query in due_queries(list(providers), now):
            items += session.execute(query.limit(_BATCH - len(items))).scalars() if len(items) < _BATCH else ()
        for item in items:
            item.looked_up_at = now
        return [lookups.intent_of(session, item) for item in items]


def due_queries(provider_names: Sequence[str], now: datetime) -> list[Select[PaymentSession]]:
    """The sessions that are due, by state, never asked ones first: rows of payment_sessions, locked, those locked by others left out."""
    settled_at, open_at = now - timedelta(seconds=_SETTLE_S), now - timedelta(seconds=_OPEN_PAUSE_S)
    queries = []
    for state, at in (("unknown", settled_at), ("created", settled_at), ("open", open_at)):
        of_state = select(PaymentSession).where(
            PaymentSession.state == state, PaymentSession.provider.in_(provider_names)
        )
        never = of_state.where(PaymentSession.looked_up_at.is_(None), PaymentSession.updated_at <= at)
        again = of_state.where(PaymentSession.looked_up_at <= at, PaymentSession.updated_at <= at)
        queries += [never.order_by(PaymentSession.updated_at), again.order_by(PaymentSession.looked_up_at)]
    return [query.with_for_update(skip_locked=True) for query in queries]


def _look_up_session(database: Database, provider: Provider, intent: Intent, now: datetime) -> bool:
    try:
        return cases.bring_up_to_date(database, provider, now=now, session_id=intent.session_id)
    except ProviderMismatch as mismatch:
        reason = str(mismatch.fields.get("reason"))
        acts.note_mismatch(database, now=now, session_id=intent.session_id, reason=reason)
        raise


def _due_refunds(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[str]:
    settled_at, sent_at = now - timedelta(seconds=_SETTLE_S), now - timedelta(seconds=_OPEN_PAUSE_S)
    # Sent without the provider's id: the process died, or is still waiting for the answer.
    unclear = RefundRequest.state.in_(("sent", "unknown")) & RefundRequest.provider_refund_id.is_(None)
    pending = (RefundRequest.state == "sent") & RefundRequest.provider_refund_id.is_not(None)
    query = (
        select(RefundRequest)
        .join(Payment, Payment.id == RefundRequest.payment_id)
        .where(
            or_(
                unclear & (RefundRequest.sent_at <= settled_at) & _not_asked_since(RefundRequest, settled_at),
                pending & (RefundRequest.sent_at <= sent_at) & _not_asked_since(RefundRequest, sent_at),
            ),
            Payment.provider.in_(list(providers)),
        )
        .order_by(RefundRequest.sent_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True, of=RefundRequest)
    )
    with database.transaction("jobs") as session:
        items = list(session.execute(query).scalars())
        for item in items:
            item.looked_up_at = now
        return [item.id for item in items]


def _look_up_refund(database: Database, providers: Mapping[str, Provider], refund_id: str, now: datetime) -> bool:
    """Ask for the refund; one that the provider certainly never got is sent again under its key, or after 23 h given up."""
    with database.transaction("jobs") as session:
        item, _head = refund_steps.lock_request(session, refund_id)
        sending = refund_outcomes.sending_facts(session, item)
        known_id, first_try_at, before = item.provider_refund_id, item.sent_at or now, item.state
    with correlation.restored(sending.facts.correlation_id):
        return _find_out_refund(database, providers[sending.provider], sending, known_id, first_try_at, before, now)


def _find_out_refund(
    database: Database,
    provider: Provider,
    sending: Sending,
    known_id: str | None,
    first_try_at: datetime,
    before: str,
    now: datetime,
) -> bool:
    refund_id = sending.facts.reference
    facts = _find_refund(provider, known_id, refund_id, sending.facts.payment_id)
    actor = f"provider:{provider.name}"
    if facts is not None:
        with database.transaction("jobs") as session:
            return (
                refund_outcomes.record_outcome(session, now=now, refund_id=refund_id, facts=facts, actor=actor)
                != before
            )
    if now - first_try_at < acts.MAX_REPEAT_AGE:
        acts.deliver_refund(database, provider, now=now, facts=sending.facts)
    else:
        with database.transaction("jobs") as session:
            refund_outcomes.record_refused(
                session, now=now, refund_id=refund_id, reason=cases.NEVER_REACHED, actor=actor
            )
    with database.reading("jobs") as session:
        return _state(session, refund_id) != before


def _find_refund(provider: Provider, known_id: str | None, refund_id: str, payment_id: str) -> RefundFacts | None:
    if known_id is not None:
        return provider.fetch_refund(known_id)
    return next((refund for refund in provider.list_refunds(payment_id) if refund.reference == refund_id), None)


def _state(session: Session, refund_id: str) -> str:
    return session.execute(select(RefundRequest.state).where(RefundRequest.id == refund_id)).scalar_one()


def _not_asked_since(table: type[RefundRequest], at: datetime) -> ColumnElement[bool]:
    return table.looked_up_at.is_(None) | (table.looked_up_at <= at)
