"""One leader however many processes: the lease on both engines, and a race for it on PostgreSQL."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.jobs import leadership
from billing.storage.database import Database
from billing.storage.tables import Lease

NOW = datetime.now(UTC)


def _hold(database: Database, holder: str, now: datetime = NOW) -> bool:
    with database.transaction("jobs") as session:
        return leadership.hold(session, now=now, holder=holder)


def _term(database: Database) -> int:
    with database.reading("jobs") as session:
        return session.execute(select(Lease.term).where(Lease.name == leadership.SCHEDULER)).scalar_one()


def test_the_first_leads_and_the_second_stands_by(database: Database) -> None:
    assert _hold(database, "a")
    assert not _hold(database, "b")
    assert _hold(database, "a")
    with database.reading("jobs") as session:
        assert leadership.find_leader(session, now=NOW) == "a"


def test_renewing_keeps_the_term_and_a_change_of_holder_raises_it(database: Database) -> None:
    _hold(database, "a")
    _hold(database, "a")
    assert _term(database) == 1
    with database.transaction("jobs") as session:
        leadership.release(session, now=NOW, holder="a")
    assert _hold(database, "b", NOW + timedelta(milliseconds=1))
    assert _term(database) == 2


def test_only_the_holder_can_give_the_lease_back(database: Database) -> None:
    _hold(database, "a")
    with database.transaction("jobs") as session:
        leadership.release(session, now=NOW, holder="b")
    assert not _hold(database, "b")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_lease_that_ran_out_is_taken_over(database: Database) -> None:
    _hold(database, "a")
    late = NOW + timedelta(seconds=leadership.LEASE_S)
    assert not _hold(database, "b", late - timedelta(milliseconds=1))
    assert _hold(database, "b", late)
    assert not _hold(database, "a", late)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_of_twenty_that_ask_at_once_one_leads(database: Database) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda number: _hold(database, f"p{number}"), range(20)))
    assert answers.count(True) == 1
