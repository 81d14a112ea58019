"""Replaying a period, line by line and posting by posting, against its first rating and posting."""

import time

from billing.assurance import replay
from billing.storage.database import Database
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.posting import post_all
from tests.bench.scratch import Scratch

NAME = "replay"
UNIT = "ms"
GOAL = Goal(at_most=1.5)
SIZE = 50_000
_ACCOUNTS = 4


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Milliseconds to replay `size` windows of four accounts, over those that rating and posting them took."""
    fresh = scratch.migrated()
    with scratch.opened(fresh) as database:
        world.install(database)
        accounts = world.open_accounts(database, _ACCOUNTS)
        for number, account_id in enumerate(accounts):
            world.add_usage(database, account_id, size // _ACCOUNTS + (number < size % _ACCOUNTS), projects=20)
    done = scratch.copy(fresh)
    with scratch.opened(done) as database:
        _rate_and_post(database, accounts, size)
    scratch.analyze(done)

    def first() -> float:
        with scratch.copied(fresh) as database:
            return _rate_and_post(database, accounts, size)

    def again() -> float:
        with scratch.opened(done) as database:
            start = time.perf_counter()
            with database.reading("jobs") as session:
                report = replay.replay(session)
            elapsed_s = time.perf_counter() - start
        require("differences", report.differences, ())
        require("lines and postings replayed", report.checked > size, True)
        return elapsed_s * 1000

    return compare(
        case=NAME,
        engine=scratch.engine,
        size=size,
        unit=UNIT,
        goal=GOAL,
        limit=first,
        figure=again,
        rounds=rounds,
    )


def _rate_and_post(database: Database, accounts: list[str], size: int) -> float:
    start = time.perf_counter()
    require("records rated", world.rate_all(database, accounts), size)
    post_all(database, accounts)
    return (time.perf_counter() - start) * 1000
