"""Many rows at once: COPY on PostgreSQL, executemany on SQLite, inside the session's transaction and without an object per row.

Rows hold the Python values of their columns (aware datetimes, ints, text, None); a Json column also takes its canonical text.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any, cast

from sqlalchemy import Connection, LargeBinary, Table, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from billing.kernel import canonical, clock
from billing.storage.columns import Day, Flag, Instant, Json, Quantity

if TYPE_CHECKING:
    import psycopg
    from psycopg import sql

_CHUNK = 5_000
_SQLITE_VALUES = 1_500  # of one statement; more gain nothing
_COPY_FROM_ROWS = 50  # COPY takes two round trips more than one statement
_STAGE_FROM_ROWS = 500  # a temporary table costs about a millisecond

Convert = Callable[[Any], Any]


def insert_rows(session: Session, table: Table, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Insert `rows`, whose values stand in the order of `columns`; how many there were. Memory stays flat for any iterator.

    Rows already pending in the session are flushed first, so that references to them hold. Raises sqlalchemy's IntegrityError
    for a broken key or check, on both engines; the transaction is then lost.
    """
    session.flush()
    connection = session.connection()
    total = 0
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        if connection.dialect.name == "sqlite":
            _insert_sqlite(connection, table, columns, chunk)
        elif len(chunk) < _COPY_FROM_ROWS:
            _insert_postgresql(connection, table, columns, chunk)
        elif not _has_row_security(connection, table):
            _copy(connection, table.name, columns, _copy_text(table, columns, chunk))
        elif len(chunk) >= _STAGE_FROM_ROWS:
            _copy_staged(connection, table, columns, chunk)
        else:
            _insert_postgresql(connection, table, columns, chunk)
        total += len(chunk)
    return total


