"""Limits: counted once for all processes, exact without a share and within the stated bound with one."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.storage import limits
from billing.storage.database import Database
from billing.storage.limits import Policy
from billing.storage.tables import RateLimit

NOW = datetime(2026, 11, 21, 12, 0, 10, tzinfo=UTC)
EXACT = Policy(name="exact", limit=10, window_s=60)
SHARED = Policy(name="shared", limit=100, window_s=60, share=5)


def take(database: Database, policy: Policy, *, bucket: str = "a", now: datetime = NOW, count: int = 1) -> bool:
    return limits.take(database, bucket=bucket, policy=policy, now=now, count=count).is_allowed


def stored(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return {row.bucket: row.used_count for row in session.scalars(select(RateLimit))}


def as_processes(database: Database, count: int) -> list[Database]:
    """The same database as several processes see it: each with its own connections and its own memory."""
    return [Database(database.urls) for _ in range(count)]


def used_up(databases: list[Database], policy: Policy, each: int) -> int:
    """How many of the uses pass when every process asks at once, over and over."""
    passed: list[bool] = []
    start = threading.Barrier(len(databases))

    def ask(database: Database) -> None:
        start.wait()
        passed.extend(take(database, policy) for _ in range(each))

    threads = [threading.Thread(target=ask, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for database in databases:
        database.dispose()
    return sum(passed)


def test_a_bucket_has_its_limit_and_then_nothing_until_the_window_ends(database: Database) -> None:
    decisions = [limits.take(database, bucket="a", policy=EXACT, now=NOW) for _ in range(12)]
    assert [one.is_allowed for one in decisions] == [True] * 10 + [False] * 2
    assert [one.remaining for one in decisions] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]
    assert {(one.limit, one.reset_s) for one in decisions} == {(10, 50)}
    assert take(database, EXACT, bucket="b")
    assert not take(database, EXACT, now=NOW + timedelta(seconds=49))
    assert take(database, EXACT, now=NOW + timedelta(seconds=50))


def test_processes_that_ask_at_once_get_exactly_the_limit_between_them(database: Database) -> None:
    assert used_up(as_processes(database, 4), EXACT, 8) == 10
    assert used_up(as_processes(database, 1), EXACT, 3) == 0


def test_with_a_share_the_limit_is_met_within_its_bound(database: Database) -> None:
    assert 100 <= used_up(as_processes(database, 3), SHARED, 60) <= 100 + 3 * 5


def test_with_a_share_a_slow_caller_is_never_written_down_and_a_busy_one_seldom(database: Database) -> None:
    for _ in range(5):
        assert take(database, SHARED)
    assert stored(database) == {}
    assert take(database, SHARED)
    assert stored(database) == {"shared:a": 6}
    assert [take(database, SHARED) for _ in range(94)] == [True] * 94
    assert not take(database, SHARED)


def test_a_flood_is_refused_without_writing(database: Database) -> None:
    for _ in range(11):
        take(database, EXACT)
    before = stored(database)
    assert not any(take(database, EXACT) for _ in range(50))
    assert stored(database) == before == {"exact:a": 10}


def test_what_does_not_fit_is_refused_whole_and_less_still_fits(database: Database) -> None:
    assert take(database, EXACT, count=8)
    assert not take(database, EXACT, count=3)
    assert take(database, EXACT, count=2)
    assert not take(database, EXACT)


def test_a_process_whose_clock_is_behind_counts_on_in_the_newer_window(database: Database) -> None:
    ahead, behind = as_processes(database, 2)
    for _ in range(10):
        assert take(ahead, EXACT, now=NOW + timedelta(minutes=1))
    assert not take(behind, EXACT, now=NOW)
    for one in (ahead, behind):
        one.dispose()


def test_rows_of_past_windows_are_forgotten(database: Database) -> None:
    take(database, EXACT, bucket="old", now=NOW - timedelta(days=3))
    take(database, EXACT, bucket="new")
    with database.transaction("jobs") as session:
        assert limits.forget_old(session, now=NOW) == 1
    assert stored(database) == {"exact:new": 1}


@pytest.mark.parametrize("wrong", [{"limit": 0}, {"window_s": 0}, {"share": 10}, {"share": -1}, {"name": ""}], ids=str)
def test_a_policy_that_cannot_be_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="a limit that cannot be"):
        Policy(**{"name": "x", "limit": 10, "window_s": 60} | wrong)  # type: ignore[arg-type]
