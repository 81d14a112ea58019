"""File imports on both engines: every line counted once, oracles met, nothing doubled, nothing lost."""

import gzip
import io
import json
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.accounts import directory
from billing.accounts.tables import AccountHead, BillingAccount, Member, Project
from billing.catalog import activations, onboarding
from billing.kernel.errors import Invalid, NotFound
from billing.metering import imports, records, summaries
from billing.metering.errors import BrokenInput, UnknownSource
from billing.metering.imports import ImportCounts
from billing.metering.sources.port import Reject
from billing.metering.sources.slurm_sacct import FIELDS
from billing.metering.tables import Allocation, UsageImport, UsageRecord, UsageReject
from billing.storage.database import Database
from tests import databases
from tests.bench import generated_log
from tests.session import run_dir
from tests.slurm_logs import job_line

NOW = datetime(2017, 2, 1, tzinfo=UTC)
LOG = Path("slurm") / "pozidriv.log.gz"


def run(
    database: Database,
    lines: list[str] | bytes,
    *,
    create_accounts: bool = True,
    account_code: str | None = None,
    rejects: list[Reject] | None = None,
) -> ImportCounts:
    content = lines if isinstance(lines, bytes) else "".join(f"{line}\n" for line in lines).encode()
    return imports.import_file(
        database,
        io.BytesIO(content),
        source="slurm-sacct",
        actor="test",
        now=NOW,
        create_accounts=create_accounts,
        account_code=account_code,
        rejects=None if rejects is None else rejects.append,
    )


def counts(read: int, *, accepted: int = 0, duplicate: int = 0, rejected: int = 0, opened: int = 0) -> ImportCounts:
    return ImportCounts(read=read, accepted=accepted, duplicate=duplicate, rejected=rejected, open=opened)


def usage_of(database: Database) -> dict[tuple[str, str, datetime, datetime], int]:
    with database.reading("jobs") as session:
        rows = session.execute(
            select(
                UsageRecord.source_id,
                UsageRecord.meter_code,
                UsageRecord.start_at,
                UsageRecord.end_at,
                UsageRecord.quantity_base,
            )
        ).all()
    return {(source_id, meter, start, end): quantity for source_id, meter, start, end, quantity in rows}


def test_the_real_log_gives_the_oracles_figures_and_a_repeat_gives_nothing_new(
    database: Database, data_dir: Path
) -> None:
    log = (data_dir / LOG).read_bytes()
    assert run(database, log) == counts(11_704, accepted=11_704)
    _assert_oracles(database, data_dir)
    before = usage_of(database)
    assert run(database, log) == counts(11_704, duplicate=11_704)
    assert usage_of(database) == before
    with database.reading("jobs") as session:
        assert session.scalar(select(func.count()).select_from(Member)) == 18
        zero = select(func.count()).select_from(Allocation).where(Allocation.started_at == Allocation.ended_at)
        assert session.scalar(zero) == 1_031
        with_usage = select(func.count(UsageRecord.allocation_id.distinct()))
        assert session.scalar(with_usage) == 11_704 - 1_031
        for head in session.scalars(select(AccountHead)).all():
            numbers = session.scalars(
                select(UsageRecord.usage_seq).where(UsageRecord.billing_account_id == head.billing_account_id)
            ).all()
            assert sorted(numbers) == list(range(1, head.usage_seq + 1))
        for record in session.scalars(select(UsageRecord).limit(500)).all():
            assert record.record_hash == records.hash_of(record)


def _assert_oracles(database: Database, data_dir: Path) -> None:
    files = {
        "total_cpu_hours": {"meter_code": "cpu_hour"},
        "total_gpu_hours": {"meter_code": "gpu_hour"},
        "job_count": {"count": "ended"},
        "started_job_count": {"count": "started"},
        "running_job_count": {"count": "running"},
    }
    with database.reading("jobs") as session:
        for name, what in files.items():
            for grain in ("day", "month", "year"):
                expected = _oracle(data_dir / "slurm" / "expected" / f"pozidriv.{name}.{grain.capitalize()}.csv")
                rows = summaries.summarize(session, by=grain, now=NOW, **what)  # type: ignore[arg-type]
                assert {row.period: _four_places(row.quantity) for row in rows} == expected, (name, grain)
        per_account: Counter[str | None] = Counter()
        for row in summaries.summarize(session, by="day", meter_code="cpu_hour", per_account=True, now=NOW):
            per_account[row.account] += row.quantity  # type: ignore[assignment]
    assert {code: _four_places(Fraction(hours)) for code, hours in per_account.items()} == {
        "calla": "26233.1522",
        "taifl": "25358.4119",
        "caste": "11206.7450",
        "balsh": "6016.8878",
        "savwa": "2013.9667",
        "field": "1016.6144",
        "ibech": "138.4983",
    }


