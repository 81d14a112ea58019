"""Usage records as rating reads them: plain integers and text, made in the database, because a period has millions of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, cast

from sqlalchemy import BigInteger, Select, Text, extract, select, type_coerce
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from billing.metering.tables import UsageRecord

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Usage(NamedTuple):
    """What rating needs of a usage record; the start in microseconds since 1970, the quantity as decimal text."""

    id: str
    usage_seq: int
    meter_code: str
    start_micros: int
    quantity_base: str
    project_id: str | None
    record_hash: str


Rows = Select[str, int, str, int, str, str | None, str]


def query(session: Session) -> Rows:
    """The columns of `Usage`, in its order. SQLite keeps instants and wide integers as `Usage` wants them."""
    start, quantity = UsageRecord.start_at, UsageRecord.quantity_base
    is_sqlite = session.connection().dialect.name == "sqlite"
    start_micros = sql_cast(extract("epoch", start) * 1_000_000, BigInteger)
    return select(
        UsageRecord.id,
        UsageRecord.usage_seq,
        UsageRecord.meter_code,
        type_coerce(start, BigInteger) if is_sqlite else start_micros,
        type_coerce(quantity, Text) if is_sqlite else sql_cast(quantity, Text),
        UsageRecord.project_id,
        UsageRecord.record_hash,
    )


def fetch(session: Session, rows: Rows) -> Sequence[Usage]:
    """The records of a query."""
    return cast(Sequence[Usage], session.connection().execute(rows).all())


def instant(start_micros: int) -> datetime:
    """The instant of a record's start."""
    return _EPOCH + timedelta(microseconds=start_micros)
