"""Posting with its hash chain against a set-based insert of the same rows without hashes, at 1,000 transfers a commit."""

import time

from sqlalchemy import func, select

from billing.ledger import balances
from billing.ledger.tables import LedgerEntry
from billing.rating import postings
from billing.rating.tables import Charge, Posting
from billing.storage.database import Database, owner_engine
from tests.bench import twin, world
from tests.bench.measure import Goal, Result, compare, require
from tests.bench.scratch import Scratch

NAME = "posting"
UNIT = "transfers/s"
GOAL = Goal(at_least=0.60)
SIZE = 20_000
_PER_COMMIT = 1_000
_TWINS = ("ledger_transactions", "ledger_entries", "charges", "postings")


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Post `size` charges, 1,000 of one account in each transaction; the limit copies the rows that came out, set by set."""
    fresh = scratch.migrated()
    commits = -(-size // _PER_COMMIT)
    with scratch.opened(fresh) as database:
        world.install(database)
        accounts = world.open_accounts(database, commits)
        for number, account_id in enumerate(accounts):
            world.add_charges(database, account_id, min(_PER_COMMIT, size - number * _PER_COMMIT))
        world.rate_all(database, accounts)
        with database.reading("jobs") as session:
            charge_count = session.execute(select(func.count()).select_from(Charge)).scalar_one()
    require("charges to post", charge_count, size)
    posted = scratch.copy(fresh)
    with scratch.opened(posted) as database:
        post_all(database, accounts)
        owed_minor = _check(database, accounts, size)
    owner = owner_engine(scratch.urls_of(posted))

    def limit() -> float:
        with owner.begin() as connection:
            twin.create(connection, _TWINS)
            twin.fill(connection, "charges")
        entries = 0
        start = time.perf_counter()
        for account_id in accounts:
            mine = f"billing_account_id = '{account_id}'"
            with owner.begin() as connection:
                twin.fill(connection, "ledger_transactions", mine)
                entries += twin.fill(connection, "ledger_entries", mine)
                twin.fill(connection, "postings", f"charge_id IN (SELECT id FROM charges WHERE {mine})")
                connection.exec_driver_sql(
                    "UPDATE bench_charges SET posted_minor = p.posted_minor, posting_seq = p.seq FROM postings p "
                    f"WHERE p.charge_id = bench_charges.id AND bench_charges.billing_account_id = '{account_id}'"
                )
        elapsed_s = time.perf_counter() - start
        require("entries copied", entries, size)
        return size / elapsed_s

    def figure() -> float:
        with scratch.copied(fresh) as database:
            start = time.perf_counter()
            post_all(database, accounts)
            elapsed_s = time.perf_counter() - start
            require("owed after posting", _check(database, accounts, size), owed_minor)
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


def post_all(database: Database, accounts: list[str]) -> None:
    """Post everything as the job does, one transaction an account."""
    for account_id in accounts:
        with database.transaction("jobs") as session:
            postings.post_account(session, now=world.NOW, account_id=account_id)


def _check(database: Database, accounts: list[str], size: int) -> int:
    """What is owed in all, after making sure that every charge has its entry and its posting."""
    with database.reading("jobs") as session:
        for table in (LedgerEntry, Posting):
            require(table.__tablename__, session.execute(select(func.count()).select_from(table)).scalar_one(), size)
        unbilled = sum(row.unbilled_minor for one in accounts for row in balances.of_account(session, one))
        require("unbilled", unbilled, -sum(session.scalars(select(Charge.posted_minor))))
    return -unbilled