def _oracle(path: Path) -> dict[str, str]:
    lines = [line.split(",") for line in path.read_text().splitlines()[1:]]
    return {period: _four_places(Fraction(value)) for period, value in lines}


def _four_places(value: Fraction) -> str:
    scaled = int(value * 10_000 + Fraction(1, 2))
    return f"{scaled // 10_000}.{scaled % 10_000:04d}"


def test_a_job_over_the_year_end_is_cut_where_the_month_ends(database: Database) -> None:
    run(database, [job_line(ncpus="2", start="2016-12-31T23:00:00", end="2017-01-01T02:00:00", alloctres="cpu=2")])
    midnight = datetime(2017, 1, 1, tzinfo=UTC)
    assert usage_of(database) == {
        ("pozidriv/977669", "cpu_hour", datetime(2016, 12, 31, 23, tzinfo=UTC), midnight): 2 * 3_600_000,
        ("pozidriv/977669", "cpu_hour", midnight, datetime(2017, 1, 1, 2, tzinfo=UTC)): 4 * 3_600_000,
    }


def test_a_job_is_cut_where_its_accounts_month_ends_and_where_its_price_changes(database: Database) -> None:
    book = """
code = "default"
name = "Dearer cores from 10 March"

[[prices]]
sku = "compute/cpu_hour"
currency = "USD"
model = "per_unit"
unit_price = "0.60"
valid_from = 2026-03-10T00:00:00Z
"""
    with database.transaction("jobs") as session:
        onboarding.open_account(session, now=NOW, code="berlin", zone="Europe/Berlin")
        activations.install(session, book, now=NOW, actor="test")
    run(
        database,
        [
            job_line(
                account="berlin",
                ncpus="1",
                start="2026-03-01T00:00:00",
                end="2026-04-01T00:00:00",
                alloctres="cpu=1,mem=1G",
            )
        ],
    )
    borders = {"cpu_hour": set[datetime](), "memory_gib_hour": set[datetime]()}
    for _, meter, start, end in usage_of(database):
        borders[meter] |= {start, end}
    ends = {datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, 22, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)}
    assert borders == {"cpu_hour": ends | {datetime(2026, 3, 10, tzinfo=UTC)}, "memory_gib_hour": ends}


def test_gpu_usage_of_a_short_log_equals_the_figures_worked_by_hand(database: Database) -> None:
    lines = [
        # 4 GPUs named by model and in total, half an hour: 2 GPU-hours, 16 core-hours, 128 GiB-hours
        job_line(id="1", account="lab", ncpus="32", alloctres="billing=32,cpu=32,mem=256G,node=1,gres/gpu:a100=4,gres/gpu=4",
                 start="2026-10-01T10:00:00", end="2026-10-01T10:30:00"),
        # 1 GPU, 20 minutes: 1/3 GPU-hour, 2 core-hours, 16/3 GiB-hours
        job_line(id="2", account="lab", ncpus="6", alloctres="cpu=6,mem=16384M,gres/gpu=1",
                 start="2026-10-01T10:30:00", end="2026-10-01T10:50:00"),
        # two models, no total, 90 s over midnight: 3 x 90 / 3600 = 0.075 GPU-hours, 30 s of them the day before
        job_line(id="3", account="art", ncpus="0", alloctres="gres/gpu:a100=2,gres/gpu:h100=1",
                 start="2026-10-01T23:59:30", end="2026-10-02T00:01:00"),
        # no GPUs, and a job that never lasted
        job_line(id="4", account="art", ncpus="1", alloctres="cpu=1", start="2026-10-02T01:00:00", end="2026-10-02T02:00:00"),
        job_line(id="5", account="art", ncpus="1", alloctres="cpu=1,gres/gpu=8", start="2026-10-02T01:00:00", end="2026-10-02T01:00:00"),
    ]  # fmt: skip
    assert run(database, lines) == counts(5, accepted=5)
    with database.reading("jobs") as session:
        rows = summaries.summarize(session, by="day", per_account=True, now=NOW)
    assert {(row.period, row.account, row.meter): row.quantity for row in rows} == {
        ("2026-10-01", "lab", "gpu_hour"): Fraction(7, 3),
        ("2026-10-01", "lab", "cpu_hour"): 18,
        ("2026-10-01", "lab", "memory_gib_hour"): 128 + Fraction(16, 3),
        ("2026-10-01", "art", "gpu_hour"): Fraction(3 * 30, 3600),
        ("2026-10-02", "art", "gpu_hour"): Fraction(3 * 60, 3600),
        ("2026-10-02", "art", "cpu_hour"): 1,
    }


