"""`plumbline bench` runs every case at a tiny size, and each checks that its work was the right work."""

import json
import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from billing.storage.database import DatabaseUrls
from portal.cli import main
from tests import postgres
from tests.bench import cases, scratch
from tests.session import run_dir

SCALE = 0.001
KEYS = {"case", "engine", "size", "figure", "unit", "limit", "ratio", "peak_mb", "aa_ratio", "verdict"}


@pytest.fixture
def environment(engine: str, database_urls: DatabaseUrls) -> dict[str, str]:
    """A user's settings: their database, which no benchmark may touch."""
    chosen = {"DATABASE_URL": database_urls.web}
    if engine == "postgresql":
        chosen |= {
            "PLUMBLINE_JOBS_URL": str(database_urls.jobs),
            "PLUMBLINE_OWNER_URL": str(database_urls.owner),
            scratch.ADMIN_URL: postgres.url(run_dir(), "postgres", "postgres"),
        }
    return chosen


@pytest.mark.slow
@pytest.mark.parametrize("name", list(cases.CASES))
def test_each_case_measures_the_right_work_at_a_tiny_size(engine: str, environment: dict[str, str], name: str) -> None:
    done = CliRunner().invoke(main, ["bench", name, "--scale", str(SCALE), "--rounds", "1"], env=environment)
    assert done.exit_code == 0 or "missed its goal" in done.stderr, done.output
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert set(result) == KEYS
    assert (result["case"], result["engine"], result["size"]) == (name, engine, cases.size_of(name, SCALE))
    for key in ("figure", "limit", "ratio", "peak_mb", "aa_ratio"):
        assert math.isfinite(result[key])
        assert result[key] > 0
    assert result["ratio"] == pytest.approx(result["figure"] / result["limit"], rel=0.01, abs=0.001)


def test_a_prepared_database_is_kept_for_later_runs(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "KEPT", tmp_path)
    first, second = (
        CliRunner().invoke(main, ["bench", "--prepare", "--scale", "0.0011", "balance", "rating"], env=environment)
        for _ in range(2)
    )
    assert first.stdout == second.stdout
    balance, rating = map(json.loads, first.stdout.splitlines())
    assert (balance["size"], balance["prepared"], rating["prepared"]) == (110, "plumbline_bench_balance_110", None)
    done = CliRunner().invoke(main, ["bench", "--scale", "0.0011", "--rounds", "1", "balance"], env=environment)
    assert json.loads(done.stdout)["size"] == 110


def test_an_unknown_case_is_wrong_usage(environment: dict[str, str]) -> None:
    assert CliRunner().invoke(main, ["bench", "everything"], env=environment).exit_code == 2
