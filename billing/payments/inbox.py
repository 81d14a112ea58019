"""The inbox of provider events as finance sees it: what came, what became of it, each try, and what a person does about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.payments.handlers.all import HANDLED_TYPES
from billing.payments.recovery.tables import EventTry
from billing.payments.tables import ProviderEvent
from billing.storage import audit

STATES = ("received", "failed", "processed", "ignored", "closed")
COUNTED_MAX = 10_000
REASON_MAX = 500
BULK_MAX = 200
# What is kept for one of these reasons cannot be made ours by trying again.
_NOT_OURS = ("livemode_mismatch", "other_account")


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One event as operators see it. `note` says why it was ignored, or what went wrong last: a stable word, then detail."""

    id: str
    provider: str
    event_id: str
    type: str
    state: str
    attempts: int
    note: str | None
    received_at: datetime
    processed_at: datetime | None
    next_try_at: datetime | None
    object_id: str | None
    reference: str | None
    payment_id: str | None
    closed_by: str | None
    closed_reason: str | None
    correlation_id: str | None
    is_handled: bool

    @property
    def may_retry(self) -> bool:
        """Whether trying again can make a difference."""
        return self.is_handled and self.state != "received" and (self.note or "") not in _NOT_OURS


@dataclass(frozen=True, kw_only=True)
class TryRow:
    """One try: when, the event's state afterwards, why not."""

    tried_at: datetime
    outcome: str
    note: str | None


@dataclass(frozen=True, kw_only=True)
class Filters:
    """Which events. `text` is the beginning of a type, or a whole id of an event or of an object it speaks of."""

    states: tuple[str, ...] = ()
    provider: str | None = None
    text: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class StateCount:
    """How many events are in a state, at most COUNTED_MAX, and since when the oldest of them is here."""

    state: str
    count: int
    oldest_at: datetime | None


def list_events(
    session: Session, filters: Filters | None = None, *, limit: int = 100, offset: int = 0
) -> list[EventRow]:
    """The newest events that match."""
    query = _matching(select(ProviderEvent), filters or Filters())
    rows = session.execute(
        query.order_by(ProviderEvent.received_at.desc(), ProviderEvent.id.desc()).limit(limit).offset(offset)
    )
    return [_row(item) for item in rows.scalars()]


def count_events(session: Session, filters: Filters) -> int:
    """How many events match, at most COUNTED_MAX: a list is paged, not counted to its end."""
    found = _matching(select(ProviderEvent.id), filters).limit(COUNTED_MAX).subquery()
    return int(session.execute(select(func.count()).select_from(found)).scalar_one())


def count_states(session: Session) -> list[StateCount]:
    """Every state in the order in which a person should look. Reads an index, and of each state no more than it shows."""
    counted = []
    for state in STATES:
        newest = select(ProviderEvent.received_at).where(ProviderEvent.state == state).limit(COUNTED_MAX).subquery()
        count = int(session.execute(select(func.count()).select_from(newest)).scalar_one())
        oldest = session.execute(
            select(func.min(ProviderEvent.received_at)).where(ProviderEvent.state == state)
        ).scalar_one()
        counted.append(StateCount(state=state, count=count, oldest_at=oldest))
    return counted


def get_event(session: Session, key: str) -> EventRow:
    """One event by our id or the provider's. Raises NotFound."""
    return _row(_get(session, key))


def body_of(session: Session, event_id: str) -> str:
    """The event's body as it came: for people, show it redacted (`portal`)."""
    return session.execute(select(ProviderEvent.body).where(ProviderEvent.id == event_id)).scalar_one()


def list_tries(session: Session, event_id: str, *, limit: int = 100) -> list[TryRow]:
    """Its tries, newest first."""
    rows = session.execute(
        select(EventTry).where(EventTry.event_id == event_id).order_by(EventTry.id.desc()).limit(limit)
    ).scalars()
    return [TryRow(tried_at=row.tried_at, outcome=row.outcome, note=row.note) for row in rows]


