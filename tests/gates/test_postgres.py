"""The narrower walk on PostgreSQL, where rows have walls: owners see their pages whole, strangers nothing."""

from collections.abc import Iterator

import pytest

from tests import databases
from tests.gates import access_gates, world
from tests.gates.walk import Walk
from tests.session import run_dir


@pytest.fixture
def walled() -> Iterator[Walk]:
    if "postgresql" not in databases.chosen_engines():
        pytest.skip("PLUMBLINE_TEST_ENGINES leaves PostgreSQL out")
    with world.built("postgresql", run_dir()) as seeded, world.running(seeded.urls) as app:
        yield Walk(app, seeded.ids)


def test_owners_and_strangers_see_on_postgresql_what_they_see_on_sqlite(walled: Walk) -> None:
    stops = walled.stops()
    found = [
        *access_gates.owner(walled, stops),
        *access_gates.stranger(walled, stops),
        *access_gates.stranger_lists(walled, stops),
    ]
    assert not found, "\n".join(found)
