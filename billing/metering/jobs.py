"""Jobs of a scheduler's log, stored a batch at a time: one allocation each, and for ended ones their usage records.

A job's first line decides what it is; a later line with the same id may close it once, repeat what is known, or is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.kernel import ids
from billing.metering import import_accounts, owners, records, windows
from billing.metering.cutting import Cutter
from billing.metering.files import storable
from billing.metering.import_accounts import Options, Stored
from billing.metering.sources.port import JobFacts, Parsed, Reject
from billing.metering.tables import Allocation
from billing.storage import bulk

_ALLOCATION_COLUMNS = [
    "id",
    "source",
    "source_id",
    "content_hash",
    "closing_hash",
    "billing_account_id",
    "project_id",
    "member_id",
    "resource",
    "variant",
    "name",
    "is_live",
    "started_at",
    "ended_at",
    "accrued_at",
    "shape",
    "tags",
    "node_count",
    "outcome",
    "recorded_at",
]


class Raced(Exception):
    """Another transaction closed one of the batch's jobs first: look again."""


@dataclass(kw_only=True, slots=True)
class _Job:
    """A job as it is known so far: from the database, or from an earlier line of the batch."""

    allocation_id: str
    account_id: str
    opening_hash: str
    closing_hash: str | None
    is_stored: bool
    facts: JobFacts | None = None  # the line that opened it here
    closing: JobFacts | None = None  # the line that closed it here


def store(session: Session, batch: Sequence[Parsed], options: Options, *, now: datetime, import_id: str) -> Stored:
    """Store one batch of parsed lines. Locks the heads of all accounts it writes to, in id order.

    Raises Raced or IntegrityError when another transaction stored one of the jobs meanwhile: roll back and repeat.
    """
    stored = Stored()
    facts = [item for _, _, item in batch if isinstance(item, JobFacts)]
    known = _find_jobs(session, options.source, {job.source_id for job in facts})
    accounts, refused = import_accounts.find_or_open(
        session,
        {job.account_code for job in facts},
        missing_from={job.account_code for job in facts if job.source_id not in known},
        options=options,
        now=now,
    )
    for number, line, item in batch:
        if isinstance(item, Reject):
            stored.rejects.append(clean(item))
            continue
        if not isinstance(item, JobFacts):
            continue
        account_id = accounts.get(options.account_code or item.account_code)
        refusal = _take(known, item, account_id, stored)
        if refusal is not None:
            reason, detail = refused.get(item.account_code, refusal) if refusal[0] == "unknown_account" else refusal
            stored.rejects.append(clean(Reject(number, item.source_id.partition("/")[2], reason, detail, line)))
    changed = [job for job in known.values() if job.facts is not None or job.closing is not None]
    if changed:
        _write(session, changed, options, now, import_id)
    return stored


def _take(known: dict[str, _Job], item: JobFacts, account_id: str | None, stored: Stored) -> tuple[str, str] | None:
    """Count one line and remember what it says, or give the reason and detail why it is refused."""
    job = known.get(item.source_id)
    if job is None:
        if account_id is None:
            return (
                "unknown_account",
                f"no billing account {item.account_code}: create it, or import with --create-accounts",
            )
        known[item.source_id] = _Job(
            allocation_id="",  # given when it is stored
            account_id=account_id,
            opening_hash=item.opening_hash,
            closing_hash=item.closing_hash,
            is_stored=False,
            facts=item,
            closing=item if item.closing_hash is not None else None,
        )
        if item.closing_hash is None:
            stored.opened += 1
        else:
            stored.accepted += 1
        return None
    if job.opening_hash != item.opening_hash or (account_id is not None and account_id != job.account_id):
        return "other_content", f"job {item.source_id} was read before with other content"
    if item.closing_hash is None or item.closing_hash == job.closing_hash:
        stored.duplicate += 1
    elif job.closing_hash is None:
        job.closing_hash, job.closing = item.closing_hash, item
        stored.accepted += 1
    else:
        return "other_content", f"job {item.source_id} was read before with another end"
    return None


