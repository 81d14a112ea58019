"""What happened to a billing account or to one object, newest first: the audit log as people read it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import people
from billing.storage.tables import AuditRecord


@dataclass(frozen=True, kw_only=True)
class Happening:
    """One act. `actor_name` is None where the actor is no person; `facts` hold ids, codes and integers."""

    id: str
    at: datetime
    act: str
    actor: str
    actor_name: str | None
    subject_type: str
    subject_id: str
    facts: dict[str, Any]
    correlation_id: str | None


def of_account(session: Session, account_id: str, *, limit: int = 30) -> list[Happening]:
    """The newest acts on one billing account."""
    query = select(AuditRecord).where(AuditRecord.billing_account_id == account_id)
    return _happenings(session, session.scalars(query.order_by(AuditRecord.id.desc()).limit(limit)).all())


def of_subject(session: Session, subject_id: str, *, subject_type: str, limit: int = 50) -> list[Happening]:
    """The newest acts on one object."""
    query = select(AuditRecord).where(AuditRecord.subject_type == subject_type, AuditRecord.subject_id == subject_id)
    return _happenings(session, session.scalars(query.order_by(AuditRecord.id.desc()).limit(limit)).all())


def _happenings(session: Session, records: Sequence[AuditRecord]) -> list[Happening]:
    named = people.names_of(session, {record.actor for record in records})
    records = sorted(records, key=lambda record: (record.recorded_at, record.id), reverse=True)
    return [
        Happening(
            id=record.id,
            at=record.recorded_at,
            act=record.act,
            actor=record.actor,
            actor_name=named.get(record.actor),
            subject_type=record.subject_type,
            subject_id=record.subject_id,
            facts=record.facts,
            correlation_id=record.correlation_id,
        )
        for record in records
    ]
