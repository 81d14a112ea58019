"""Reading a balance and the first page of its statement, on a long chain against a chain of 10,000 entries (Law 5)."""

import time

from sqlalchemy import func, select

from billing.accounts import heads
from billing.kernel.money import Money
from billing.ledger import balances, book, statement
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerEntry
from billing.storage.database import Database
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, percentile, require
from tests.bench.scratch import Scratch

NAME = "balance"
UNIT = "ms p99"
GOAL = Goal(at_most=1.2)
SIZE = 100_000  # entries; --scale 100 for ten million
_SMALL = 10_000
_READS = 200
_PER_COMMIT = 1_000
_TAIL = 100  # transactions behind the newest checkpoint: less than what the job waits for


def prepare(scratch: Scratch, *, size: int, keep: bool) -> str:
    """A database with a chain of 10,000 entries and one of `size`, each with a checkpoint and a tail; its name."""
    name, is_new = scratch.kept(f"{NAME}_{size}", keep=keep)
    if is_new:
        with scratch.opened(name) as database:
            world.install(database)
            for account_id, count in zip(world.open_accounts(database, 2), (min(_SMALL, size), size), strict=True):
                _fill(database, account_id, count)
        scratch.analyze(name)
    return name


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """The 99th percentile of 200 reads of each chain."""
    with scratch.opened(prepare(scratch, size=size, keep=False)) as database:
        small, large = world.account_ids(database)
        _check(database, small, min(_SMALL, size))
        _check(database, large, size)
        for account_id in (small, large):
            _read(database, account_id, 20)  # connections and statements are made ready
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=GOAL,
            limit=lambda: _read(database, small, min(_READS, size)),
            figure=lambda: _read(database, large, min(_READS, size)),
            rounds=rounds,
        )


def _read(database: Database, account_id: str, times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        with database.reading() as session:
            balances.of_account(session, account_id)
            page = statement.movements(session, account_id=account_id)
        taken.append((time.perf_counter() - start) * 1000)
        require("movements on a page", len(page.rows) >= 10, True)
    return percentile(taken, 99)


def _fill(database: Database, account_id: str, count: int) -> None:
    """`count` transactions of one entry, of 1 to 100 cents."""
    for first in range(0, count, _PER_COMMIT):
        last = min(first + _PER_COMMIT, count)
        border = max(first, min(last, count - _TAIL))
        _post(database, account_id, range(first, border))
        if last == count:
            with database.transaction("jobs") as session:
                balances.write_checkpoints(session, now=world.NOW, account_id=account_id)
            _post(database, account_id, range(border, last))


def _post(database: Database, account_id: str, numbers: range) -> None:
    if not numbers:
        return
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        requests = [
            book.Request(
                head=head,
                type="posting",
                source_type="bench",
                source_id=f"{account_id}:{number}",
                entries=[_entry(number)],
                occurred_at=world.START,
                actor="bench",
            )
            for number in numbers
        ]
        book.post_many(session, requests, now=world.NOW)


def _entry(number: int) -> Entry:
    amount = Money(minor=1 + number % 100, currency="USD")
    return Entry(kind="usage_debit", debit="unbilled", credit="revenue:compute", amount=amount)


def _check(database: Database, account_id: str, count: int) -> None:
    with database.reading("jobs") as session:
        mine = select(func.count()).select_from(LedgerEntry).where(LedgerEntry.billing_account_id == account_id)
        require("entries", session.execute(mine).scalar_one(), count)
        (found,) = balances.of_account(session, account_id)
        require("unbilled", found.unbilled_minor, -sum(1 + number % 100 for number in range(count)))
