"""Notices leave through a table: decided inside a transaction, delivered after it by `billing.notices`."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.storage import correlation
from billing.storage.tables import OutboxMessage


def enqueue(
    session: Session,
    *,
    now: datetime,
    topic: str,
    dedup_key: str,
    payload: dict[str, Any],
    billing_account_id: str | None = None,
) -> bool:
    """Queue one notice under its key; False when that key was queued before (one notice per fact)."""
    if session.execute(select(OutboxMessage.id).where(OutboxMessage.dedup_key == dedup_key)).first():
        return False
    session.add(
        OutboxMessage(
            id=new_id("ntc"),
            topic=topic,
            billing_account_id=billing_account_id,
            dedup_key=dedup_key,
            payload=payload,
            created_at=now,
            next_attempt_at=now,
            correlation_id=correlation.current(),
        )
    )
    session.flush()  # the key must collide here, inside the act, not at its commit
    return True
