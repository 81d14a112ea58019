"""Carries outbox rows to their channel, one transaction each, so that a notice is delivered exactly as often as it was decided.

The one channel so far is the portal's own list of notices (`inbox`): a message is delivered when it can be read there. E-mail
and webhooks become further channels here.
"""

from datetime import datetime

from sqlalchemy import select, update

from billing.storage.database import Database
from billing.storage.tables import OutboxMessage

_BATCH = 500


def deliver_due(database: Database, *, now: datetime) -> int:
    """Deliver the messages that are due at `now`, oldest first; returns how many. Run twice, the second finds none."""
    with database.transaction("jobs") as session:
        due = (
            select(OutboxMessage.id)
            .where(OutboxMessage.delivered_at.is_(None), OutboxMessage.next_attempt_at <= now)
            .order_by(OutboxMessage.id)
            .limit(_BATCH)
            .with_for_update(skip_locked=True)
        )
        ids = session.execute(due).scalars().all()
        session.execute(
            update(OutboxMessage)
            .where(OutboxMessage.id.in_(ids))
            .values(delivered_at=now, attempts=OutboxMessage.attempts + 1)
            .execution_options(synchronize_session=False)
        )
    return len(ids)
