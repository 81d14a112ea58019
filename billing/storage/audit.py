"""Audit rows, written in the transaction of the act they describe."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.kernel.ids import new_id
from billing.storage import correlation
from billing.storage.tables import AuditRecord


def record(
    session: Session,
    *,
    now: datetime,
    actor: str,
    act: str,
    subject_type: str,
    subject_id: str,
    billing_account_id: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Add one audit row: `actor` did `act` ("invoice.issue") to a subject. `facts` hold ids, codes and integers only."""
    session.add(
        AuditRecord(
            id=new_id("aud"),
            recorded_at=now,
            actor=actor,
            act=act,
            subject_type=subject_type,
            subject_id=subject_id,
            billing_account_id=billing_account_id,
            facts=facts or {},
            correlation_id=correlation.current(),
        )
    )
