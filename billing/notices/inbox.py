"""Notices as the portal lists them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.notices.topics import IN_APP
from billing.storage.tables import OutboxMessage


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One delivered notice: its topic ("budget.crossed"), its facts, and when it was decided."""

    id: str
    topic: str
    payload: dict[str, Any]
    created_at: datetime


def list_notices(session: Session, account_id: str, *, limit: int = 10) -> list[Notice]:
    """The newest notices of a billing account that its portal lists: those relayed, of topics that are in-app."""
    rows = session.execute(
        select(OutboxMessage.id, OutboxMessage.topic, OutboxMessage.payload, OutboxMessage.created_at)
        .where(
            OutboxMessage.billing_account_id == account_id,
            OutboxMessage.delivered_at.is_not(None),
            OutboxMessage.topic.in_(IN_APP),
        )
        .order_by(OutboxMessage.id.desc())
        .limit(limit)
    ).all()
    return [Notice(id=row.id, topic=row.topic, payload=row.payload, created_at=row.created_at) for row in rows]
