"""An account's usage as CSV."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.exports import csv
from billing.kernel import canonical
from billing.metering import usage
from billing.metering.usage import UsageFilter

COLUMNS = [
    "usage_id",
    "account",
    "meter",
    "unit",
    "quantity",
    "quantity_base",
    "start",
    "end",
    "source",
    "source_id",
    "resource",
    "project",
    "submitter",
    "allocation_id",
    "tags",
    "record_hash",
]


def usage_csv(session: Session, account_id: str, wanted: UsageFilter | None = None) -> csv.Export:
    """The records that match, in the order they were taken in, as one export whose manifest sums `quantity_base`.

    `quantity` is in `unit`, to 12 digits; `quantity_base` beside it is exact. Iterate it while the session is open.
    """
    account = directory.get_account(session, account_id)
    return csv.Export(
        columns=COLUMNS, rows=_rows(session, account_id, account.code, wanted), sum_column="quantity_base"
    )


def of_period(session: Session, account_id: str, from_at: datetime, to_at: datetime) -> csv.Export:
    """The records that start in [from_at, to_at)."""
    return usage_csv(session, account_id, UsageFilter(from_at=from_at, to_at=to_at))


def _rows(
    session: Session, account_id: str, account_code: str, wanted: UsageFilter | None
) -> Iterator[Sequence[csv.Cell]]:
    for row in usage.stream_usage(session, account_id, wanted):
        yield (
            row.id,
            account_code,
            row.meter_code,
            row.unit,
            row.quantity,
            row.quantity_base,
            row.start_at,
            row.end_at,
            row.source,
            row.source_id,
            row.resource,
            row.project_code,
            row.submitter,
            row.allocation_id,
            canonical.dumps(row.tags) if row.tags else None,
            row.record_hash,
        )
