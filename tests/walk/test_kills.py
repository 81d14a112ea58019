"""A process killed at any commit of the walk leaves books that the next one completes to the same as if nothing had happened."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from billing.assurance import equality, selfcheck
from billing.assurance.equality import Books
from billing.invoicing import invoices
from billing.storage.database import Database, DatabaseUrls
from tests import databases
from tests.session import run_dir
from tests.walk import raw_log, steps, victim

ROOT = Path(__file__).resolve().parent.parent.parent

# Twenty points of the way from the first commit to the last, each hit just before or just after a commit.
POINTS = [(place / 20, ("before", "after")[place % 2]) for place in range(20)]
FEW_POINTS = [(0.03, "after"), (0.3, "before"), (0.65, "after"), (0.97, "before")]

Outcome = tuple[Books, list[tuple[str | None, str, str | None, int]]]


@pytest.fixture(scope="module")
def sample(data_dir: Path) -> list[str]:
    """160 jobs: enough for some usage of every tenant in both months."""
    return raw_log.sample(data_dir, 160)


def outcome(database: Database) -> Outcome:
    """The books, and which invoices there are, after a self-check that finds nothing."""
    with database.reading("jobs") as session:
        found = selfcheck.run(session, now=steps.NOW)
        assert not found.differences
        issued = invoices.list_invoices(session, now=steps.NOW, sort="number", limit=100)
        return equality.read(session), [(row.number, row.account, row.period, row.total_minor) for row in issued]


@pytest.fixture(scope="module")
def undisturbed(sample: list[str]) -> tuple[Outcome, int]:
    """What the walk gives when nobody disturbs it, and how many commits it takes."""
    with databases.fresh("sqlite", run_dir()) as urls:
        database = victim.MortalDatabase(urls)
        victim.walk(database, sample)
        found = outcome(database)
        database.dispose()
    numbers = [number for number, *_ in found[1]]
    assert numbers == [f"INV-2017-{count:06d}" for count in range(1, len(numbers) + 1)]
    return found, database.commits


def assert_survives(urls: DatabaseUrls, sample: list[str], expected: Outcome, die_at: int, side: str) -> None:
    """Kill the walk at that commit, let another process's walk complete it, and compare."""
    log = run_dir() / f"{die_at}-{side}.log"
    log.write_text("".join(f"{line}\n" for line in sample))
    command = [sys.executable, "-m", "tests.walk.victim", str(log), urls.web, urls.jobs or urls.web, str(die_at), side]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    with databases.opened(urls) as database:
        victim.walk(database, sample)
        assert outcome(database) == expected


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("place", "side"), POINTS)
def test_killed_walk_is_completed_to_equal_books(
    database_urls: DatabaseUrls, sample: list[str], undisturbed: tuple[Outcome, int], place: float, side: str
) -> None:
    expected, commits = undisturbed
    assert_survives(database_urls, sample, expected, 1 + int(place * commits), side)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("place", "side"), FEW_POINTS)
def test_killed_walk_is_completed_to_equal_books_on_a_server(
    database_urls: DatabaseUrls, sample: list[str], undisturbed: tuple[Outcome, int], place: float, side: str
) -> None:
    expected, commits = undisturbed
    assert_survives(database_urls, sample, expected, 1 + int(place * commits), side)
