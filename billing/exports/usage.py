"""An account's usage as CSV."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.exports import csv
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
_NO_TAGS = "{}"


def usage_csv(session: Session, account_id: str, wanted: UsageFilter | None = None) -> csv.Export:
    """The records that match, in the order they were taken in, as one export whose manifest sums `quantity_base`.

    `quantity` is in `unit`, to 12 digits; `quantity_base` beside it is exact. Iterate it while the session is open.
    """
    account = directory.get_account(session, account_id)
    return csv.Export(
        columns=COLUMNS, blocks=_blocks(session, account_id, account.code, wanted), sum_column="quantity_base"
    )


def of_period(session: Session, account_id: str, from_at: datetime, to_at: datetime) -> csv.Export:
    """The records that start in [from_at, to_at)."""
    return usage_csv(session, account_id, UsageFilter(from_at=from_at, to_at=to_at))


def _blocks(
    session: Session, account_id: str, account_code: str, wanted: UsageFilter | None
) -> Iterator[Sequence[csv.Column]]:
    for block in usage.stream_usage(session, account_id, wanted):
        yield (
            block.ids,
            [account_code] * len(block.ids),
            block.meter_codes,
            block.units,
            csv.Quotients(numerators=block.quantities_base, denominators=block.bases_per_unit),
            block.quantities_base,
            block.starts_at,
            block.ends_at,
            block.sources,
            block.source_ids,
            block.resources,
            block.project_codes,
            block.submitters,
            block.allocation_ids,
            [None if tags == _NO_TAGS else tags for tags in block.tags_json],
            block.record_hashes,
        )
