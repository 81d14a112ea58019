"""Wide integers and instants as plain text and integers, made in the database: bulk paths read millions of them.

SQLite keeps them so already; PostgreSQL converts them faster than a call in Python for each.
"""

from datetime import datetime

from sqlalchemy import BigInteger, ColumnElement, Text, cast, extract, type_coerce
from sqlalchemy.orm import InstrumentedAttribute, Session


def integer_text(
    session: Session, column: InstrumentedAttribute[int] | InstrumentedAttribute[int | None]
) -> ColumnElement[str]:
    """A Quantity column as decimal text: `int()` reads it."""
    return type_coerce(column, Text) if _is_sqlite(session) else cast(column, Text)


def micros(session: Session, column: InstrumentedAttribute[datetime] | ColumnElement[datetime]) -> ColumnElement[int]:
    """An Instant column as whole microseconds since 1970."""
    if _is_sqlite(session):
        return type_coerce(column, BigInteger)
    return cast(extract("epoch", column) * 1_000_000, BigInteger)


def _is_sqlite(session: Session) -> bool:
    return session.connection().dialect.name == "sqlite"