def _insert_sqlite(connection: Connection, table: Table, columns: Sequence[str], rows: list[Sequence[Any]]) -> None:
    """Many rows a statement: each statement on a guarded table opens a journal of its own, which costs as much as its row."""
    names = ", ".join(f'"{name}"' for name in columns)
    marks = f"({', '.join('?' * len(columns))})"
    statement = f'INSERT INTO "{table.name}" ({names}) VALUES '  # noqa: S608  names of our own columns
    converted = list(_converted(table, columns, rows, _TO_SQLITE))
    each = max(1, _SQLITE_VALUES // len(columns))
    whole = len(converted) // each * each
    many = statement + ", ".join([marks] * each)
    for place in range(0, whole, each):
        connection.exec_driver_sql(many, tuple(chain.from_iterable(converted[place : place + each])))
    if whole < len(converted):
        connection.exec_driver_sql(statement + marks, converted[whole:])


def _copy(connection: Connection, name: str, columns: Sequence[str], rows: bytes) -> None:
    from psycopg import sql  # here and below: a process on SQLite never loads PostgreSQL's driver

    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(name), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with _driver_cursor(connection) as cursor, _translated(statement), cursor.copy(statement) as copy:
        copy.write(rows)


def _copy_staged(connection: Connection, table: Table, columns: Sequence[str], rows: list[Sequence[Any]]) -> None:
    """COPY FROM is refused to a role under row-level security: into a table of the transaction's own, and from there."""
    staging = f"staging_{table.name}"
    names = ", ".join(f'"{name}"' for name in columns)
    connection.exec_driver_sql(
        f'CREATE TEMPORARY TABLE IF NOT EXISTS "{staging}" ON COMMIT DROP AS SELECT {names} FROM "{table.name}" LIMIT 0'  # noqa: S608
    )
    connection.exec_driver_sql(f'TRUNCATE "{staging}"')
    _copy(connection, staging, columns, _copy_text(table, columns, rows))
    connection.exec_driver_sql(f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM "{staging}"')  # noqa: S608


def _copy_text(table: Table, columns: Sequence[str], rows: list[Sequence[Any]]) -> bytes:
    """The rows in COPY's text format, built a column at a time: twice as fast as a call per row."""
    texts: list[Iterable[str]] = []
    for name, values in zip(columns, zip(*rows, strict=True), strict=True):
        convert = _TO_COPY.get(type(table.c[name].type), str)
        first = values[0]
        if values.count(first) == len(values):  # many columns of a batch say the same on every row
            texts.append(repeat(_column_text([first], convert)[0], len(values)))
        elif convert is _aware_text:
            # Few instants come often: a batch's own, and the start and end that the meters of a job share.
            known = {value: _aware_text(value) for value in set(values) if value is not None}
            texts.append([_NULL if value is None else known[value] for value in values])
        else:
            texts.append(_column_text(values, convert))
    return "".join(["\t".join(row) + "\n" for row in zip(*texts, strict=True)]).encode()


def _column_text(values: Sequence[Any], convert: Convert) -> list[str]:
    """A column's values as COPY reads them."""
    column = [None if value is None else value if type(value) is str else convert(value) for value in values]
    return [_NULL if text is None else text for text in _escaped(column)]


def _escaped(column: list[str | None]) -> list[str | None]:
    """The texts with what COPY reads as its own signs escaped; mostly there is none, which one search shows."""
    if not _COPY_SIGNS.search("".join([text for text in column if text is not None])):
        return column
    return [
        None if text is None else _COPY_SIGNS.sub(lambda found: _COPY_ESCAPES[found.group()], text) for text in column
    ]


def _insert_postgresql(connection: Connection, table: Table, columns: Sequence[str], rows: list[Sequence[Any]]) -> None:
    from psycopg import sql

    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        sql.Identifier(table.name),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(sql.Placeholder() * len(columns)),
    )
    with _driver_cursor(connection) as cursor, _translated(statement):
        cursor.executemany(statement, list(_converted(table, columns, rows, _TO_POSTGRESQL)))


def _has_row_security(connection: Connection, table: Table) -> bool:
    """Whether row-level security holds this role on the table."""
    return bool(connection.execute(text("SELECT row_security_active(:name)"), {"name": table.name}).scalar())


def _driver_cursor(connection: Connection) -> "psycopg.Cursor[Any]":
    return cast("psycopg.Connection[Any]", connection.connection.driver_connection).cursor()


class _translated:  # noqa: N801  reads as a word in a with statement
    """Speaks SQLAlchemy's errors, so that callers on either engine catch the same one."""

    def __init__(self, statement: "sql.Composed") -> None:
        self._statement = statement

    def __enter__(self) -> None:
        return None

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        import psycopg

        if isinstance(error, psycopg.IntegrityError):
            raise IntegrityError(self._statement.as_string(None), None, error) from error


def _converted(
    table: Table, columns: Sequence[str], rows: list[Sequence[Any]], converters: dict[type, Convert]
) -> Iterator[tuple[Any, ...]]:
    """The rows with their values as the driver wants them; whole columns at a time, which runs in C where nothing is to do."""
    values: list[Iterable[Any]] = list(zip(*rows, strict=True))
    for index, name in enumerate(columns):
        convert = converters.get(type(table.c[name].type))
        if convert is _instant_to_sqlite:
            known = {value: None if value is None else convert(value) for value in set(values[index])}
            values[index] = [known[value] for value in values[index]]
        elif convert is not None:
            values[index] = [None if value is None else convert(value) for value in values[index]]
    return zip(*values, strict=True)


def _micros(value: datetime) -> int:
    return clock.to_millis(value) * 1000 + value.microsecond % 1000


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else canonical.dumps(value)


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a naive time has no place in the database")
    return value


def _instant_to_sqlite(value: datetime) -> int:
    return _micros(_aware(value))


_TO_SQLITE: dict[type, Convert] = {
    Instant: _instant_to_sqlite,
    Quantity: str,
    Flag: int,
    Json: _json_text,
    Day: lambda value: value.isoformat(),
}
_NULL = "\\N"
_COPY_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_COPY_SIGNS = re.compile(r"[\\\t\n\r]")


def _aware_text(value: datetime) -> str:
    return _aware(value).isoformat(" ")


_TO_COPY: dict[type, Convert] = {
    Instant: _aware_text,
    Json: _json_text,
    Flag: lambda value: "t" if value else "f",
    LargeBinary: lambda value: "\\x" + value.hex(),
}
_TO_POSTGRESQL: dict[type, Convert] = {Instant: _aware, Json: _json_text}
