"""What was changed about how somebody signs in: an audit row, and an e-mail to them, so that a stranger's change is noticed."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.storage import audit, outbox

TOPIC = "access.changed"


def record(
    session: Session,
    *,
    now: datetime,
    user_id: str,
    what: str,
    act: str,
    actor: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Record `act` ("user.password") over a person and queue the notice that says `what` ("password"). `actor`: None for themselves."""
    audit.record(
        session, now=now, actor=actor or user_id, act=act, subject_type="user", subject_id=user_id, facts=facts
    )
    outbox.enqueue(
        session,
        now=now,
        topic=TOPIC,
        dedup_key=new_id(f"{TOPIC}:{user_id}:{what}"),
        payload={"user_id": user_id, "what": what},
    )
