"""The command line as a person or a script meets it: real processes on SQLite, from an empty folder to issued invoices."""

import csv
import gzip
import io
import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from tests import databases, postgres
from tests.session import run_dir
from tests.slurm_logs import job_line
from tests.walk import raw_log

PLUMBLINE = Path(sys.executable).with_name("plumbline")
BALANCE_FIELDS = {
    "currency",
    "balance_minor",
    "wallet_minor",
    "promo_minor",
    "unbilled_minor",
    "receivable_minor",
    "disputed_minor",
    "deferred_minor",
    "available_minor",
}
INVOICE_FIELDS = {
    "id",
    "number",
    "account",
    "period",
    "state",
    "currency",
    "net_minor",
    "tax_minor",
    "total_minor",
    "due_minor",
}


class Plumbline:
    """The installed console script in a folder of its own, on one database file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.file = home / "plumbline.db"

    def run(self, *words: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command; its exit status is as expected, and nothing it says is a traceback."""
        done = subprocess.run(
            [str(PLUMBLINE), *words],
            cwd=self.home,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.home),
                "LANG": "C.UTF-8",
                "DATABASE_URL": f"sqlite:///{self.file}",
                "PLUMBLINE_SECRET_KEY": "only-for-this-test",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        said = done.stdout + done.stderr
        assert "Traceback" not in said, said
        assert done.returncode == expect, f"plumbline {' '.join(words)}: {done.returncode}\n{said}"
        return done

    def json(self, *words: str, expect: int = 0) -> Any:
        """What a command prints as JSON."""
        return json.loads(self.run(*words, "--format", "json", expect=expect).stdout)

    def refuse(self, *words: str, status: int = 1) -> str:
        """The one sentence with which a command refuses; it prints nothing else."""
        done = self.run(*words, expect=status)
        assert done.stdout == ""
        sentence = done.stderr.strip()
        assert sentence
        if status == 1:
            assert len(sentence.splitlines()) == 1, sentence
            assert sentence.endswith("."), sentence
        return sentence


@pytest.fixture
def plumbline(tmp_path: Path) -> Plumbline:
    """On a database that is migrated and empty."""
    made = Plumbline(tmp_path)
    with databases.fresh("sqlite", run_dir()) as urls:
        shutil.copyfile(urls.web.removeprefix("sqlite:///"), made.file)
    return made


@pytest.fixture(scope="module")
def imported(data_dir: Path) -> Path:
    """A database file into which commands took the real log, twice; made once a run, whichever worker comes first."""
    made = Plumbline(run_dir() / "cli")
    with postgres.locked(run_dir(), "cli"):
        if not made.home.exists():
            made.home.mkdir()
            assert "was empty" in made.run("db", "upgrade").stdout
            made.run("db", "check")
            log = str(data_dir / raw_log.LOG)
            words = ("usage", "import", log, "--source", "slurm-sacct", "--create-accounts")
            assert made.json(*words) == {"read": 11_704, "accepted": 11_704, "duplicate": 0, "rejected": 0, "open": 0}
            assert made.json(*words) == {"read": 11_704, "accepted": 0, "duplicate": 11_704, "rejected": 0, "open": 0}
    return made.file


@pytest.fixture
def cloud(imported: Path, tmp_path: Path) -> Plumbline:
    """The real log in a database of this test's own."""
    made = Plumbline(tmp_path)
    shutil.copyfile(imported, made.file)
    return made


def four_places(value: str) -> str:
    """Rounded half up to four places, as the oracle prints."""
    scaled = int(Fraction(value) * 10_000 + Fraction(1, 2))
    return f"{scaled // 10_000}.{scaled % 10_000:04d}"


def oracle(data_dir: Path, name: str, grain: str) -> dict[str, str]:
    """{period: figure} as an independent program published it."""
    text = (data_dir / "slurm" / "expected" / f"pozidriv.{name}.{grain.capitalize()}.csv").read_text()
    return {period: four_places(value) for period, value in (line.split(",") for line in text.splitlines()[1:])}


