"""The walk's clock, its application on a copy of the seeded world, and a copy of its own for a test that writes."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
import time_machine

from tests.gates import world
from tests.gates.walk import Walk
from tests.session import run_dir

_STARTED_S = time.monotonic()


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    """The day on which the seeded world lives. From test to test it only goes on, or sessions would come from the future."""
    with time_machine.travel(_now(), tick=True):
        yield


@pytest.fixture(scope="session")
def _walked() -> Iterator[Walk]:
    with time_machine.travel(_now(), tick=True), world.copied(run_dir()) as seeded, world.running(seeded.urls) as app:
        yield Walk(app, seeded.ids)


@pytest.fixture
def walk(_walked: Walk) -> Walk:
    """The walk that this process shares: for looking, and for acts that are refused."""
    return _walked


@pytest.fixture
def own_world() -> Iterator[world.World]:
    """A copy of the seeded world for one test."""
    with world.copied(run_dir()) as seeded:
        yield seeded


@pytest.fixture
def own_walk(own_world: world.World) -> Iterator[Walk]:
    """A walk through a world of the test's own, for acts that are done."""
    with world.running(own_world.urls) as app:
        yield Walk(app, own_world.ids)


def _now() -> datetime:
    return world.NOW + timedelta(seconds=time.monotonic() - _STARTED_S)