def list_of_payment(
    session: Session, *, session_id: str, payment_ids: Sequence[str | None], limit: int = 100
) -> list[EventRow]:
    """The events that speak of a payment session, oldest first: by our id that they carry, or by the provider's id of its payment."""
    ids = [one for one in payment_ids if one]
    found: dict[str, EventRow] = {}
    for condition in (ProviderEvent.reference == session_id, ProviderEvent.payment_id.in_(ids)):
        for item in session.execute(select(ProviderEvent).where(condition).limit(limit)).scalars():
            found[item.id] = _row(item)
    return sorted(found.values(), key=lambda row: (row.received_at, row.id))


def reopen(session: Session, *, now: datetime, key: str, actor: str) -> str:
    """Let a stored event, by our id or the provider's, wait for its effect once more; returns our id.

    Harmless at any state: the effect is found to be there already. Raises NotFound, and Conflict (reason not_retryable) for one
    whose type has no effect here, or that came for another mode or account.
    """
    item = _get(session, key, lock=True)
    if item.type not in HANDLED_TYPES or (item.note or "") in _NOT_OURS:
        raise Conflict(event_id=item.event_id, reason="not_retryable")
    if item.state == "received":
        item.next_try_at = now
        return item.id
    before = item.state
    item.state, item.attempts, item.processed_at, item.next_try_at = "received", 0, None, now
    item.closed_by = item.closed_reason = None
    _record(session, now, item, "event.reprocess", actor, {"state": before})
    return item.id


def close(session: Session, *, now: datetime, key: str, reason: str, actor: str) -> str:
    """Take a failed event off the list, with a reason; returns our id. Money is not touched.

    Raises NotFound, Invalid for a reason that is missing or too long, Conflict (reason not_failed) in another state.
    """
    reason = " ".join(reason.split())
    if not 1 <= len(reason) <= REASON_MAX:
        raise Invalid(field="reason", reason="reason_missing", limit=REASON_MAX)
    reason = names.require_name(reason, "reason", max_length=REASON_MAX)
    item = _get(session, key, lock=True)
    if item.state == "closed":
        return item.id
    if item.state != "failed":
        raise Conflict(event_id=item.event_id, state=item.state, reason="not_failed")
    item.state, item.closed_by, item.closed_reason = "closed", actor, reason
    _record(session, now, item, "event.close", actor, {"state": "failed"})
    return item.id


def _matching(query: Select[Any], filters: Filters) -> Select[Any]:
    if filters.states:
        query = query.where(ProviderEvent.state.in_(filters.states))
    if filters.provider:
        query = query.where(ProviderEvent.provider == filters.provider)
    if filters.text:
        text = filters.text
        is_id = (
            (ProviderEvent.id == text)
            | (ProviderEvent.event_id == text)
            | (ProviderEvent.object_id == text)
            | (ProviderEvent.reference == text)
            | (ProviderEvent.payment_id == text)
        )
        query = query.where(is_id | ProviderEvent.type.startswith(text, autoescape=True))
    if filters.from_at:
        query = query.where(ProviderEvent.received_at >= filters.from_at)
    if filters.to_at:
        query = query.where(ProviderEvent.received_at < filters.to_at)
    return query


def _get(session: Session, key: str, *, lock: bool = False) -> ProviderEvent:
    query = select(ProviderEvent).where((ProviderEvent.id == key) | (ProviderEvent.event_id == key)).limit(1)
    if lock:
        query = query.with_for_update()
    item = session.execute(query.execution_options(populate_existing=lock)).scalar_one_or_none()
    if item is None:
        raise NotFound(event_id=key[:80])
    return item


def _record(session: Session, now: datetime, item: ProviderEvent, act: str, actor: str, facts: dict[str, str]) -> None:
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="provider_event",
        subject_id=item.id,
        facts=facts | {"event_id": item.event_id, "type": item.type},
    )
    session.flush()


def _row(item: ProviderEvent) -> EventRow:
    return EventRow(
        id=item.id,
        provider=item.provider,
        event_id=item.event_id,
        type=item.type,
        state=item.state,
        attempts=item.attempts,
        note=item.note,
        received_at=item.received_at,
        processed_at=item.processed_at,
        next_try_at=item.next_try_at,
        object_id=item.object_id,
        reference=item.reference,
        payment_id=item.payment_id,
        closed_by=item.closed_by,
        closed_reason=item.closed_reason,
        correlation_id=item.correlation_id,
        is_handled=item.type in HANDLED_TYPES,
    )