@pytest.mark.slow
@pytest.mark.parametrize("grain", ["day", "month", "year"])
def test_summaries_are_what_an_independent_program_says(cloud: Plumbline, data_dir: Path, grain: str) -> None:
    for name, what in (
        ("total_cpu_hours", ("--meter", "cpu_hour")),
        ("job_count", ("--count", "ended")),
        ("started_job_count", ("--count", "started")),
        ("running_job_count", ("--count", "running")),
    ):
        text = cloud.run("usage", "summary", "--by", grain, *what, "--format", "csv").stdout
        rows = list(csv.DictReader(io.StringIO(text)))
        assert text.splitlines()[0] == "period,meter,unit,quantity"
        assert all(len(row["quantity"].partition(".")[2]) >= 6 for row in rows)
        assert {row["period"]: four_places(row["quantity"]) for row in rows} == oracle(data_dir, name, grain)


@pytest.mark.slow
def test_hours_of_each_account_are_those_of_the_issue(cloud: Plumbline) -> None:
    text = cloud.run(
        "usage", "summary", "--by", "year", "--meter", "cpu_hour", "--per-account", "--format", "csv"
    ).stdout
    assert text.splitlines()[0] == "period,account,meter,unit,quantity"
    sums: dict[str, Fraction] = {}
    for row in csv.DictReader(io.StringIO(text)):
        sums[row["account"]] = sums.get(row["account"], Fraction(0)) + Fraction(row["quantity"])
    assert {account: four_places(str(hours)) for account, hours in sums.items()} == raw_log.CPU_HOURS
    accounts = [row["account"] for row in cloud.json("accounts", "list")]
    assert accounts == sorted(raw_log.ACCOUNTS)


@pytest.mark.slow
def test_a_month_is_billed_from_the_command_line(cloud: Plumbline, data_dir: Path) -> None:
    jobs = raw_log.read_jobs(data_dir)
    nets = {code: net for (code, month), net in raw_log.net_cents(jobs).items() if month == "2016-12"}
    drafts = cloud.json("invoices", "generate", "--period", "2016-12")  # rates and posts first
    assert all(set(row) == INVOICE_FIELDS for row in drafts)
    assert {row["account"]: (row["net_minor"], row["number"], row["state"]) for row in drafts} == {
        code: (net, None, "draft") for code, net in nets.items()
    }
    assert cloud.json("invoices", "generate", "--period", "2016-12") == drafts
    assert "approved" in cloud.run("invoices", "issue", drafts[0]["id"], expect=1).stderr

    assert cloud.run("user", "create", "otto@ops.example", "--staff", "approver").stdout.startswith(
        "otto@ops.example  "
    )
    cloud.run("user", "create", "mia@ops.example", "--staff", "maker", "--password", "a long enough one")
    issue = ("invoices", "issue", "--period", "2016-12", "--approve-as")
    assert "may not" in cloud.refuse(*issue, "mia@ops.example")
    issue = (*issue, "otto@ops.example")
    issued = cloud.json(*issue)
    assert [row["number"] for row in sorted(issued, key=lambda row: row["account"])] == [
        f"{issued[0]['number'][:-6]}{count:06d}" for count in range(1, 8)
    ]
    for row in issued:
        vat = raw_log.vat_cents(nets[row["account"]])
        net = nets[row["account"]]
        assert (row["net_minor"], row["tax_minor"], row["total_minor"]) == (net, vat, net + vat)
        assert row["due_minor"] == net + vat
    assert cloud.json(*issue) == []
    listed = cloud.json("invoices", "list", "--period", "2016-12")
    assert sorted(listed, key=lambda row: row["id"]) == sorted(issued, key=lambda row: row["id"])

    _assert_pdf(cloud, issued[0], jobs)
    _assert_balances(cloud, jobs, nets)
    for words in (("ledger", "verify"), ("replay", "--period", "2016-12"), ("self-check",)):
        report = cloud.json(*words)
        assert report["differences"] == []
        assert report["checked"] > 0


