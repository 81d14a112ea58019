"""Rating against a pure INSERT .. SELECT of the same rows into a table of the same keys, references and indexes."""

import time

from sqlalchemy import func, select

from billing.rating.tables import Charge, RatedLine
from billing.storage.database import Database, owner_engine
from tests.bench import twin, world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "rating"
UNIT = "windows/s"
GOAL = Goal(at_least=0.60)
SIZE = 100_000
_ACCOUNTS = 4
_TWINS = ("rated_usage_lines",)


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Rate `size` windows of four accounts in transactions of 10,000; the limit copies the lines that came out."""
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
        accounts = world.open_accounts(database, _ACCOUNTS)
        shares = [size // _ACCOUNTS + (number < size % _ACCOUNTS) for number in range(_ACCOUNTS)]
        total_base = sum(
            world.add_usage(database, account_id, share, projects=20)
            for account_id, share in zip(accounts, shares, strict=True)
        )
    rated = scratch.copy(fresh)
    with scratch.opened(rated) as database:
        world.rate_all(database, accounts)
    owner = owner_engine(scratch.urls_of(rated))

    def limit() -> float:
        with owner.begin() as connection:
            twin.create(connection, _TWINS)
        start = time.perf_counter()
        with owner.begin() as connection:
            count = twin.fill(connection, "rated_usage_lines")
        elapsed_s = time.perf_counter() - start
        require("lines copied", count, size)
        return size / elapsed_s

    def figure() -> float:
        with scratch.copied(fresh) as database:
            start = time.perf_counter()
            count = world.rate_all(database, accounts)
            elapsed_s = time.perf_counter() - start
            require("records rated", count, size)
            _check(database, size, total_base)
        return size / elapsed_s

    try:
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=GOAL,
            limit=limit,
            figure=figure,
            rounds=rounds,
        )
    finally:
        owner.dispose()


def _check(database: Database, size: int, total_base: int) -> None:
    with database.reading("jobs") as session:
        require("lines", session.execute(select(func.count()).select_from(RatedLine)).scalar_one(), size)
        require("quantity of all charges", sum(session.scalars(select(Charge.quantity_base))), total_base)
