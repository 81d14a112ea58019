"""A process killed at any commit of a commitment's sale, drawdown and lapse, or of a plan's opening and closing charges, leaves books
that the next one completes to the same as if nothing had happened.
"""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from billing.assurance import equality, selfcheck
from billing.assurance.equality import Books
from billing.catalog import commitments
from billing.invoicing import contracts, invoices
from billing.ledger import balances
from billing.storage.database import Database, DatabaseUrls
from tests import databases
from tests.service.invoicing.world import NOW
from tests.session import run_dir
from tests.walk import contract_victim

ROOT = Path(__file__).resolve().parent.parent.parent
# opened, agreed, drafted, approved, issued; used, fees, rated, posted, closed, rated, posted; drafted, approved, issued, lapsed
COMMITS = 16
FEW = {
    "sqlite": {(5, "before"), (10, "after"), (15, "before"), (16, "before")},
    "postgresql": {(5, "after"), (15, "after")},
}


def points(engine: str) -> list[Any]:
    """Every commit and both its sides; all but a few of them at release."""
    places = [(at, side) for at in range(1, COMMITS + 1) for side in ("before", "after")]
    return [pytest.param(*place, marks=() if place in FEW[engine] else pytest.mark.release_heavy) for place in places]


Outcome = tuple[Books, list[tuple[str | None, int, int]], tuple[int, ...]]


def outcome(database: Database) -> Outcome:
    """The books, the invoices and what became of the commitment, after a self-check that finds nothing."""
    with database.reading("jobs") as session:
        found = selfcheck.run(session, now=NOW)
        assert not found.differences
        issued = invoices.list_invoices(session, now=NOW, sort="number", limit=10)
        account_id = issued[0].account_id
        (contract,) = commitments.list_contracts(session, account_id)
        row = contracts.get_row(session, now=NOW, contract_id=contract.id)
        (held,) = balances.of_account(session, account_id)
        sums = (row.sold_minor, row.drawn_minor, row.lapsed_minor, held.unbilled_minor, held.deferred_minor)
        return equality.read(session), [(one.number, one.net_minor, one.tax_minor) for one in issued], sums


@pytest.fixture(scope="module")
def undisturbed() -> Outcome:
    """What nobody disturbed: 150.00 of queries are paid in advance, 25.00 of fee and 25.00 to the minimum are not."""
    with databases.fresh("sqlite", run_dir()) as urls:
        database = contract_victim.MortalDatabase(urls)
        contract_victim.walk(database)
        contract_victim.walk(database)
        found = outcome(database)
        database.dispose()
    assert [each[1:] for each in found[1]] == [(18_000, 3_420), (5_000, 950)]
    assert found[2] == (18_000, 15_000, 3_000, -2_500, 0)  # November's fee stands unbilled
    return found


def assert_survives(urls: DatabaseUrls, expected: Outcome, die_at: int, side: str) -> None:
    """Kill it at that commit, let another process complete it, and compare."""
    command = [sys.executable, "-m", "tests.walk.contract_victim", urls.web, urls.jobs or urls.web, str(die_at), side]
    died = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    with databases.opened(urls) as database:
        contract_victim.walk(database)
        assert outcome(database) == expected


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("die_at", "side"), points("sqlite"))
def test_a_killed_sale_drawdown_or_closing_is_completed_to_equal_books(
    database_urls: DatabaseUrls, undisturbed: Outcome, die_at: int, side: str
) -> None:
    assert_survives(database_urls, undisturbed, die_at, side)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("die_at", "side"), points("postgresql"))
def test_a_killed_sale_drawdown_or_closing_is_completed_to_equal_books_on_a_server(
    database_urls: DatabaseUrls, undisturbed: Outcome, die_at: int, side: str
) -> None:
    assert_survives(database_urls, undisturbed, die_at, side)


def test_every_commit_of_the_way_is_a_point() -> None:
    with databases.fresh("sqlite", run_dir()) as urls:
        database = contract_victim.MortalDatabase(urls)
        contract_victim.walk(database)
        assert database.commits == COMMITS
        database.dispose()
