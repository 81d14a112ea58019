"""Provider events as they come in: signature over the raw bytes, stored once, answered; their effect is `apply`'s matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.payments.errors import WebhookRefused
from billing.payments.handlers.all import HANDLED_TYPES
from billing.payments.providers.port import Notice, Provider
from billing.payments.tables import ProviderEvent
from billing.storage import correlation, upsert

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Received:
    """The stored event; `is_new` is False for a repeated delivery. State received, processed, ignored or failed."""

    id: str
    state: str
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class EventRow:
    """One event as operators see it. `note` says why it was ignored, or what went wrong last."""

    id: str
    provider: str
    event_id: str
    type: str
    state: str
    attempts: int
    note: str | None
    received_at: datetime
    processed_at: datetime | None


def receive(
    session: Session, *, now: datetime, provider: Provider, raw_body: bytes, headers: Mapping[str, str]
) -> Received:
    """Check and store one event. The same event again gives the stored one, whatever its state.

    Stored as ignored, with the reason in `note`: a type without effect here, another mode than our key's (livemode), an event of
    another Stripe account. Raises WebhookRefused (nothing is stored) when it is not signed by the provider within 300 s, too
    large, or no event.
    """
    if len(raw_body) > MAX_BODY_BYTES:
        raise WebhookRefused(reason="body_too_large", limit_bytes=MAX_BODY_BYTES)
    notice = provider.read_webhook(raw_body, headers, now=now)
    reason = _why_ignored(notice, provider)
    values = {
        "id": new_id("pev"),
        "provider": provider.name,
        "event_id": notice.id,
        "type": notice.type,
        "body": raw_body.decode("utf-8"),
        "state": "received" if reason is None else "ignored",
        "attempts": 0,
        "note": reason,
        "received_at": now,
        "processed_at": None if reason is None else now,
        "correlation_id": correlation.current(),
    }
    statement = (
        upsert.insert(session, ProviderEvent)
        .values(values)
        .on_conflict_do_nothing(index_elements=["provider", "event_id"])
    )
    session.execute(statement)
    stored = session.execute(
        select(ProviderEvent.id, ProviderEvent.state).where(
            ProviderEvent.provider == provider.name, ProviderEvent.event_id == notice.id
        )
    ).one()
    return Received(id=stored.id, state=stored.state, is_new=stored.id == values["id"])


def list_events(session: Session, *, states: tuple[str, ...] = (), limit: int = 100) -> list[EventRow]:
    """The newest events, in the given states or any."""
    query = select(ProviderEvent)
    if states:
        query = query.where(ProviderEvent.state.in_(states))
    rows = session.execute(query.order_by(ProviderEvent.id.desc()).limit(limit)).scalars()
    return [
        EventRow(
            id=row.id,
            provider=row.provider,
            event_id=row.event_id,
            type=row.type,
            state=row.state,
            attempts=row.attempts,
            note=row.note,
            received_at=row.received_at,
            processed_at=row.processed_at,
        )
        for row in rows
    ]


def reopen(session: Session, *, key: str) -> str:
    """Make a stored event, by our id or the provider's, wait for its effect once more; returns our id. Raises NotFound.

    Harmless at any state: the effect is found to be there already.
    """
    event_id = session.execute(
        select(ProviderEvent.id).where((ProviderEvent.id == key) | (ProviderEvent.event_id == key)).limit(1)
    ).scalar_one_or_none()
    if event_id is None:
        raise NotFound(event_id=key[:80])
    session.execute(
        update(ProviderEvent)
        .where(ProviderEvent.id == event_id, ProviderEvent.type.in_(HANDLED_TYPES))
        .values(state="received", attempts=0, processed_at=None)
        .execution_options(synchronize_session=False)
    )
    return event_id


def _why_ignored(notice: Notice, provider: Provider) -> str | None:
    if notice.is_live != provider.is_live:
        return "livemode_mismatch"
    if notice.account is not None:
        return "other_account"
    return None if notice.type in HANDLED_TYPES else "type_without_effect"
