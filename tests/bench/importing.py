"""A file import against the raw insert of the rows it makes: COPY on PostgreSQL, executemany in one transaction on SQLite."""

import time
from io import BytesIO
from typing import Any, cast

import psycopg
from sqlalchemy import Connection, text

from billing.assurance import schema
from billing.metering import imports
from billing.storage.database import Database, owner_engine
from tests.bench import joblog, twin, world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "import"
UNIT = "records/s"
SIZE = 20_000  # jobs; each makes an allocation and two or three usage records
_TWINS = ("allocations", "usage_records")
_GOALS = {"postgresql": Goal(at_least=0.40), "sqlite": Goal(at_least=0.20)}


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Import a log of `size` jobs into an empty database; the limit inserts the same rows of the same columns."""
    fresh, full = scratch.migrated(), scratch.migrated()
    record_count = joblog.records_of(size)
    with scratch.opened(fresh) as database:
        world.install(database)
    with scratch.opened(full) as database:
        world.install(database)
        take_in(database, size)
    owner = owner_engine(scratch.urls_of(full))
    with owner.begin() as connection:
        rows = {name: read_rows(connection, name) for name in _TWINS}

    def limit() -> float:
        with owner.begin() as connection:
            twin.create(connection, _TWINS)
        start = time.perf_counter()
        with owner.begin() as connection:
            for name in _TWINS:
                write_rows(connection, name, rows[name])
        elapsed_s = time.perf_counter() - start
        with owner.begin() as connection:
            require("rows written", _count(connection, twin.PREFIX), (size, record_count))
        return (size + record_count) / elapsed_s

    def figure() -> float:
        with scratch.copied(fresh) as database:
            start = time.perf_counter()
            take_in(database, size)
            elapsed_s = time.perf_counter() - start
            with database.reading("jobs") as session:
                require("rows imported", _count(session.connection(), ""), (size, record_count))
        return (size + record_count) / elapsed_s

    try:
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=_GOALS[scratch.engine],
            limit=limit,
            figure=figure,
            rounds=rounds,
        )
    finally:
        owner.dispose()


def take_in(database: Database, size: int) -> None:
    """Import a log of `size` jobs, every one of them new."""
    counts = imports.import_file(
        database,
        joblog.stream(size),
        source="slurm-sacct",
        actor="bench",
        now=world.NOW,
        create_accounts=True,
        file_name="bench.log",
    )
    require("jobs accepted", (counts.read, counts.accepted), (size, size))


def _count(connection: Connection, prefix: str) -> tuple[int, ...]:
    return tuple(connection.execute(text(f"SELECT count(*) FROM {prefix}{name}")).scalar_one() for name in _TWINS)


def _columns(name: str) -> list[str]:
    return [column.name for column in schema.metadata.tables[name].columns]


def read_rows(connection: Connection, name: str) -> Any:
    """The table's rows as the driver takes them: bytes of COPY, or tuples."""
    columns = ", ".join(_columns(name))
    if connection.dialect.name == "sqlite":
        return [tuple(row) for row in connection.exec_driver_sql(f"SELECT {columns} FROM {name}")]
    data = BytesIO()
    with _cursor(connection) as cursor, cursor.copy(f"COPY {name} ({columns}) TO STDOUT".encode()) as copy:
        for block in copy:
            data.write(block)
    return data.getvalue()


def write_rows(connection: Connection, name: str, rows: Any) -> None:
    """Insert rows of `read_rows` into the twin of the table."""
    columns = _columns(name)
    target = f"{twin.PREFIX}{name} ({', '.join(columns)})"
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"INSERT INTO {target} VALUES ({', '.join('?' * len(columns))})", rows)
        return
    with _cursor(connection) as cursor, cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
        copy.write(rows)


def _cursor(connection: Connection) -> Any:
    driver = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    return driver.cursor()
