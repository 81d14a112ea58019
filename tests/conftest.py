"""Fixtures for all floors: a database per test on either engine, the shared data, and the self-check afterwards."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import exists, or_, select

from billing.assurance import selfcheck
from billing.ledger.tables import LedgerTransaction
from billing.metering.tables import UsageRecord
from billing.storage import tenancy
from billing.storage.database import Database, DatabaseUrls
from tests import databases, sharing
from tests.session import run_dir

sharing.share()

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def tenancy_in_force() -> Iterator[None]:
    """A request that left its scope in force would blind whatever its thread does next."""
    yield
    left = tenancy.current()
    tenancy.enter(tenancy.EVERYTHING)
    assert left == tenancy.EVERYTHING, f"the test left {left} in force"


@pytest.fixture(params=databases.chosen_engines())
def engine(request: pytest.FixtureRequest) -> str:
    """Each test that needs a database runs on both engines."""
    return str(request.param)


@pytest.fixture
def database_urls(engine: str) -> Iterator[DatabaseUrls]:
    """The URLs of a migrated database of this test's own, for tests that start processes."""
    with databases.fresh(engine, run_dir()) as urls:
        yield urls


@pytest.fixture
def database(request: pytest.FixtureRequest, database_urls: DatabaseUrls) -> Iterator[Database]:
    """A migrated database of this test's own. Afterwards the self-check must find nothing, unless the test `tampers`."""
    with databases.opened(database_urls) as opened:
        yield opened
        if request.node.get_closest_marker("tampers") is None:
            _check_books(opened)


@pytest.fixture
def empty_database_urls(engine: str) -> Iterator[DatabaseUrls]:
    """The URLs of a database without tables, for tests of the migrations themselves."""
    with databases.empty(engine, run_dir()) as urls:
        yield urls


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The shared real input, `PLUMBLINE_DATA`. Tests that need it are skipped where it is absent, which CI does not accept."""
    path = Path(os.environ.get("PLUMBLINE_DATA", ROOT / ".." / "shared" / "data")).resolve()
    if not (path / "MANIFEST.csv").exists():
        pytest.skip(f"the shared data is absent: PLUMBLINE_DATA={path}")
    return path


def _check_books(database: Database) -> None:
    """Nothing that the test wrote contradicts anything else. Where neither usage nor money moved there is nothing to prove."""
    with database.reading("jobs") as session:
        moved = session.execute(
            select(or_(exists(select(UsageRecord.id)), exists(select(LedgerTransaction.id))))
        ).scalar_one()
        found = selfcheck.run(session, now=datetime.now(UTC)) if moved else None
    if found is not None:
        assert found.checked > 0
        assert not found.differences, f"the self-check found differences after the test: {found.differences}"
