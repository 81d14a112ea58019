"""Carries outbox rows to their channels, one transaction each: a notice is shown in the portal and becomes its deliveries, all or nothing.

A row that cannot be relayed holds up no other: it is tried again later, and seen in the workbench after three times. Sending the
deliveries is `sending`'s.
"""

import logging
from datetime import datetime, timedelta

from sqlalchemy import Select, insert, select
from sqlalchemy.orm import Session

from billing.kernel.ids import new_ids
from billing.notices import recipients
from billing.notices.topics import get_topic
from billing.storage.database import Database
from billing.storage.tables import Delivery, OutboxMessage

_log = logging.getLogger("billing.notices")
_BATCH = 500
_PAUSE = timedelta(minutes=5)


def deliver_due(database: Database, *, now: datetime, by_mail: bool = False) -> int:
    """Relay the messages that are due at `now`, oldest first; returns how many. Run twice, the second finds none.

    Several workers share the work: on PostgreSQL each skips what another has locked, on SQLite one writes at a time. Without
    `by_mail` notices are shown in the portal only, and no mail is made of them later.
    """
    done = 0
    for _ in range(_BATCH):
        message_id = None
        try:
            with database.transaction("jobs") as session:
                message = session.scalar(_due(now))
                if message is None:
                    return done
                message_id = message.id
                rows = _deliveries(session, message, now) if by_mail else []
                if rows:
                    session.execute(insert(Delivery), rows)
                message.attempts += 1
                message.delivered_at, message.last_error = now, None
            done += 1
        except Exception as error:
            if message_id is None:
                raise
            _log.exception("notice cannot be relayed", extra={"notice_id": message_id})
            with database.transaction("jobs") as session:
                _put_off(session, message_id, now, f"{type(error).__name__}: {error}"[:500])
    return done


def _put_off(session: Session, message_id: str, now: datetime, error: str) -> None:
    message = session.get_one(OutboxMessage, message_id, with_for_update=True)
    if message.delivered_at is None:
        message.attempts += 1
        message.next_attempt_at = now + _PAUSE * message.attempts
        message.last_error = error


def _due(now: datetime) -> Select[OutboxMessage]:
    return (
        select(OutboxMessage)
        .where(OutboxMessage.delivered_at.is_(None), OutboxMessage.next_attempt_at <= now)
        .order_by(OutboxMessage.next_attempt_at, OutboxMessage.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )


def _deliveries(session: Session, message: OutboxMessage, now: datetime) -> list[dict[str, object]]:
    """The rows of one message: one per recipient."""
    topic = get_topic(message.topic)
    if topic.template is None:
        return []
    addresses = recipients.addresses_of(session, topic, message.payload, message.billing_account_id)
    return [
        {
            "id": delivery_id,
            "message_id": message.id,
            "billing_account_id": message.billing_account_id,
            "channel": "email",
            "recipient": address,
            "state": "waiting",
            "attempts": 0,
            "created_at": now,
            "next_attempt_at": now,
            "correlation_id": message.correlation_id,
        }
        for delivery_id, address in zip(new_ids("ntd", len(addresses)), addresses, strict=True)
    ]
