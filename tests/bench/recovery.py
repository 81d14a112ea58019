"""What recovery asks the database every five seconds, with a million payment sessions against ten thousand: by index only."""

import time
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from billing.kernel.ids import new_ids
from billing.payments.recovery import unknown
from billing.payments.tables import PaymentSession
from billing.storage.database import Database
from tests.bench import world
from tests.bench.measure import Goal, Result, WrongWork, compare, percentile, require
from tests.bench.scratch import Scratch

NAME = "recovery"
UNIT = "ms p95"
GOAL = Goal(at_most=1.5)
SIZE = 1_000_000
_SMALL = 10_000
_READS = 200
_DUE = 40  # of them never asked, asked before, and asked just now, which is not due
_BATCH = 20_000
_PROVIDER = "bench"


def prepare(scratch: Scratch, *, size: int, keep: bool) -> str:
    """A database with `size` sessions, nearly all ended, as many open ones that were asked a minute ago, and 80 that are due."""
    name, is_new = scratch.kept(f"{NAME}_{size}", keep=keep)
    if is_new:
        with scratch.opened(name) as database:
            world.install(database)
            (account_id,) = world.open_accounts(database, 1)
            for first in range(0, size, _BATCH):
                _fill(database, account_id, range(first, min(first + _BATCH, size)), size)
        scratch.analyze(name)
    return name


def run(scratch: Scratch, *, size: int, rounds: int) -> Result:
    """The 95th percentile of 200 reads of what is due; the plan of each query is looked at first. Raises WrongWork for a scan."""
    small_name = prepare(scratch, size=min(_SMALL, size), keep=False)
    large_name = prepare(scratch, size=size, keep=False)
    with scratch.opened(small_name) as small, scratch.opened(large_name) as large:
        for database, count in ((small, min(_SMALL, size)), (large, size)):
            with database.reading("jobs") as session:
                held = session.execute(select(func.count()).select_from(PaymentSession)).scalar_one()
            require("payment sessions", held, count)
            require("sessions that are due", len(_due(database)), min(2 * _DUE, count))
        for query in unknown.due_queries([_PROVIDER], world.NOW):
            _require_index(large, query)
        return compare(
            case=NAME,
            engine=scratch.engine,
            size=size,
            unit=UNIT,
            goal=GOAL,
            limit=lambda: _p95_ms(small),
            figure=lambda: _p95_ms(large),
            rounds=rounds,
        )


def _p95_ms(database: Database) -> float:
    taken = []
    for _ in range(_READS):
        start = time.perf_counter()
        found = _due(database)
        taken.append((time.perf_counter() - start) * 1000)
        require("sessions that are due", len(found) > 0, True)
    return percentile(taken, 95)


def _due(database: Database) -> list[str]:
    """The ids that recovery would ask about, without asking."""
    found: list[str] = []
    with database.transaction("jobs") as session:
        for query in unknown.due_queries([_PROVIDER], world.NOW):
            found += [item.id for item in session.execute(query.limit(100)).scalars()]
    return found


def _require_index(database: Database, query: Select[Any]) -> None:
    """Raise WrongWork where the plan reads the table from end to end. Of a state with few rows any
    index will do; that the right one is taken where there are many is what the time shows."""
    dialect: Any = postgresql.dialect() if database.dialect == "postgresql" else sqlite.dialect()
    words = str(query.limit(50).compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    prefix = "EXPLAIN " if database.dialect == "postgresql" else "EXPLAIN QUERY PLAN "
    with database.transaction("jobs") as session:
        rows = session.connection().exec_driver_sql(prefix + words.replace("%", "%%")).all()
    plan = "\n".join(str(row[-1]) for row in rows)
    is_scan = "Seq Scan on payment_sessions" in plan or "SCAN payment_sessions" in plan
    if is_scan or "ix_payment_sessions_" not in plan:
        raise WrongWork(f"the plan reads payment_sessions without its index: {plan}")


def _fill(database: Database, account_id: str, numbers: range, size: int) -> None:
    ids = new_ids("pay", len(numbers))
    rows = [_row(account_id, session_id, number, size) for session_id, number in zip(ids, numbers, strict=True)]
    with database.transaction("jobs") as session:
        session.execute(insert(PaymentSession), rows)


def _row(account_id: str, session_id: str, number: int, size: int) -> dict[str, Any]:
    state, updated_at, looked_up_at = _standing(number, size)
    return {
        "id": session_id,
        "billing_account_id": account_id,
        "provider": _PROVIDER,
        "purpose": "top_up",
        "amount_minor": 100 + number % 90_000,
        "currency": "USD",
        "state": state,
        "form_key": f"bench-{number}",
        "provider_session_id": f"cs_{number}",
        "created_by": "bench",
        "created_at": updated_at,
        "updated_at": updated_at,
        "looked_up_at": looked_up_at,
    }


def _standing(number: int, size: int) -> tuple[str, datetime, datetime | None]:
    """The first are due; a tenth is open and was asked a minute ago; the rest has ended."""
    long_ago = world.NOW - timedelta(days=2) + timedelta(seconds=number % 86_400)
    if number < _DUE:
        return "unknown", long_ago, None
    if number < 2 * _DUE:
        return "open", long_ago, world.NOW - timedelta(hours=1)
    if number % 10 == 0:
        return "open", long_ago, world.NOW - timedelta(minutes=1)
    return ("paid", "expired", "failed")[number % 3], long_ago, None