def _find_jobs(session: Session, source: str, source_ids: set[str]) -> dict[str, _Job]:
    query = select(
        Allocation.source_id,
        Allocation.id,
        Allocation.billing_account_id,
        Allocation.content_hash,
        Allocation.closing_hash,
    ).where(Allocation.source == source, Allocation.source_id.in_(source_ids))
    return {
        source_id: _Job(
            allocation_id=allocation_id,
            account_id=account_id,
            opening_hash=opening_hash,
            closing_hash=closing_hash,
            is_stored=True,
        )
        for source_id, allocation_id, account_id, opening_hash, closing_hash in session.execute(query)
    }


def _write(session: Session, changed: Sequence[_Job], options: Options, now: datetime, import_id: str) -> None:
    locked = heads.lock(session, {job.account_id for job in changed})
    found = owners.find(session, locked)
    attributor = Attributor(session, now=now)
    cutter = Cutter(PriceTable.load(session, list(locked)))
    pieces: dict[str, list[records.Piece]] = {account_id: [] for account_id in locked}
    new_rows: list[tuple[Any, ...]] = []
    new_ids = iter(ids.new_ids("alc", sum(not job.is_stored for job in changed)))
    for job in changed:
        item = job.closing or job.facts
        assert item is not None  # noqa: S101  a changed job has a line of this batch
        project_id = attributor.project_id(job.account_id, item.account_code if options.account_code else None)
        member_id = attributor.member_id(job.account_id, item.member_handle)
        if not job.is_stored:
            job.allocation_id = next(new_ids)
            new_rows.append(_allocation_row(job, item, options.source, project_id, member_id, now))
        if job.closing is not None and item.end_at is not None and item.rates:
            origin = records.Origin(
                options.source,
                item.source_id,
                job.allocation_id,
                project_id,
                member_id,
                item.resource,
                item.tags_json,
                None,
                job.closing_hash or job.opening_hash,
                import_id,
                reseller_id=found[job.account_id].reseller_id,
            )
            zone = found[job.account_id].zone
            for meter_code, rate in item.rates:
                used = Item(meter_code, item.variant if meter_code == "gpu_hour" else "")
                for window in cutter.cut(job.account_id, zone, used, item.start_at, item.end_at):
                    pieces[job.account_id].append(records.Piece(origin, used, window, windows.quantity(rate, *window)))
    bulk.insert_rows(session, Allocation.__table__, _ALLOCATION_COLUMNS, new_rows)  # type: ignore[arg-type]
    _close(session, [job for job in changed if job.is_stored])
    records.insert(
        session, [row for account_id, made in pieces.items() for row in records.rows(locked[account_id], made, now=now)]
    )
    session.flush()  # the heads' new numbers must be in this transaction even if the caller reads with SQL


def _allocation_row(
    job: _Job, item: JobFacts, source: str, project_id: str | None, member_id: str | None, now: datetime
) -> tuple[Any, ...]:
    return (
        job.allocation_id,
        source,
        item.source_id,
        job.opening_hash,
        job.closing_hash,
        job.account_id,
        project_id,
        member_id,
        item.resource,
        item.variant,
        item.name,
        False,
        item.start_at,
        item.end_at,
        item.end_at or item.start_at,
        item.shape_json,
        item.tags_json,
        item.node_count,
        item.outcome,
        now,
    )


def _close(session: Session, closed: Sequence[_Job]) -> None:
    """End stored open jobs. Raises Raced when one of them is not open any more."""
    if not closed:
        return
    table = Allocation.__table__
    statement = (
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("allocation_id"), table.c.ended_at.is_(None))
        .values(
            ended_at=bindparam("at"),
            accrued_at=bindparam("at"),
            closing_hash=bindparam("hash"),
            node_count=bindparam("nodes"),
            outcome=bindparam("last_word"),
        )
    )
    values = [
        {
            "allocation_id": job.allocation_id,
            "at": job.closing.end_at,
            "hash": job.closing_hash,
            "nodes": job.closing.node_count,
            "last_word": job.closing.outcome,
        }
        for job in closed
        if job.closing is not None
    ]
    result = session.connection().execute(statement, values)
    if result.rowcount != len(values):
        raise Raced


def clean(reject: Reject) -> Reject:
    """The reject with texts that any database holds."""
    number, source_id, reason, detail, raw = reject
    return Reject(number, storable(source_id), reason, storable(detail), storable(raw))
