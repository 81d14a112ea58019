"""Posting beside two other ledgers, in the same run: django-hordak and pgledger, each 1,000 transfers a commit on PostgreSQL.

django-hordak runs in an interpreter of its own (`make bench-peers`; PLUMBLINE_BENCH_PYTHON), pgledger's SQL is given by path
(PLUMBLINE_PGLEDGER_SQL: its files in the order in which they are read, separated by colons). Plumbline's side does more in the
same time: a run's entries, as a posting brings them, in one hashed and chained transaction.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
from sqlalchemy import make_url

from billing.accounts import heads
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerEntry
from billing.storage.database import Database
from tests.bench import world
from tests.bench.measure import Goal, Result, WrongWork, compare, count_of, require
from tests.bench.scratch import Scratch

UNIT = "transfers/s"
SIZE = 5_000
GOALS = {"django-hordak": Goal(at_least=5), "pgledger": Goal(at_least=4)}
_PER_COMMIT = 1_000
_HORDAK = Path(__file__).with_name("peer_hordak.py")


class PeerMissing(Exception):
    """A peer that is not there; the text says how to bring it."""


def run(peer: str, scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Our transfers a second over the peer's. Raises PeerMissing, WrongWork."""
    if scratch.engine != "postgresql":
        raise PeerMissing("the peers are measured on PostgreSQL: set DATABASE_URL to a server")
    name = scratch.migrated()
    with scratch.opened(name) as database:
        world.install(database)
        (account_id,) = world.open_accounts(database, 1)
    theirs: dict[str, Callable[[], float]] = {
        "django-hordak": lambda: _hordak(scratch, size),
        "pgledger": lambda: _pgledger(scratch, size),
    }

    def ours() -> float:
        with scratch.copied(name) as database:
            start = time.perf_counter()
            _post(database, account_id, size)
            elapsed_s = time.perf_counter() - start
            with database.reading("jobs") as session:
                require("entries", count_of(session, LedgerEntry), size)
        return size / elapsed_s

    return compare(
        case=f"posting beside {peer}",
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOALS[peer],
        limit=theirs[peer],
        figure=ours,
        rounds=rounds,
    )


def _post(database: Database, account_id: str, size: int) -> None:
    for first in range(0, size, _PER_COMMIT):
        with database.transaction("jobs") as session:
            head = heads.lock_one(session, account_id)
            numbers = range(first, min(first + _PER_COMMIT, size))
            book.post(
                session,
                now=world.NOW,
                head=head,
                type="posting",
                source_type="bench",
                source_id=str(first),
                entries=[_entry(number) for number in numbers],
                occurred_at=world.START,
                actor="bench",
            )


def _entry(number: int) -> Entry:
    amount = Money(minor=1 + number % 100, currency="USD")
    return Entry(
        kind="usage_debit",
        debit="unbilled",
        credit="revenue:compute",
        amount=amount,
        detail={"charge_id": f"chg_{number}"},
    )


def _hordak(scratch: Scratch, size: int) -> float:
    python = os.environ.get("PLUMBLINE_BENCH_PYTHON", str(Path(sys.prefix).with_name(".venv-bench") / "bin" / "python"))
    if not Path(python).exists():
        raise PeerMissing("django-hordak needs an interpreter of its own: `make bench-peers` makes it")
    name = scratch.empty()
    try:
        url = make_url(scratch.urls_of(name).owner or "").set(drivername="postgresql")
        done = subprocess.run(
            [python, str(_HORDAK), url.render_as_string(hide_password=False), str(size), str(_PER_COMMIT)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise WrongWork(f"django-hordak stopped: {done.stderr.strip().splitlines()[-1:]}")
        return float(done.stdout.strip().splitlines()[-1])
    finally:
        scratch.drop(name)


def _pgledger(scratch: Scratch, size: int) -> float:
    files = [Path(path) for path in os.environ.get("PLUMBLINE_PGLEDGER_SQL", "").split(":") if path]
    if not files or not all(file.is_file() for file in files):
        raise PeerMissing("pgledger's SQL is not there: set PLUMBLINE_PGLEDGER_SQL to its files, separated by colons")
    name = scratch.empty()
    try:
        url = make_url(scratch.urls_of(name).owner or "").set(drivername="postgresql")
        with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
            for file in files:
                connection.execute(file.read_text().encode())
            make = "SELECT id FROM pgledger_create_account(%s, 'USD')"
            ids = [_one(connection, make, (label,)) for label in ("unbilled", "revenue")]
            connection.commit()
            start = time.perf_counter()
            for first in range(0, size, _PER_COMMIT):
                amounts = [1 + number % 100 for number in range(first, min(first + _PER_COMMIT, size))]
                connection.execute(
                    "SELECT count(*) FROM pgledger_create_transfers(ARRAY(SELECT ROW(%s, %s, amount)::transfer_request"
                    " FROM unnest(%s::numeric[]) AS amount))",
                    (*ids, amounts),
                )
                connection.commit()
            elapsed_s = time.perf_counter() - start
            require("pgledger's transfers", _one(connection, "SELECT count(*) FROM pgledger_transfers", ()), size)
        return size / elapsed_s
    finally:
        scratch.drop(name)


def _one(connection: "psycopg.Connection", query: str, parameters: tuple[object, ...]) -> object:
    row = connection.execute(query.encode(), parameters).fetchone()
    return row[0] if row else None
