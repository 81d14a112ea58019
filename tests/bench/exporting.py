"""An account's usage as CSV, against the database's own way out of the same columns: COPY, or a bare cursor and the csv module."""

import csv
import io
import time
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from billing.exports.usage import usage_csv
from billing.storage.database import Database
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "export"
UNIT = "rows/s"
GOAL = Goal(at_least=0.40)
SIZE = 100_000  # rows; --scale 10 for a million
_COLUMNS = (
    "id, meter_code, quantity_base, start_at, end_at, source, source_id, resource, project_id, member_id, allocation_id, tags, "
    "record_hash"
)
_FETCHED = 1_000


def prepare(scratch: Scratch, *, size: int, keep: bool) -> str:
    """A database with one account of `size` usage records; its name."""
    name, is_new = scratch.kept(f"{NAME}_{size}", keep=keep)
    if is_new:
        with scratch.opened(name) as database:
            world.install(database)
            (account_id,) = world.open_accounts(database, 1)
            world.add_usage(database, account_id, size, projects=20)
        scratch.analyze(name)
    return name


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Rows a second of the whole file, manifest included."""
    with scratch.opened(prepare(scratch, size=size, keep=False)) as database:
        (account_id,) = world.account_ids(database)
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=GOAL,
            limit=lambda: _raw(database, account_id, size),
            figure=lambda: _exported(database, account_id, size),
            rounds=rounds,
        )


def _exported(database: Database, account_id: str, size: int) -> float:
    begun = time.perf_counter()
    with database.reading() as session:
        export = usage_csv(session, account_id)
        length = sum(map(len, export))
    taken = time.perf_counter() - begun
    require("rows exported", export.manifest.count, size)
    require("a whole file", export.manifest.is_complete and length > size, True)
    return size / taken


def _raw(database: Database, account_id: str, size: int) -> float:
    begun = time.perf_counter()
    with database.reading("jobs") as session:
        connection = session.connection()
        rows = _copied(connection, account_id) if database.dialect == "postgresql" else _fetched(connection, account_id)
    taken = time.perf_counter() - begun
    require("rows copied", rows, size)
    return size / taken


def _copied(connection: Connection, account_id: str) -> int:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    # COPY takes no parameters: the id is our own and holds letters and digits alone.
    query = f"COPY (SELECT {_COLUMNS} FROM usage_records WHERE billing_account_id = '{account_id}' ORDER BY usage_seq) TO STDOUT (FORMAT csv)"
    with driver.cursor() as cursor, cursor.copy(query) as copy:  # type: ignore[arg-type]
        return sum(bytes(chunk).count(b"\n") for chunk in copy)


def _fetched(connection: Connection, account_id: str) -> int:
    query = text(f"SELECT {_COLUMNS} FROM usage_records WHERE billing_account_id = :id ORDER BY usage_seq")
    cursor = connection.execute(query, {"id": account_id}).cursor
    count = 0
    while rows := cursor.fetchmany(_FETCHED):
        out = io.StringIO()
        csv.writer(out).writerows(rows)
        count += len(rows)
        out.getvalue().encode()
    return count
