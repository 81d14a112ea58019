"""Usage records as rating reads them."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Select, select

from billing.metering.tables import UsageRecord


class Usage(NamedTuple):
    """What rating needs of a usage record."""

    id: str
    usage_seq: int
    meter_code: str
    start_at: datetime
    quantity_base: int
    project_id: str | None
    record_hash: str


def query() -> Select[str, int, str, datetime, int, str | None, str]:
    """The columns of `Usage`, in its order."""
    return select(
        UsageRecord.id,
        UsageRecord.usage_seq,
        UsageRecord.meter_code,
        UsageRecord.start_at,
        UsageRecord.quantity_base,
        UsageRecord.project_id,
        UsageRecord.record_hash,
    )
