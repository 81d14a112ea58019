"""Provider events as they come in: signature over the raw bytes, stored once, answered; their effect is `apply`'s matter."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.payments.errors import WebhookRefused
from billing.payments.handlers.all import HANDLED_TYPES
from billing.payments.providers.port import Notice, Provider
from billing.payments.tables import ProviderEvent
from billing.storage import correlation, upsert

MAX_BODY_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Received:
    """The stored event; `is_new` is False for a repeated delivery. State received, processed, ignored, failed or closed."""

    id: str
    state: str
    is_new: bool


def receive(
    session: Session, *, now: datetime, provider: Provider, raw_body: bytes, headers: Mapping[str, str]
) -> Received:
    """Check and store one event. The same event again gives the stored one, whatever its state.

    Stored as ignored, with the reason in `note`: what `why_ignored` says. Raises WebhookRefused (nothing is stored) when it is not
    signed by the provider within 300 s before or after `now`, too large, or no event.
    """
    if len(raw_body) > MAX_BODY_BYTES:
        raise WebhookRefused(reason="body_too_large", limit_bytes=MAX_BODY_BYTES)
    notice = provider.read_webhook(raw_body, headers, now=now)
    reason = why_ignored(notice, provider)
    event_id, state = new_id("pev"), "received" if reason is None else "ignored"
    values = {
        "id": event_id,
        "provider": provider.name,
        "event_id": notice.id,
        "type": notice.type,
        "body": _text(raw_body),
        "state": state,
        "attempts": 0,
        "note": reason,
        "received_at": now,
        "processed_at": None if reason is None else now,
        "correlation_id": correlation.current(),
        "next_try_at": now if reason is None else None,
        "object_id": notice.object_id or None,
        "reference": notice.reference,
        "payment_id": notice.payment_id,
    }
    connection = session.connection()
    if connection.execute(_insert(connection.dialect.name), values).first() is not None:
        return Received(id=event_id, state=state, is_new=True)
    stored = session.execute(
        select(ProviderEvent.id, ProviderEvent.state).where(
            ProviderEvent.provider == provider.name, ProviderEvent.event_id == notice.id
        )
    ).one()
    return Received(id=stored.id, state=stored.state, is_new=False)


@cache
def _insert(dialect: str) -> Any:
    """The statement, made once: making it anew costs as much as sending it."""
    table = ProviderEvent.__table__
    made = upsert.of_dialect(dialect, table).on_conflict_do_nothing(index_elements=["provider", "event_id"])
    return made.returning(table.c.id)


def why_ignored(notice: Notice, provider: Provider) -> str | None:
    """Why an event has no effect here, or None: another mode than our key's, another Stripe account, a type without effect."""
    if notice.is_live != provider.is_live:
        return "livemode_mismatch"
    if notice.account is not None:
        return "other_account"
    return None if notice.type in HANDLED_TYPES else "type_without_effect"


def _text(raw_body: bytes) -> str:
    """The body as it can be stored. Raises WebhookRefused for what no text column can hold; JSON escapes such characters."""
    try:
        text = raw_body.decode("utf-8")
    except UnicodeDecodeError:
        raise WebhookRefused(reason="not_json") from None
    if "\x00" in text:
        raise WebhookRefused(reason="not_json")
    return text
