"""Wide integers and instants as plain text and integers, made in the database: bulk paths read millions of them.

SQLite keeps them so already; PostgreSQL converts them faster than a call in Python for each.
"""

import json
from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, Text, cast, extract, func, select, type_coerce
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


def texts(session: Session, values: Collection[str]) -> Select[str]:
    """The texts as rows of a subquery: one parameter, whose statement is the same for any number of them."""
    if _is_sqlite(session):
        return select(func.json_each(json.dumps(list(values))).table_valued("value").c.value)
    return select(func.unnest(cast(list(values), ARRAY(Text))).column_valued("told"))


def _is_sqlite(session: Session) -> bool:
    return session.connection().dialect.name == "sqlite"
