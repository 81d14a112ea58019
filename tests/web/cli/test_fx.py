"""`plumbline fx`: rates come in from a file or from what is installed, and bad rows are named with exit 1."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from billing.storage.database import Database
from portal.cli import main

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
TABLE = "Date,USD,JPY,\n2024-10-30,1.0815,165.44,\n2024-10-29,1.0786,165.57,\n"


def run(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["fx", *arguments], env={"DATABASE_URL": database.urls.web})


def test_a_file_is_imported_safely_again_and_again(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "eurofxref.csv"
    path.write_text(TABLE)
    first = run(database, "import", str(path), "--format", "json")
    assert (first.exit_code, json.loads(first.stdout)["added"]) == (0, 2)
    assert "2 were held already" in run(database, "import", str(path)).stdout
    path.write_text(TABLE.replace("165.44", "165.45").replace("1.0786", "-1"))
    bad = run(database, "import", str(path), "--format", "json")
    assert (bad.exit_code, json.loads(bad.stdout)["refused"]) == (1, 2)
    listed = json.loads(run(database, "list", "--on", "2024-11-01", "--format", "json").stdout)
    assert listed[0] == {
        "currency": "JPY",
        "source": "ECB",
        "rate": "165.44",
        "published_on": "2024-10-30",
        "age_days": 2,
        "stale": "no",
    }


def test_what_is_no_table_and_no_file_is_one_sentence(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text("<html>")
    for target, words in ((path, "no table of rates"), (tmp_path / "none.csv", "cannot be read")):
        done = run(database, "import", str(target))
        assert (done.exit_code, words in done.stderr, "Traceback" in done.output) == (1, True, False)


def test_the_installed_rates_are_at_hand_and_currencies_are_set(database: Database) -> None:
    done = run(database, "seed", "--since", "2026-10-01", "--format", "json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["added"] > 15
    assert run(database, "tax-currency", "nobody", "EUR").exit_code == 1
    assert run(database, "invoice-currency", "nobody", "EUR").exit_code == 1