def test_a_running_job_is_open_and_is_closed_once_by_its_final_line(database: Database) -> None:
    running, final = job_line(end="Unknown", state="RUNNING", elapsed="00:10:00", exitcode="0:0"), job_line()
    assert run(database, [running]) == counts(1, opened=1)
    assert usage_of(database) == {}
    assert run(database, [running]) == counts(1, duplicate=1)
    assert run(database, [final]) == counts(1, accepted=1)
    assert len(usage_of(database)) == 2
    assert run(database, [final, running]) == counts(2, duplicate=2)
    with database.reading("jobs") as session:
        job = session.scalars(select(Allocation)).one()
        assert job.ended_at == datetime(2016, 12, 30, 3, 43, 9, tzinfo=UTC)
        assert job.outcome == "COMPLETED"


def test_a_job_may_open_and_close_in_one_batch_and_a_late_running_line_changes_nothing(database: Database) -> None:
    running, final = job_line(end="Unknown", state="RUNNING"), job_line()
    assert run(database, [running, final, final, running]) == counts(4, opened=1, accepted=1, duplicate=2)
    assert len(usage_of(database)) == 2


def test_the_real_log_taken_while_jobs_ran_and_then_whole_gives_the_same_usage(
    database: Database, data_dir: Path
) -> None:
    whole = gzip.decompress((data_dir / LOG).read_bytes()).decode().splitlines()
    early = []
    for number, line in enumerate(whole):
        fields = line.split("|")
        if number % 3 == 0:
            fields[13], fields[14], fields[16] = "Unknown", "00:00:01", "RUNNING"
        early.append("|".join(fields))
    still_running = len(range(0, 11_704, 3))
    assert run(database, early) == counts(11_704, accepted=11_704 - still_running, opened=still_running)
    assert run(database, whole) == counts(11_704, accepted=still_running, duplicate=11_704 - still_running)
    _assert_oracles(database, data_dir)


@pytest.mark.parametrize(
    "changes",
    [
        {"ncpus": "24"},
        {"user": "sante"},
        {"account": "other"},
        {"start": "2016-12-22T07:03:31"},
        {"end": "2016-12-30T03:43:10"},
        {"jobname": "another"},
        {"end": "Unknown", "state": "RUNNING", "ncpus": "24"},
    ],
)
def test_an_id_again_with_other_content_is_refused_and_the_first_stays(
    database: Database, changes: dict[str, str]
) -> None:
    run(database, [job_line()])
    before = usage_of(database)
    rejects: list[Reject] = []
    assert run(database, [job_line(**changes)], rejects=rejects) == counts(1, rejected=1)
    assert [(reject.line_number, reject.source_id, reject.reason) for reject in rejects] == [
        (1, "977669", "other_content")
    ]
    assert usage_of(database) == before


def test_other_content_in_one_file_is_refused_too(database: Database) -> None:
    assert run(database, [job_line(), job_line(ncpus="1")]) == counts(2, accepted=1, rejected=1)


def test_bad_lines_stop_nothing_and_are_all_kept_with_line_and_reason(database: Database) -> None:
    rejects: list[Reject] = []
    lines = [
        job_line(id="1"),
        "not a job",
        "",
        job_line(id="2", start="2017-01-01T00:00:00", end="2016-01-01T00:00:00"),
        job_line(id="3", account="house:house"),
        job_line(id="4", account="calla\x00"),
        job_line(id="5"),
    ]
    assert run(database, lines, rejects=rejects) == counts(6, accepted=2, rejected=4)
    told = [(reject.line_number, reject.source_id, reject.reason) for reject in rejects]
    assert told == [
        (2, "not a job", "wrong_field_count"),
        (4, "2", "end_before_start"),
        (5, "3", "bad_account"),
        (6, "4", "control_character"),
    ]
    with database.reading("jobs") as session:
        stored = session.execute(
            select(UsageReject.line_number, UsageReject.reason).order_by(UsageReject.line_number)
        ).all()
        assert [tuple(row) for row in stored] == [(number, reason) for number, _, reason in told]
        kept = session.scalars(select(UsageImport)).one()
        assert (kept.read_count, kept.accepted_count, kept.rejected_count) == (6, 2, 4)
        assert kept.ended_at == NOW


