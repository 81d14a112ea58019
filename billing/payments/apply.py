"""The effect of stored events: look at what the provider's object says now, then effect and mark in one transaction (Law 6)."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.handlers.all import find_handler
from billing.payments.handlers.handler import Effect, Look
from billing.payments.providers import envelopes
from billing.payments.providers.port import Provider
from billing.payments.tables import ProviderEvent
from billing.storage import correlation
from billing.storage.database import Database, Role

_log = logging.getLogger("billing.payments")
_BATCH = 100
_FIRST_PAUSE_S = 10
_NOTE_MAX = 500
_GIVE_UP_AFTER = timedelta(days=3)


def apply_event(
    database: Database, providers: Mapping[str, Provider], event_id: str, *, now: datetime, role: Role = "jobs"
) -> str:
    """Give a stored event its effect and return its state; a second time, or a second worker, changes nothing.

    The object is fetched from the provider before the transaction, so the order of events does not matter. An object that
    contradicts our records makes the event failed with the reason; when the provider does not answer, it stays received.
    """
    with database.reading(role) as session:
        event = session.get_one(ProviderEvent, event_id)
        if event.state != "received":
            return event.state
        provider = providers.get(event.provider)
        notice = envelopes.read(event.body)
        handler = find_handler(notice.type)
        look = None if handler is None else handler.find(session, notice, event.provider)
    with correlation.restored(event.correlation_id):
        return _apply(database, role, event_id, now, provider, look)


def _apply(
    database: Database, role: Role, event_id: str, now: datetime, provider: Provider | None, look: Look | None
) -> str:
    if provider is None:
        return _mark(database, role, event_id, now, "received", "provider_not_configured")
    if look is None:
        return _mark(database, role, event_id, now, "ignored", "not_ours")
    try:
        return _take_effect(database, role, event_id, now, look(provider))
    except Refusal as refusal:
        return _mark(
            database, role, event_id, now, "failed", f"{refusal.fields.get('reason', refusal.code)}: {refusal}"
        )
    except ProviderRefused as refused:
        return _mark(database, role, event_id, now, "failed", f"provider_refused: {refused}")
    except OutcomeUnknown as unknown:
        return _mark(database, role, event_id, now, "received", f"provider_unreachable: {unknown}")


def apply_pending(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Apply the events that wait, oldest first, each on its own; returns how many are no longer waiting.

    What could not be asked for is tried again after 10, 30, 70, ... seconds, and given up as failed after three days.
    """
    query = select(ProviderEvent).where(ProviderEvent.state == "received").order_by(ProviderEvent.received_at)
    with database.reading("jobs") as session:
        waiting = [event.id for event in session.execute(query.limit(_BATCH)).scalars() if _is_due(event, now)]
    done = 0
    for event_id in waiting:
        try:
            done += apply_event(database, providers, event_id, now=now) != "received"
        except Exception:
            # One event that hits a fault of ours must not hold up the others; it stays and is counted as waiting.
            _log.exception("event could not be applied", extra={"event_id": event_id})
            _mark(database, "jobs", event_id, now, "received", "internal_error")
    return done


def _is_due(event: ProviderEvent, now: datetime) -> bool:
    pause = _FIRST_PAUSE_S * (2 ** min(event.attempts, 16) - 1)
    return event.received_at + timedelta(seconds=pause) <= now


def _take_effect(database: Database, role: Role, event_id: str, now: datetime, effect: Effect) -> str:
    with database.transaction(role) as session:
        event = _lock_event(session, event_id)
        if event.state != "received":
            return event.state
        effect(session, now)
        event.state, event.note, event.processed_at = "processed", None, now
        event.attempts += 1
        return event.state


def _mark(database: Database, role: Role, event_id: str, now: datetime, state: str, note: str) -> str:
    """Note a try without effect, unless another worker was faster; give up on what cannot be asked for three days."""
    with database.transaction(role) as session:
        event = _lock_event(session, event_id)
        if event.state != "received":
            return event.state
        if state == "received" and now - event.received_at >= _GIVE_UP_AFTER:
            state, note = "failed", f"given_up: {note}"
        event.state, event.note = state, note[:_NOTE_MAX]
        event.attempts += 1
        if state != "received":
            event.processed_at = now
    if state == "failed":
        _log.warning("event failed", extra={"event_id": event_id, "note": note[:_NOTE_MAX]})
    return state


def _lock_event(session: Session, event_id: str) -> ProviderEvent:
    query = select(ProviderEvent).where(ProviderEvent.id == event_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()
