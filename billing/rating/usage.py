"""Usage records as rating reads them: plain integers and text, because a period has millions of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.metering.tables import Allocation, UsageRecord
from billing.rating import plain
from billing.rating.price_locks import Locks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Usage(NamedTuple):
    """What rating needs of a usage record; instants in microseconds since 1970, the quantity as decimal text.

    `priced_micros` is the instant whose price it takes: its own start, or the start of an allocation that locked its price.
    """

    id: str
    usage_seq: int
    meter_code: str
    variant: str
    mode: str
    start_micros: int
    priced_micros: int
    quantity_base: str
    project_id: str | None
    record_hash: str


Rows = Select[str, int, str, str, str, int, int, str, str | None, str]


def query(session: Session, locks: Locks) -> Rows:
    """The columns of `Usage`, in its order, for an account with these locks of prices."""
    start_micros = plain.micros(session, UsageRecord.start_at)
    priced_micros = start_micros
    if locks.spans:
        priced_micros = plain.micros(session, locks.priced_at())
    rows = select(
        UsageRecord.id,
        UsageRecord.usage_seq,
        UsageRecord.meter_code,
        UsageRecord.variant,
        UsageRecord.mode,
        start_micros,
        priced_micros,
        plain.integer_text(session, UsageRecord.quantity_base),
        UsageRecord.project_id,
        UsageRecord.record_hash,
    )
    return rows.outerjoin(Allocation, Allocation.id == UsageRecord.allocation_id) if locks.spans else rows


def fetch(session: Session, rows: Rows) -> Sequence[Usage]:
    """The records of a query, straight from the driver: its columns are integers and text on both engines."""
    with session.connection().execute(rows) as result:
        return list(map(Usage._make, result.cursor.fetchall()))


def instant(start_micros: int) -> datetime:
    """The instant of a record's start."""
    return _EPOCH + timedelta(microseconds=start_micros)