def test_hostile_names_from_the_naughty_list_are_taken_or_refused_but_never_lost(
    database: Database, data_dir: Path
) -> None:
    naughty = json.loads((data_dir / "bad-input" / "blns.json").read_text())
    lines = []
    for number, text in enumerate(naughty):
        field = ("account", "user", "jobname")[number % 3]
        lines.append(job_line(id=str(number), **{field: text.replace("\n", " ")}))
    result = run(database, "\n".join(lines).encode("utf-8", "surrogatepass"))
    assert result.read == len(naughty)
    assert result.accepted > 200
    assert result.rejected > 20
    assert run(database, "\n".join(lines).encode("utf-8", "surrogatepass")).duplicate == result.accepted


def test_bytes_that_are_no_text_and_endless_lines_are_refused(database: Database) -> None:
    rejects: list[Reject] = []
    content = b"\xff\xfe\n" + b"x" * 200_000 + b"\n" + job_line().encode() + b"\r\n" + bytes(range(256))
    assert run(database, content, rejects=rejects).accepted == 1
    assert [reject.reason for reject in rejects][:2] == ["bad_encoding", "line_too_long"]


def test_a_heading_and_blank_lines_are_no_records(database: Database) -> None:
    assert run(database, ["|".join(FIELDS).title(), job_line(), "", "  "]) == counts(1, accepted=1)


def test_accounts_are_made_only_when_told(database: Database) -> None:
    rejects: list[Reject] = []
    assert run(database, [job_line()], create_accounts=False, rejects=rejects) == counts(1, rejected=1)
    assert rejects[0].reason == "unknown_account"
    assert run(database, [job_line()]) == counts(1, accepted=1)
    with database.reading("jobs") as session:
        account = directory.get_account_by_code(session, "calla")
        assert (account.name, account.currency, account.zone) == ("calla", "USD", "UTC")


def test_a_refused_line_makes_no_account(database: Database) -> None:
    run(database, [job_line(account="ghost", ncpus="-1")])
    with database.reading("jobs") as session:
        assert directory.find_account_by_code(session, "ghost") is None


def test_with_an_account_named_the_logs_accounts_become_its_projects(database: Database) -> None:
    with database.transaction("jobs") as session:
        onboarding.open_account(session, now=NOW, code="centre")
    lines = [job_line(id="1"), job_line(id="2", account="caste")]
    assert run(database, lines, create_accounts=False, account_code="centre") == counts(2, accepted=2)
    with database.reading("jobs") as session:
        assert sorted(session.scalars(select(Project.code))) == ["calla", "caste"]
        owners = set(
            session.scalars(
                select(BillingAccount.code).join(UsageRecord, UsageRecord.billing_account_id == BillingAccount.id)
            )
        )
        assert owners == {"centre"}


def test_an_unknown_account_source_or_zone_is_refused_before_anything_is_read(database: Database) -> None:
    with pytest.raises(NotFound):
        run(database, [job_line()], account_code="nobody")
    with pytest.raises(UnknownSource):
        imports.import_file(database, io.BytesIO(), source="pbs", actor="test", now=NOW, create_accounts=True)
    with pytest.raises(Invalid):
        imports.import_file(
            database, io.BytesIO(), source="slurm-sacct", actor="test", now=NOW, create_accounts=True, zone="+01:00"
        )
    with database.reading("jobs") as session:
        assert session.scalars(select(UsageImport)).all() == []


