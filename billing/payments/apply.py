"""The effect of stored events: look at what the provider's object says now, then effect and mark in one transaction (Law 6)."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.kernel.ids import new_id
from billing.payments import webhooks
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.handlers.all import find_handler
from billing.payments.handlers.handler import Effect, Look
from billing.payments.providers import envelopes
from billing.payments.providers.port import Provider
from billing.payments.recovery.tables import EventTry
from billing.payments.tables import ProviderEvent
from billing.storage import correlation
from billing.storage.database import Database, Role

_log = logging.getLogger("billing.payments")
_BATCH = 100
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 10, 3600
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
    reason = None if provider is None else webhooks.why_ignored(notice, provider)
    with correlation.restored(event.correlation_id):
        return _apply(database, role, event_id, now, provider, look, reason)


def _apply(
    database: Database,
    role: Role,
    event_id: str,
    now: datetime,
    provider: Provider | None,
    look: Look | None,
    reason: str | None,
) -> str:
    if provider is None:
        return _mark(database, role, event_id, now, "received", "provider_not_configured")
    if reason is not None:
        return _mark(database, role, event_id, now, "ignored", reason)
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
    """Apply the events whose time has come, each on its own; returns how many are no longer waiting.

    What could not be asked for is tried again after 10, 20, 40, ... seconds, at most an hour, and given up as failed three days
    after it came: finance sees it then. Waiting events hold up nobody: they are found by the time of their next try.
    """
    query = (
        select(ProviderEvent.id)
        .where(ProviderEvent.next_try_at <= now)
        .order_by(ProviderEvent.next_try_at, ProviderEvent.id)
        .limit(_BATCH)
    )
    with database.reading("jobs") as session:
        due = list(session.execute(query).scalars())
    done = 0
    for event_id in due:
        try:
            done += apply_event(database, providers, event_id, now=now) != "received"
        except Exception:
            # One event that hits a fault of ours must not hold up the others; it stays and is counted as waiting.
            _log.exception("event could not be applied", extra={"event_id": event_id})
            _mark(database, "jobs", event_id, now, "received", "internal_error")
    return done


def _take_effect(database: Database, role: Role, event_id: str, now: datetime, effect: Effect) -> str:
    with database.transaction(role) as session:
        event = _lock_event(session, event_id)
        if event.state != "received":
            return event.state
        effect(session, now)
        event.state, event.note, event.processed_at, event.next_try_at = "processed", None, now, None
        event.attempts += 1
        _keep_try(session, event, now)
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
        if state == "received":
            pause_s = min(_FIRST_PAUSE_S * 2 ** min(event.attempts - 1, 16), _LONGEST_PAUSE_S)
            event.next_try_at = now + timedelta(seconds=pause_s)
        else:
            event.processed_at, event.next_try_at = now, None
        _keep_try(session, event, now)
    if state == "failed":
        _log.warning("event failed", extra={"event_id": event_id, "note": note[:_NOTE_MAX]})
    return state


def _keep_try(session: Session, event: ProviderEvent, now: datetime) -> None:
    session.add(EventTry(id=new_id("pet"), event_id=event.id, tried_at=now, outcome=event.state, note=event.note))


def _lock_event(session: Session, event_id: str) -> ProviderEvent:
    query = select(ProviderEvent).where(ProviderEvent.id == event_id).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()
