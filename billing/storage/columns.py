"""Column types that mean the same on SQLite (STRICT tables) and PostgreSQL, and the declarative base.

STRICT tables know only INTEGER, TEXT, BLOB: each type here renders one of those on SQLite.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Boolean, Date, DateTime, Integer, LargeBinary, MetaData, Numeric, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, TypeEngine

from billing.kernel import canonical

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(value: datetime) -> int:
    """Whole microseconds since 1970: how SQLite keeps an instant."""
    return (value - _EPOCH) // _MICROSECOND


def instants(column: Sequence[datetime] | Sequence[int]) -> list[datetime]:
    """A column of instants as the driver gave them (`type_coerce` to NullType), as aware datetimes in UTC."""
    return [
        _EPOCH + timedelta(microseconds=value) if isinstance(value, int) else value.astimezone(UTC) for value in column
    ]


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: timestamptz on PostgreSQL, integer microseconds since 1970 on SQLite. Naive values are refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive time has no place in the database")
        return micros(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return _EPOCH + timedelta(microseconds=value) if dialect.name == "sqlite" else value.astimezone(UTC)


class Quantity(TypeDecorator[int]):
    """A signed integer of up to 38 digits: NUMERIC(38,0) on PostgreSQL, decimal text on SQLite (so: sum it in Python there)."""

    impl = Numeric(38, 0)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric(38, 0))

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        return str(value) if dialect.name == "sqlite" else Decimal(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(value)


class Json(TypeDecorator[Any]):
    """Canonical JSON as text: no floats, sorted keys, the same bytes on both engines."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else canonical.dumps(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


class Flag(TypeDecorator[bool]):
    """True or false: BOOLEAN on PostgreSQL, 0 or 1 on SQLite."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else Boolean())

    def process_bind_param(self, value: bool | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name != "sqlite" else int(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Day(TypeDecorator[date]):
    """A calendar date: DATE on PostgreSQL, ISO text on SQLite."""

    impl = Date
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> date | None:
        return date.fromisoformat(value) if isinstance(value, str) else value


# Ids and codes compare byte by byte on both engines: a locale's collation would order them differently and slower.
Ident = Text().with_variant(Text(collation="C"), "postgresql")
Code = Ident
Words = Text()
Minor = BigInteger().with_variant(Integer(), "sqlite")
Count = BigInteger().with_variant(Integer(), "sqlite")
Hash = Ident
Blob = LargeBinary()

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Base of every mapped table. Rooms declare no relationships: a page reads the rows it shows, a service the rows it changes."""

    metadata = MetaData(naming_convention=NAMING)


APPEND_ONLY = "append_only"


def table_args(*constraints: Any, guard: str | None = None) -> tuple[Any, ...]:
    """`__table_args__` of every table: STRICT on SQLite, and the guard that triggers hold (Law 3).

    `guard` is None (rows may change), APPEND_ONLY, or an SQL condition on OLD, such as "OLD.issued_at IS NOT NULL": rows that
    meet it can no longer be updated or deleted.
    """
    return (*constraints, {"sqlite_strict": True, "info": {"guard": guard}})
