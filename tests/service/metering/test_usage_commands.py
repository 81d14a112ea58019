"""`plumbline usage` and `plumbline allocations`, as a person or a script meets them, on both engines."""

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from billing.storage.database import DatabaseUrls
from portal.cli import context, main
from tests.slurm_logs import job_line

Plumbline = Callable[..., Result]


@pytest.fixture
def plumbline(database_urls: DatabaseUrls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plumbline]:
    """Runs a command against a database of this test's own."""
    monkeypatch.setenv("DATABASE_URL", database_urls.web)
    monkeypatch.setenv("PLUMBLINE_JOBS_URL", database_urls.jobs or database_urls.web)
    monkeypatch.setenv("PLUMBLINE_OWNER_URL", database_urls.owner or database_urls.web)
    context.database.cache_clear()

    def call(*words: str, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(main, words, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    yield call
    context.database().dispose()
    context.database.cache_clear()


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def test_import_summary_and_export_have_the_shapes_that_scripts_rely_on(plumbline: Plumbline, tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        job_line(ncpus="1", alloctres="cpu=1", start="2016-12-31T23:00:00", end="2017-01-01T00:20:00"),
        "x",
    )
    rejects = tmp_path / "rejects.csv"
    words = (
        "usage",
        "import",
        log,
        "--source",
        "slurm-sacct",
        "--create-accounts",
        "--rejects",
        str(rejects),
        "--format",
        "json",
    )
    assert json.loads(plumbline(*words).stdout) == {"read": 2, "accepted": 1, "duplicate": 0, "rejected": 1, "open": 0}
    assert rejects.read_bytes() == (
        b'line,id,reason,detail,raw\r\n2,x,wrong_field_count,"1 fields, expected 26 separated by |",x\r\n'
    )
    assert json.loads(plumbline(*words).stdout) == {"read": 2, "accepted": 0, "duplicate": 1, "rejected": 1, "open": 0}

    summary = ("usage", "summary", "--by", "month", "--meter", "cpu_hour", "--format", "csv")
    assert plumbline(*summary).stdout == (
        "period,meter,unit,quantity\n2016-12,cpu_hour,core-hour,1.000000\n2017-01,cpu_hour,core-hour,0.333333333333\n"
    )
    assert plumbline(*summary, "--per-account", "--to", "2017-01-01").stdout == (
        "period,account,meter,unit,quantity\n2016-12,calla,cpu_hour,core-hour,1.000000\n"
    )
    assert plumbline("usage", "summary", "--by", "year", "--count", "started", "--format", "csv").stdout == (
        "period,meter,unit,quantity\n2016,started,jobs,1.000000\n2017,started,jobs,0.000000\n"
    )

    out = tmp_path / "usage.csv"
    done = plumbline("usage", "export", "--account", "calla", "--period", "2017-01", "-o", str(out), "--format", "json")
    manifest = json.loads((tmp_path / "usage.csv.manifest.json").read_text())
    assert json.loads(done.stdout) == manifest
    assert manifest["count"] == 1
    assert manifest["sum"] == "1200000"
    assert manifest["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    row = next(csv.DictReader(io.StringIO(out.read_text(), newline="")))
    assert (row["start"], row["end"], row["quantity"]) == (
        "2017-01-01T00:00:00Z",
        "2017-01-01T00:20:00Z",
        "0.333333333333",
    )
    assert row["submitter"].startswith("mbr_")
    assert "turdo" not in out.read_text()


def test_a_truncated_gzip_is_kept_up_to_the_break_and_told_in_one_sentence(
    plumbline: Plumbline, tmp_path: Path
) -> None:
    content = gzip.compress("".join(f"{job_line(id=str(number))}\n" for number in range(2000)).encode())
    (tmp_path / "log.gz").write_bytes(content[: len(content) * 2 // 3])
    words = (
        "usage",
        "import",
        str(tmp_path / "log.gz"),
        "--source",
        "slurm-sacct",
        "--create-accounts",
        "--format",
        "json",
    )
    done = plumbline(*words)
    assert done.exit_code == 1
    counts = json.loads(done.stdout)
    assert 0 < counts["accepted"] == counts["read"] < 2000
    assert done.stderr.count("\n") == 1
    assert f"after line {counts['read']}" in done.stderr
    (tmp_path / "log.gz").write_bytes(content)
    done = plumbline(*words)
    assert json.loads(done.stdout)["duplicate"] == counts["accepted"]
    assert json.loads(done.stdout)["accepted"] == 2000 - counts["accepted"]


def test_a_log_may_come_through_a_pipe(plumbline: Plumbline) -> None:
    done = plumbline("usage", "import", "-", "--source", "slurm-sacct", "--create-accounts", stdin=job_line().encode())
    assert done.exit_code == 0
    assert "accepted" in done.stdout


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("usage", "import", "/nowhere", "--source", "slurm-sacct"), 2),
        (("usage", "import", "-", "--source", "pbs"), 2),
        (("usage", "import", "-", "--source", "slurm-sacct", "--account", "nobody"), 1),
        (("usage", "import", "-", "--source", "slurm-sacct", "--zone", "+01:00"), 1),
        (("usage", "import", "-", "--source", "slurm-sacct", "--rejects", "/nowhere/r.csv"), 1),
        (("usage", "summary", "--by", "day"), 2),
        (("usage", "summary", "--by", "day", "--meter", "cpu_hour", "--count", "ended"), 2),
        (("usage", "summary", "--by", "day", "--meter", "beer"), 1),
        (("usage", "summary", "--by", "day", "--meter", "cpu_hour", "--account", "nobody"), 1),
        (("usage", "summary", "--by", "day", "--meter", "cpu_hour", "--from", "soon"), 1),
        (("usage", "summary", "--by", "day", "--meter", "cpu_hour", "--zone", "Mars/Base"), 1),
        (("usage", "export", "--account", "nobody", "--period", "2016-12", "-o", "-"), 1),
        (("usage", "export", "--account", "nobody", "-o", "-"), 2),
        (("allocations", "release", "pod", "--account", "nobody"), 1),
        (("allocations", "open", "pod", "--account", "nobody", "--resource", "x", "--gpus", "many"), 1),
    ],
)
@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_what_cannot_be_done_is_said_in_one_sentence(plumbline: Plumbline, words: tuple[str, ...], status: int) -> None:
    done = plumbline(*words)
    assert done.exit_code == status
    assert done.stdout == ""
    assert 0 < len(done.stderr.splitlines()) <= (1 if status == 1 else 5)


def test_an_export_to_a_place_that_cannot_be_written_leaves_nothing(plumbline: Plumbline, tmp_path: Path) -> None:
    plumbline("usage", "import", "-", "--source", "slurm-sacct", "--create-accounts", stdin=job_line().encode())
    done = plumbline(
        "usage", "export", "--account", "calla", "--period", "2016-12", "-o", str(tmp_path / "no" / "usage.csv")
    )
    assert done.exit_code == 1
    assert "cannot be written" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_life_of_an_allocation_by_hand(plumbline: Plumbline) -> None:
    plumbline("usage", "import", "-", "--source", "slurm-sacct", "--create-accounts", stdin=job_line().encode())
    day = "2026-11-02T"
    common = ("pod-1", "--account", "calla", "--format", "json", "--at")
    words = (
        "allocations",
        "open",
        *common,
        f"{day}12:00:00Z",
        "--gpus",
        "4",
        "--resource",
        "h100x4",
        "--submitter",
        "reebu",
    )
    assert json.loads(plumbline(*words).stdout)["status"] == "opened"
    assert json.loads(plumbline(*words).stdout)["status"] == "duplicate"
    plumbline("allocations", "reconfigure", *common, f"{day}12:30:00Z", "--gpus", "1")
    assert json.loads(plumbline("allocations", "release", *common, f"{day}12:50:00Z").stdout)["status"] == "released"
    assert json.loads(plumbline("allocations", "release", *common, f"{day}12:50:00Z").stdout)["status"] == "duplicate"
    again = plumbline("allocations", "release", *common, f"{day}13:50:00Z")
    assert again.exit_code == 1
    assert "was released" in again.stderr
    summary = plumbline(
        "usage",
        "summary",
        "--by",
        "day",
        "--meter",
        "gpu_hour",
        "--from",
        "2026-11-02",
        "--to",
        "2026-11-03",
        "--format",
        "json",
    )
    assert [Fraction(row["quantity"]) for row in json.loads(summary.stdout)] == [Fraction("2.333333333333")]
