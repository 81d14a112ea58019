"""Usage records as rating reads them: plain integers and text, because a period has millions of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.metering.tables import UsageRecord
from billing.rating import plain

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Usage(NamedTuple):
    """What rating needs of a usage record; the start in microseconds since 1970, the quantity as decimal text."""

    id: str
    usage_seq: int
    meter_code: str
    variant: str
    mode: str
    start_micros: int
    quantity_base: str
    project_id: str | None
    record_hash: str


Rows = Select[str, int, str, str, str, int, str, str | None, str]


def query(session: Session) -> Rows:
    """The columns of `Usage`, in its order."""
    return select(
        UsageRecord.id,
        UsageRecord.usage_seq,
        UsageRecord.meter_code,
        UsageRecord.variant,
        UsageRecord.mode,
        plain.micros(session, UsageRecord.start_at),
        plain.integer_text(session, UsageRecord.quantity_base),
        UsageRecord.project_id,
        UsageRecord.record_hash,
    )


def fetch(session: Session, rows: Rows) -> Sequence[Usage]:
    """The records of a query."""
    return cast(Sequence[Usage], session.connection().execute(rows).all())


def instant(start_micros: int) -> datetime:
    """The instant of a record's start."""
    return _EPOCH + timedelta(microseconds=start_micros)
