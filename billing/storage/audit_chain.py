"""The audit log as a chain: a job gives every committed row its place, and from then on none can be altered, removed or slipped in.

Rows are sealed after their commit, in the order in which the job meets them: a seal inside each act would make all acts of the
portal wait for one row. What an owner of the database does to a row before its seal (some seconds) is not seen by the chain.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.kernel import canonical, ids
from billing.storage import bulk, locks
from billing.storage.tables import AuditRecord, AuditSeal

START = "0" * 64
_VERSION = "audit-row/1"
BATCH = 5_000
_LATE_MS = 600_000
_LOCK = "audit-chain"


@dataclass(frozen=True, kw_only=True)
class Head:
    """The end of the chain: how many rows it covers and the hash over all of them. Kept elsewhere, it shows a cut-off tail."""

    seq: int
    chain_hash: str


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A row that is not what was sealed. `sentence` says how."""

    audit_id: str
    seq: int
    sentence: str


def seal(session: Session, *, now: datetime, limit: int = BATCH, is_sweep: bool = False) -> int:
    """Seal the oldest rows that have no seal yet, at most `limit`; how many. One at a time: others wait at the chain's lock.

    A row can be committed after later ones: looked for are those made up to ten minutes before the newest sealed one, and in a
    sweep all there are.
    """
    locks.take(session, _LOCK)
    last = head(session)
    waiting = select(AuditRecord).where(
        ~select(AuditSeal.audit_id).where(AuditSeal.audit_id == AuditRecord.id).exists()
    )
    newest = session.scalar(select(func.max(AuditSeal.audit_id)))
    if newest is not None and not is_sweep:
        waiting = waiting.where(AuditRecord.id > ids.earlier(newest, _LATE_MS))
    rows = session.scalars(waiting.order_by(AuditRecord.id).limit(limit)).all()
    chain_hash, made = last.chain_hash, []
    for seq, row in enumerate(rows, start=last.seq + 1):
        row_hash = hash_of(row)
        chain_hash = link(chain_hash, row_hash)
        made.append((row.id, seq, row_hash, chain_hash, now))
    columns = ("audit_id", "seq", "row_hash", "chain_hash", "sealed_at")
    return bulk.insert_rows(session, AuditSeal.__table__, columns, made)  # type: ignore[arg-type]


def head(session: Session) -> Head:
    """Where the chain ends; of an empty one its start."""
    row = session.execute(select(AuditSeal.seq, AuditSeal.chain_hash).order_by(AuditSeal.seq.desc()).limit(1)).first()
    return Head(seq=row.seq, chain_hash=row.chain_hash) if row else Head(seq=0, chain_hash=START)


def unsealed_count(session: Session) -> int:
    """How many rows wait for their seal."""
    rows = session.scalar(select(func.count()).select_from(AuditRecord)) or 0
    return rows - (session.scalar(select(func.count()).select_from(AuditSeal)) or 0)


def verify(session: Session) -> Iterator[Broken | int]:
    """Walk the chain from its start: how many rows were in order (numbers to be added up), and each place where it breaks.

    Rows are streamed in the chain's order. After a break the walk goes on from the stored hash, so that each is told once.
    """
    stored = session.execute(
        select(AuditSeal, AuditRecord)
        .outerjoin(AuditRecord, AuditRecord.id == AuditSeal.audit_id)
        .order_by(AuditSeal.seq)
        .execution_options(yield_per=1_000)
    )
    previous, expected_seq = START, 1
    for seal_row, record in stored:
        broken = list(_breaks(seal_row, record, previous, expected_seq))
        if broken:
            yield from broken
        else:
            yield 1
        previous, expected_seq = seal_row.chain_hash, seal_row.seq + 1


def hash_of(row: AuditRecord) -> str:
    """SHA-256 over everything an audit row says."""
    return canonical.digest(
        _VERSION,
        row.id,
        row.recorded_at.isoformat(),
        row.actor,
        row.act,
        row.subject_type,
        row.subject_id,
        row.billing_account_id,
        canonical.dumps(row.facts),
        row.correlation_id,
    )


def link(previous: str, row_hash: str) -> str:
    """The chain's hash after one more row."""
    return hashlib.sha256(bytes.fromhex(previous) + bytes.fromhex(row_hash)).hexdigest()


def signed_bytes(end: Head) -> bytes:
    """What a signature over the end of the chain is made of."""
    return canonical.dumps(["audit-head/1", end.seq, end.chain_hash]).encode()


def _breaks(seal_row: Any, record: AuditRecord | None, previous: str, expected_seq: int) -> Iterator[Broken]:
    def broken(sentence: str) -> Broken:
        return Broken(audit_id=seal_row.audit_id, seq=seal_row.seq, sentence=sentence)

    if seal_row.seq != expected_seq:
        yield broken(f"its place is {seal_row.seq} where {expected_seq} comes next: seals were removed")
    if record is None:
        yield broken("the row it sealed is gone")
    elif hash_of(record) != seal_row.row_hash:
        yield broken("the row is not what was sealed")
    if link(previous, seal_row.row_hash) != seal_row.chain_hash:
        yield broken("the chain breaks here: this seal or the one before it was altered")
