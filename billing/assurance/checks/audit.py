"""The audit log is what was sealed: no row altered, removed or slipped in, and none left without its seal."""

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance.report import Tally
from billing.storage import audit_chain
from billing.storage.audit_chain import Broken
from billing.storage.tables import AuditRecord, AuditSeal

NAME = "audit"
_SEALED_WITHIN = timedelta(hours=3)


def check(session: Session, tally: Tally, now: datetime) -> None:
    """Walk the chain; a row three hours old without a seal is a difference too, unless nothing was ever sealed."""
    for found in audit_chain.verify(session):
        if isinstance(found, Broken):
            tally.look()
            tally.differ(found.audit_id, found.sentence, seq=found.seq)
        else:
            tally.look(found)
    head = audit_chain.head(session)
    if head.seq == 0:
        return
    tally.expect("audit_seals", session.scalar(select(func.count()).select_from(AuditSeal)) or 0, head.seq)
    late = session.scalars(
        select(AuditRecord.id)
        .where(AuditRecord.recorded_at < now - _SEALED_WITHIN, AuditRecord.id < _newest_sealed(session))
        .where(~select(AuditSeal.audit_id).where(AuditSeal.audit_id == AuditRecord.id).exists())
        .order_by(AuditRecord.id)
        .limit(100)
    )
    for audit_id in late:
        tally.differ(audit_id, "was never sealed, while later rows were: it may have been slipped in")


def _newest_sealed(session: Session) -> str:
    return session.scalar(select(func.max(AuditSeal.audit_id))) or ""
