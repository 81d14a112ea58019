"""The audit log as operators read it: filtered, newest first, each row with its place in the chain (AS5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import people
from billing.accounts.tables import BillingAccount
from billing.storage import audit_chain
from billing.storage.tables import AuditRecord, AuditSeal


@dataclass(frozen=True, kw_only=True)
class Row:
    """One act. `seal_seq` is its place in the chain, None until the next seal; `actor_name` None where the actor is no person."""

    id: str
    at: datetime
    act: str
    actor: str
    actor_name: str | None
    subject_type: str
    subject_id: str
    account_id: str | None
    account_name: str | None
    facts: dict[str, Any]
    correlation_id: str | None
    seal_seq: int | None
    row_hash: str | None


@dataclass(frozen=True, kw_only=True)
class ChainState:
    """How far the chain reaches: rows sealed, rows that wait, the hash at its end, and when the last seal was made."""

    sealed: int
    waiting: int
    chain_hash: str
    sealed_at: datetime | None


def list_rows(
    session: Session,
    *,
    act: str | None = None,
    actor: str | None = None,
    subject_id: str | None = None,
    account_id: str | None = None,
    before_id: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """The newest rows that match, older than `before_id`. `act` may be the first part of one: "invoice" or "invoice.issue"."""
    query = (
        select(AuditRecord, AuditSeal.seq, AuditSeal.row_hash, BillingAccount.name)
        .outerjoin(AuditSeal, AuditSeal.audit_id == AuditRecord.id)
        .outerjoin(BillingAccount, BillingAccount.id == AuditRecord.billing_account_id)
        .order_by(AuditRecord.id.desc())
        .limit(limit)
    )
    if act:
        query = query.where((AuditRecord.act == act) | AuditRecord.act.startswith(f"{act}.", autoescape=True))
    for column, value in (
        (AuditRecord.actor, actor),
        (AuditRecord.subject_id, subject_id),
        (AuditRecord.billing_account_id, account_id),
    ):
        if value:
            query = query.where(column == value)
    if before_id:
        query = query.where(AuditRecord.id < before_id)
    found = session.execute(query).all()
    named = people.names_of(session, {record.actor for record, *_ in found})
    return [_row(record, seq, row_hash, account_name, named) for record, seq, row_hash, account_name in found]


def get_row(session: Session, audit_id: str) -> Row | None:
    """One row by its id, or None."""
    found = session.execute(
        select(AuditRecord, AuditSeal.seq, AuditSeal.row_hash, BillingAccount.name)
        .outerjoin(AuditSeal, AuditSeal.audit_id == AuditRecord.id)
        .outerjoin(BillingAccount, BillingAccount.id == AuditRecord.billing_account_id)
        .where(AuditRecord.id == audit_id)
    ).first()
    if found is None:
        return None
    record, seq, row_hash, account_name = found
    return _row(record, seq, row_hash, account_name, people.names_of(session, {record.actor}))


def list_acts(session: Session) -> list[str]:
    """The first parts of the acts there are, such as "invoice"; one look at each, however long the log is."""
    found: list[str] = []
    at = session.scalar(select(func.min(AuditRecord.act)))
    while at is not None:
        room = at.partition(".")[0]
        found.append(room)
        at = session.scalar(select(func.min(AuditRecord.act)).where(AuditRecord.act > f"{room}/"))  # "/" follows "."
    return found


def chain_state(session: Session) -> ChainState:
    """How far the chain reaches now."""
    head = audit_chain.head(session)
    return ChainState(
        sealed=head.seq,
        waiting=audit_chain.unsealed_count(session),
        chain_hash=head.chain_hash,
        sealed_at=session.scalar(select(AuditSeal.sealed_at).order_by(AuditSeal.seq.desc()).limit(1)),
    )


def _row(
    record: AuditRecord, seq: int | None, row_hash: str | None, account_name: str | None, named: dict[str, str]
) -> Row:
    return Row(
        id=record.id,
        at=record.recorded_at,
        act=record.act,
        actor=record.actor,
        actor_name=named.get(record.actor),
        subject_type=record.subject_type,
        subject_id=record.subject_id,
        account_id=record.billing_account_id,
        account_name=account_name,
        facts=record.facts,
        correlation_id=record.correlation_id,
        seal_seq=seq,
        row_hash=row_hash,
    )