def _assert_pdf(cloud: Plumbline, row: dict[str, Any], jobs: list[raw_log.Job]) -> None:
    by_number, by_id = cloud.home / "by-number.pdf", cloud.home / "by-id.pdf"
    cloud.run("invoices", "pdf", row["number"], "-o", str(by_number))
    cloud.run("invoices", "pdf", row["id"], "-o", str(by_id))
    assert by_number.read_bytes() == by_id.read_bytes()
    text = subprocess.run(
        ["pdftotext", "-layout", str(by_number), "-"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    assert row["number"] in text
    assert row["account"] in text
    for cents in (row["net_minor"], row["tax_minor"], row["total_minor"]):
        assert raw_log.printed(cents) in text
    for (code, month, _), cents in raw_log.line_cents(jobs).items():
        if (code, month) == (row["account"], "2016-12"):
            assert raw_log.printed(cents) in text


def _assert_balances(cloud: Plumbline, jobs: list[raw_log.Job], nets: dict[str, int]) -> None:
    """December is owed with VAT; January is used, not billed."""
    january = {code: net for (code, month), net in raw_log.net_cents(jobs).items() if month == "2017-01"}
    for found in cloud.json("balance"):
        code = found["account"]
        (balance,) = found["balances"]
        assert set(balance) == BALANCE_FIELDS
        due = nets[code] + raw_log.vat_cents(nets[code])
        unbilled = january.get(code, 0)
        assert balance["receivable_minor"] == -due
        assert balance["unbilled_minor"] == -unbilled
        assert balance["balance_minor"] == -due - unbilled
    (one,) = cloud.json("balance", "--account", "savwa")
    assert one["account"] == "savwa"


def test_rejects_are_listed_and_a_broken_file_is_told_in_one_sentence(plumbline: Plumbline, data_dir: Path) -> None:
    log, rejects = plumbline.home / "log", plumbline.home / "rejects.csv"
    lines = [
        job_line(id="1"),
        job_line(id="2", end="2016-12-01T00:00:00"),
        "too|few|fields",
        job_line(id="3", ncpus="-4"),
        job_line(id="4", end="Unknown", state="RUNNING"),
        job_line(id="1"),
        job_line(id="1", end="2016-12-30T03:43:10"),
    ]
    log.write_text("".join(f"{line}\n" for line in lines))
    words = ("usage", "import", str(log), "--source", "slurm-sacct", "--create-accounts")
    counts = plumbline.json(*words, "--rejects", str(rejects))
    assert counts == {"read": 7, "accepted": 1, "duplicate": 1, "rejected": 4, "open": 1}
    found = list(csv.DictReader(rejects.read_text().splitlines()))
    assert [row["reason"] for row in found] == [
        "end_before_start",
        "wrong_field_count",
        "negative_quantity",
        "other_content",
    ]
    assert [row["line"] for row in found] == ["2", "3", "4", "7"]

    cut = plumbline.home / "cut.gz"
    whole = (data_dir / raw_log.LOG).read_bytes()
    cut.write_bytes(whole[: len(whole) // 2])
    done = plumbline.run("usage", "import", str(cut), *words[3:], "--format", "json", expect=1)
    kept = json.loads(done.stdout)
    assert 0 < kept["read"] < 11_704
    assert kept["read"] == sum(kept[name] for name in ("accepted", "duplicate", "rejected", "open"))
    assert len(done.stderr.strip().splitlines()) == 1
    again = plumbline.json("usage", "import", str(data_dir / raw_log.LOG), *words[3:])
    # Job 977669 of the real log is the job of the lines above under its own id: nothing of it is doubled.
    assert again["duplicate"] >= kept["accepted"]
    assert again["accepted"] + again["duplicate"] == 11_704
    plumbline.run("self-check")


def test_a_live_allocation_is_opened_changed_released_rated_and_owed(plumbline: Plumbline) -> None:
    plumbline.run("accounts", "create", "acme", "--name", "Acme Robotics")
    key = plumbline.run("apikey", "create", "--account", "acme", "--label", "launcher", "--scope", "usage.write").stdout
    assert len(key.strip()) > 20
    own = ("--account", "acme", "--format", "json")
    opened = plumbline.run(
        *("allocations", "open", "pod-1", "--resource", "h100x4", "--gpus", "4", "--at", "2026-10-01T00:00:00Z", *own)
    )
    assert json.loads(opened.stdout)["status"] == "opened"
    changed = ("allocations", "reconfigure", "pod-1", "--gpus", "1", "--at", "2026-10-01T00:30:00Z", *own)
    assert json.loads(plumbline.run(*changed).stdout)["status"] == "reconfigured"
    released = ("allocations", "release", "pod-1", "--at", "2026-10-01T00:50:00Z", *own)
    assert json.loads(plumbline.run(*released).stdout)["status"] == "released"
    assert json.loads(plumbline.run(*released).stdout)["status"] == "duplicate"
    plumbline.refuse("allocations", "release", "pod-1", "--at", "2026-10-01T00:55:00Z", "--account", "acme")
    plumbline.refuse("allocations", "release", "pod-2", "--account", "acme")
    plumbline.refuse("allocations", "open", "pod-3", "--account", "nobody", "--resource", "x", "--gpus", "1")

    text = plumbline.run("usage", "summary", "--by", "day", "--meter", "gpu_hour", "--format", "csv").stdout
    (row,) = csv.DictReader(io.StringIO(text))
    assert row["period"] == "2026-10-01"
    assert four_places(row["quantity"]) == "2.3333"  # 4 GPUs for 30 min, then 1 for 20 min
    outcomes = plumbline.json("jobs", "run", "--due")
    assert {outcome["result"] for outcome in outcomes} == {"succeeded"}
    (found,) = plumbline.json("balance", "--account", "acme")
    assert found["balances"][0]["unbilled_minor"] == -688  # 7/3 GPU-hours at 2.95
    drafted = plumbline.json("invoices", "list", "--account", "acme")
    assert [(row["period"], row["net_minor"], row["tax_minor"]) for row in drafted] == [("2026-10", 688, 158)]
    plumbline.run("self-check")


@pytest.mark.slow
def test_the_demo_is_loaded_once_and_its_books_hold(plumbline: Plumbline) -> None:
    first = plumbline.run("demo").stdout
    assert "The demo cloud is loaded." in first
    assert "ada@northwind.example" in first
    before = plumbline.run("balance", "--format", "json").stdout
    again = plumbline.run("demo").stdout
    assert "nothing was changed" in again
    assert plumbline.run("balance", "--format", "json").stdout == before
    outcomes = plumbline.json("jobs", "run", "--due")  # the self-check among them
    assert {outcome["job"]: outcome["result"] for outcome in outcomes} == {
        row["job"]: "succeeded" for row in plumbline.json("jobs", "list")
    }
    assert plumbline.json("replay")["differences"] == []


def test_wrong_usage_is_exit_2_and_what_cannot_be_done_one_sentence(plumbline: Plumbline) -> None:
    for words in (
        ("nonsense",),
        ("usage", "summary", "--by", "day"),
        ("usage", "import", "no-such-file", "--source", "slurm-sacct"),
        ("user", "create", "a@b.example"),
    ):
        assert "Usage:" in plumbline.refuse(*words, status=2)
    for words in (
        ("balance", "--account", "nobody"),
        ("invoices", "show", "INV-1"),
        ("invoices", "generate", "--period", "2026-13"),
        ("jobs", "run", "no-such-job"),
        ("accounts", "create", "bad\u202ecode"),
        ("user", "create", "not-an-address", "--staff", "viewer"),
    ):
        plumbline.refuse(*words)


def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    nowhere = Plumbline(tmp_path / "empty")
    nowhere.home.mkdir()
    nowhere.file = tmp_path / "no" / "such" / "folder.db"
    assert "db upgrade" in nowhere.refuse("balance")
    nowhere.file = tmp_path / "garbage.db"
    nowhere.file.write_bytes(gzip.compress(b"this is no database" * 1000))
    nowhere.refuse("balance")
    nowhere.refuse("self-check")
    nowhere.refuse("db", "upgrade")
    nowhere.file = tmp_path / "fresh.db"
    assert "db upgrade" in nowhere.refuse("accounts", "list")
