"""File imports: logs of jobs and files of events become usage records, in batches that can be killed and repeated.

Each batch is one transaction, so a line is stored with all its usage or not at all, and a repeat of the file finds what is there.
Bulk path: plain tuples, integers, one lookup and two inserts a batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import BinaryIO

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError

from billing.kernel import clock, ids
from billing.kernel.errors import Invalid
from billing.metering import event_lines, files, import_accounts, jobs
from billing.metering.errors import BrokenInput, UnknownSource
from billing.metering.import_accounts import Options
from billing.metering.sources import csv_map, event_file, legacy, mapped_csv, storage_json
from billing.metering.sources.port import FileSource, Parsed, Reject
from billing.metering.sources.slurm_sacct import SlurmSacct
from billing.metering.tables import UsageImport, UsageReject
from billing.storage import bulk
from billing.storage.database import Database

SOURCES = (event_file.NAME, mapped_csv.NAME, legacy.NAME, SlurmSacct.name, storage_json.NAME)

_BATCH_LINES = 10_000
_ATTEMPTS = 5
_REJECT_COLUMNS = ["id", "import_id", "source", "line_number", "source_id", "reason", "detail", "raw", "rejected_at"]


@dataclass(frozen=True, kw_only=True)
class ImportCounts:
    """What became of the lines: the last four sum to `read`."""

    read: int = 0
    accepted: int = 0
    duplicate: int = 0
    rejected: int = 0
    open: int = 0

    def __post_init__(self) -> None:
        if self.accepted + self.duplicate + self.rejected + self.open != self.read:
            raise ValueError("a line was lost or counted twice")


def import_file(
    database: Database,
    stream: BinaryIO,
    *,
    source: str,
    actor: str,
    now: datetime,
    create_accounts: bool,
    account_code: str | None = None,
    zone: str | None = None,
    epoch: datetime | None = None,
    column_map: str | None = None,
    file_name: str = "",
    rejects: Callable[[Reject], None] | None = None,
    progress: Callable[[ImportCounts], None] | None = None,
) -> ImportCounts:
    """Take a file in, gzip or plain; what became of its lines. Safe to kill and to repeat; memory does not grow with the file.

    Without `account_code` the file's account is the billing account's code (made when `create_accounts`); with it all lines go
    to that account and the file's accounts become its projects. Times without offset are read in `zone`; numbers of a CSV's time
    columns are seconds since `epoch`. `column_map` is the TOML that says what a CSV's columns mean. `rejects` and `progress` are
    called after each stored batch.
    Raises UnknownSource, NotFound for an unknown `account_code`, Invalid for a map that is wrong or fits another file, and
    BrokenInput when the file breaks off: what was read before is stored, and its `counts` say so. Commits one transaction a
    batch, under the heads of the accounts it touches.
    """
    reader = reader_of(source, zone=zone, epoch=epoch, column_map=column_map)
    lines = reader.read(stream)
    run = _Run(database, reader.name, actor, now, create_accounts, account_code)
    run.start(file_name)
    broken: BrokenInput | None = None
    while broken is None:
        batch: list[Parsed] = []
        try:
            batch.extend(islice(lines, _BATCH_LINES))
        except BrokenInput as error:
            broken = error
        if not batch:
            break
        for reject in run.store(batch):
            if rejects is not None:
                rejects(reject)
        if progress is not None:
            progress(run.counts)
    run.finish()
    if broken is not None:
        raise BrokenInput(**(broken.fields | {"counts": run.counts}))
    return run.counts


def reader_of(
    source: str, *, zone: str | None = None, epoch: datetime | None = None, column_map: str | None = None
) -> FileSource:
    """What reads a source's files. Raises UnknownSource, Invalid for an option that the source needs or does not have."""
    if source not in SOURCES:
        raise UnknownSource(field="source", value=source[:60], reason="unknown_source")
    if (column_map is None) == (source == mapped_csv.NAME):
        raise Invalid(field="map", value=source, reason="map_needed" if column_map is None else "map_not_used")
    if epoch is not None and source != mapped_csv.NAME:
        raise Invalid(field="epoch", value=source, reason="epoch_not_used")
    clock_zone = clock.get_zone(zone) if zone is not None else None
    if column_map is not None:
        return mapped_csv.MappedCsv(csv_map.read(column_map), zone=zone, epoch=epoch)
    if source == SlurmSacct.name:
        return SlurmSacct(zone or "UTC")
    if source == legacy.NAME:
        return legacy.LegacyJson()
    return storage_json.StorageJson(clock_zone) if source == storage_json.NAME else event_file.EventFile(clock_zone)


class _Run:
    """One import under way: its row, its counts, and the retry when another import stored a job first."""

    def __init__(
        self,
        database: Database,
        source: str,
        actor: str,
        now: datetime,
        create_accounts: bool,
        account_code: str | None,
    ) -> None:
        self.counts = ImportCounts()
        self._database, self._source, self._actor, self._now = database, source, actor, now
        self._options = Options(source=source, actor=actor, create_accounts=create_accounts, account_code=account_code)
        self._import_id = ids.new_id("imp")

    def start(self, file_name: str) -> None:
        """Record that the import began. Raises NotFound when the one account named for it is unknown."""
        with self._database.transaction("jobs") as session:
            import_accounts.check(session, self._options)
            session.add(
                UsageImport(
                    id=self._import_id,
                    source=self._source,
                    file_name=files.storable(file_name)[:1000],
                    actor=self._actor,
                    started_at=self._now,
                )
            )

    def store(self, batch: list[Parsed]) -> list[Reject]:
        """Store one batch in one transaction; its rejects."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._store_once(batch)
            except (IntegrityError, jobs.Raced):
                # Another import stored one of these jobs or accounts between our look and our insert: look again.
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _store_once(self, batch: list[Parsed]) -> list[Reject]:
        with self._database.transaction("jobs") as session:
            store = jobs.store if self._source == SlurmSacct.name else event_lines.store
            result = store(session, batch, self._options, now=self._now, import_id=self._import_id)
            bulk.insert_rows(
                session,
                UsageReject.__table__,  # type: ignore[arg-type]
                _REJECT_COLUMNS,
                [
                    (reject_id, self._import_id, self._source, number, source_id, reason, detail, raw, self._now)
                    for reject_id, (number, source_id, reason, detail, raw) in zip(
                        ids.new_ids("rej", len(result.rejects)), result.rejects, strict=True
                    )
                ],
            )
            counts = ImportCounts(
                read=self.counts.read + len(batch),
                accepted=self.counts.accepted + result.accepted,
                duplicate=self.counts.duplicate + result.duplicate,
                rejected=self.counts.rejected + len(result.rejects),
                open=self.counts.open + result.opened,
            )
            session.execute(
                update(UsageImport)
                .where(UsageImport.id == self._import_id)
                .values(
                    read_count=counts.read,
                    accepted_count=counts.accepted,
                    duplicate_count=counts.duplicate,
                    rejected_count=counts.rejected,
                    open_count=counts.open,
                )
            )
        self.counts = counts
        return result.rejects

    def finish(self) -> None:
        """Record that all that could be read is stored."""
        with self._database.transaction("jobs") as session:
            session.execute(update(UsageImport).where(UsageImport.id == self._import_id).values(ended_at=self._now))
