"""Verifying all chains, from usage records and prices up to the last transaction, against hashing alone."""

import hashlib
import time

from billing.assurance import verification
from billing.kernel import canonical
from billing.ledger.tables import LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.rating.tables import RatedLine
from tests.bench import world
from tests.bench.measure import Goal, Result, compare, count_of, require
from tests.bench.posting import post_all
from tests.bench.scratch import Scratch

NAME = "verify"
UNIT = "hashes/s"
GOAL = Goal(at_least=0.40)
SIZE = 400_000  # usage records, each with a line; their postings besides. Two processes take a second to start
_ACCOUNTS = 4
_TREE = 10_000  # lines that a posting's Merkle root is over
_TEXT = b'["rated-line/1","' + b"0123456789" * 42  # as long as what a line's or a record's hash covers


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """Hashes verified a second over hashes made a second: of texts as long, and of the trees over the lines, one after the other."""
    name = scratch.migrated()
    with scratch.opened(name) as database:
        world.install(database)
        accounts = world.open_accounts(database, _ACCOUNTS)
        for number, account_id in enumerate(accounts):
            world.add_usage(database, account_id, size // _ACCOUNTS + (number < size % _ACCOUNTS), projects=20)
        require("records rated", world.rate_all(database, accounts), size)
        post_all(database, accounts)
    scratch.analyze(name)
    with scratch.opened(name) as database:
        with database.reading("jobs") as session:
            lines = count_of(session, RatedLine)
            hashes = lines + sum(count_of(session, model) for model in (UsageRecord, LedgerTransaction))

        def limit() -> float:
            start = time.perf_counter()
            made = [hashlib.sha256(b"%s%d" % (_TEXT, number)).hexdigest() for number in range(hashes)]
            for first in range(0, lines, _TREE):
                canonical.merkle_root(made[first : min(first + _TREE, lines)])
            return hashes / (time.perf_counter() - start)

        def figure() -> float:
            start = time.perf_counter()
            found = verification.verify_database(database)
            elapsed_s = time.perf_counter() - start
            require("differences", found.differences, ())
            require("everything was looked at", found.checked >= hashes, True)
            return hashes / elapsed_s

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