def test_what_a_truncated_gzip_held_before_the_break_is_kept_and_counted(database: Database, data_dir: Path) -> None:
    log = (data_dir / LOG).read_bytes()
    half = log[: len(log) // 2]
    with pytest.raises(BrokenInput) as refused:
        run(database, half)
    kept = refused.value.fields["counts"]
    assert isinstance(kept, ImportCounts)
    assert refused.value.fields["reason"] == "truncated"
    assert 4_000 < kept.accepted == kept.read < 8_000  # half a line is not read as a line
    assert run(database, log) == counts(11_704, accepted=11_704 - kept.accepted, duplicate=kept.accepted)


def test_a_damaged_gzip_is_told_apart_and_keeps_what_came_before(database: Database) -> None:
    content = bytearray(gzip.compress(job_line().encode() + b"\n"))
    content[-6] ^= 0xFF  # its checksum
    with pytest.raises(BrokenInput) as refused:
        run(database, bytes(content))
    assert refused.value.fields["reason"] == "damaged"


def test_an_empty_file_is_an_import_of_nothing(database: Database) -> None:
    assert run(database, b"") == counts(0)
    assert run(database, gzip.compress(b"")) == counts(0)


def test_counts_that_lose_a_line_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="lost"):
        ImportCounts(read=2, accepted=1)


class _Killed(Exception):
    """Stands for the end of the process between two batches."""


def test_an_import_killed_between_batches_is_completed_by_a_repeat(database: Database, data_dir: Path) -> None:
    def kill(_counts: ImportCounts) -> None:
        raise _Killed

    log = (data_dir / LOG).read_bytes()
    with pytest.raises(_Killed):
        imports.import_file(
            database, io.BytesIO(log), source="slurm-sacct", actor="test", now=NOW, create_accounts=True, progress=kill
        )
    assert run(database, log) == counts(11_704, accepted=1_704, duplicate=10_000)
    _assert_oracles(database, data_dir)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_imports_of_one_log_at_once_count_each_job_once(database: Database, data_dir: Path) -> None:
    lines = gzip.decompress((data_dir / LOG).read_bytes()).decode().splitlines()[:1500]
    results: list[ImportCounts] = []
    failures: list[BaseException] = []
    start_line = threading.Barrier(3)

    def take(part: list[str]) -> None:
        start_line.wait()
        try:
            results.append(run(database, part))
        except BaseException as error:
            failures.append(error)

    parts = [lines, lines[::-1], lines[:900]]
    threads = [threading.Thread(target=take, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert sum(result.accepted for result in results) == 1500
    assert sum(result.duplicate for result in results) == 2400
    with database.reading("jobs") as session:
        assert session.scalar(select(func.count()).select_from(Allocation)) == 1500
        for head in session.scalars(select(AccountHead)).all():
            numbers = session.scalars(
                select(UsageRecord.usage_seq).where(UsageRecord.billing_account_id == head.billing_account_id)
            ).all()
            assert sorted(numbers) == list(range(1, head.usage_seq + 1))


def test_the_hash_of_a_record_is_that_of_its_canonical_bytes_whatever_its_names_hold(database: Database) -> None:
    hostile = [{"partition": 'qu"ote\\', "qos": "é\u2028💥"}, {"cluster": "<ü>", "qos": ""}, {"user": "", "qos": '"'}]
    lines = [job_line(id=str(number), **changes) for number, changes in enumerate(hostile)]
    assert run(database, lines) == counts(3, accepted=3)
    with database.reading("jobs") as session:
        stored = session.scalars(select(UsageRecord)).all()
    assert len(stored) == 6
    assert [record.record_hash for record in stored] == [records.hash_of(record) for record in stored]


_MEASURED_IMPORT = """
import resource, sys
from datetime import UTC, datetime
from billing.metering import imports
from billing.storage.database import Database, DatabaseUrls

with open(sys.argv[2], "rb") as log:
    counts = imports.import_file(Database(DatabaseUrls(web=sys.argv[1])), log, source="slurm-sacct", actor="test",
                                 now=datetime(2017, 2, 1, tzinfo=UTC), create_accounts=True)
print(counts.accepted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_log(data_dir: Path, tmp_path: Path) -> None:
    peaks_kb = []
    for count in (15_000, 60_000):
        with (tmp_path / "log").open("wb") as log:
            log.writelines(generated_log.generated_lines(data_dir / LOG, count))
        with databases.fresh("sqlite", run_dir()) as urls:
            command = [sys.executable, "-c", _MEASURED_IMPORT, urls.web, str(tmp_path / "log")]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
        accepted, peak_kb = map(int, done.stdout.split())
        assert accepted == count
        peaks_kb.append(peak_kb)
    assert peaks_kb[1] <= 1.1 * peaks_kb[0]
