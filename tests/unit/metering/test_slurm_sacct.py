"""What one line of Slurm's accounting log means, and why a line is refused."""

from datetime import UTC, datetime

import pytest

from billing.metering.sources.port import JobFacts, Reject
from billing.metering.sources.slurm_sacct import FIELDS, GPU_SHARES, SlurmSacct
from tests.slurm_logs import job_line

GIB = 2**30


def facts(zone: str = "UTC", **changes: str) -> JobFacts:
    parsed = SlurmSacct(zone).parse(7, job_line(**changes))
    assert isinstance(parsed, JobFacts), parsed
    return parsed


def reason(**changes: str) -> str:
    line = job_line(**changes)
    parsed = SlurmSacct().parse(7, line)
    assert isinstance(parsed, Reject), parsed
    assert parsed.line_number == 7
    assert parsed.raw == line
    assert parsed.detail
    return parsed.reason


def test_a_line_gives_cores_and_memory_per_millisecond() -> None:
    job = facts(ncpus="12", alloctres="billing=12,cpu=12,mem=48000M,node=1")
    assert job.source_id == "pozidriv/977669"
    assert (job.account_code, job.member_handle, job.resource) == ("calla", "turdo", "pozidriv/croutons")
    assert job.rates == (("cpu_hour", 12), ("memory_gib_hour", 48_000 * 2**20))
    assert job.start_at == datetime(2016, 12, 22, 7, 3, 30, tzinfo=UTC)


def test_times_are_read_in_the_declared_zone() -> None:
    job = facts(zone="Europe/Berlin", start="2026-07-01T00:00:00", end="2026-07-01T01:00:00")
    assert job.start_at == datetime(2026, 6, 30, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("tres", "gpus"),
    [
        ("cpu=8,gres/gpu=4", 4),
        ("cpu=8,gres/gpu:a100=4,gres/gpu=4", 4),
        ("cpu=8,gres/gpu:a100=3,gres/gpu:h100=1", 4),
        ("cpu=8,gres/gpu:a100=3,gres/gpu=4", 4),
        ("cpu=8,gres/gpu=0", 0),
        ("cpu=8,gres/shard=4", 0),
    ],
)
def test_gpus_are_counted_once_whether_their_model_is_named_or_not(tres: str, gpus: int) -> None:
    assert dict(facts(ncpus="8", alloctres=tres).rates).get("gpu_hour", 0) == gpus * GPU_SHARES


@pytest.mark.parametrize(
    ("memory", "size_bytes"),
    [
        ("48000M", 48_000 * 2**20),
        ("48000", 48_000 * 2**20),
        ("62.50G", 62 * GIB + GIB // 2),
        ("500G", 500 * GIB),
        ("1.95T", 2_144_047_674_163),  # 1.95 x 2^40 = 2144047674163.2: Slurm prints two digits
        ("1024K", 2**20),
        ("0", 0),
        ("63Gc", 63 * GIB * 12),
        ("40000Mn", 40_000 * 2**20 * 2),
    ],
)
def test_memory_is_read_in_all_of_slurms_units(memory: str, size_bytes: int) -> None:
    job = facts(ncpus="12", nnodes="2", alloctres=f"cpu=12,mem={memory}")
    assert dict(job.rates).get("memory_gib_hour", 0) == size_bytes


def test_an_old_log_without_alloctres_falls_back_to_ncpus_and_reqmem() -> None:
    job = facts(ncpus="12", nnodes="1", alloctres="", reqmem="48000Mn")
    assert job.rates == (("cpu_hour", 12), ("memory_gib_hour", 48_000 * 2**20))


def test_the_flag_in_old_reqmem_means_memory_per_cpu() -> None:
    job = facts(ncpus="12", alloctres="", reqmem="2147486448Mn")  # 2^31 + 2800
    assert dict(job.rates)["memory_gib_hour"] == 12 * 2800 * 2**20


def test_memory_that_was_not_allocated_is_not_counted() -> None:
    assert facts(ncpus="12", alloctres="cpu=12", reqmem="48000Mn").rates == (("cpu_hour", 12),)


@pytest.mark.parametrize("changes", [{"end": "Unknown", "state": "RUNNING"}, {"end": "Unknown"}, {"state": "RUNNING"}])
def test_a_running_job_is_open(changes: dict[str, str]) -> None:
    job = facts(**changes)
    assert job.end_at is None
    assert job.closing_hash is None
    assert job.opening_hash == facts().opening_hash


def test_a_job_cancelled_while_it_waited_ended_without_a_node() -> None:
    job = facts(
        start="None", end="2016-12-30T03:43:09", state="CANCELLED by 423120", nodelist="None assigned", nnodes="1"
    )
    assert job.start_at == job.end_at
    assert job.node_count == 0
    assert job.outcome == "CANCELLED"  # who cancelled it is not kept


def test_a_heading_is_known() -> None:
    assert SlurmSacct().is_header("|".join(FIELDS))
    assert SlurmSacct().is_header("|".join(name.upper() for name in FIELDS))
    assert not SlurmSacct().is_header(job_line())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"start": "2016-12-30T03:43:10"}, "end_before_start"),
        ({"end": "2036-12-30T03:43:10"}, "window_too_long"),
        ({"start": "2016-13-30T03:43:10"}, "bad_time"),
        ({"start": "2016-12-30"}, "bad_time"),
        ({"start": "20161230T034310"}, "bad_time"),
        ({"end": "tomorrow"}, "bad_time"),
        ({"end": "9999-99-99T99:99:99"}, "bad_time"),
        ({"start": "Unknown", "end": "Unknown", "state": "PENDING"}, "not_started"),
        ({"ncpus": "-12"}, "negative_quantity"),
        ({"ncpus": "twelve"}, "bad_count"),
        ({"ncpus": "12.5"}, "bad_count"),
        ({"ncpus": "1_2"}, "bad_count"),
        ({"ncpus": "\u0661\u0662"}, "bad_count"),  # Arabic digits
        ({"ncpus": ""}, "bad_count"),
        ({"ncpus": "9" * 30}, "quantity_too_large"),
        ({"ncpus": "99999999999999", "alloctres": "cpu=99999999999999"}, "quantity_too_large"),
        ({"nnodes": "many"}, "bad_count"),
        ({"ncpus": "8", "alloctres": "cpu=12,mem=1G"}, "cpu_mismatch"),
        ({"alloctres": "cpu=12,mem=48000Q"}, "bad_memory"),
        ({"alloctres": "cpu=12,mem=48,000M"}, "bad_tres"),
        ({"alloctres": "cpu=12,mem=-4G"}, "negative_quantity"),
        ({"alloctres": "cpu=12,mem=999999999999999E"}, "quantity_too_large"),
        ({"alloctres": "cpu=12,mem="}, "bad_memory"),
        ({"alloctres": "cpu=12,cpu=12"}, "bad_tres"),
        ({"alloctres": "cpu"}, "bad_tres"),
        ({"alloctres": "cpu=12,gres/gpu=-1"}, "negative_quantity"),
        ({"alloctres": "cpu=12,gres/gpu=two"}, "bad_count"),
        ({"alloctres": "cpu=12,gres/gpu:a100=5,gres/gpu=4"}, "gpu_mismatch"),
        ({"reqmem": "lots"}, "bad_memory"),
        ({"account": ""}, "missing_account"),
        ({"account": "x" * 65}, "bad_account"),
        ({"account": "cal\u200bla"}, "bad_account"),
        ({"account": "cal\u202ela"}, "bad_account"),
        ({"account": "cal\x00la"}, "control_character"),
        ({"user": "turdo\x1b[2J"}, "control_character"),
        ({"user": "\u202eturdo"}, "bad_user"),
        ({"jobname": "x" * 5000}, "text_too_long"),
        ({"jobidraw": "", "jobid": ""}, "bad_id"),
        ({"jobidraw": "1 2"}, "bad_id"),
        ({"jobid": "977669.batch"}, "job_step"),
    ],
)
def test_a_bad_line_is_refused_with_a_stable_reason(changes: dict[str, str], expected: str) -> None:
    assert reason(**changes) == expected


@pytest.mark.parametrize(
    "line", ["", "|", "a|b|c", job_line() + "|", job_line() + "|more", "|".join(job_line().split("|")[:25])]
)
def test_a_line_without_exactly_26_fields_is_refused(line: str) -> None:
    parsed = SlurmSacct().parse(3, line)
    assert isinstance(parsed, Reject)
    assert parsed.reason == "wrong_field_count"


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", "Robert'); DROP TABLE jobs;--", "=2+5", "ｆｕｌｌ", "مرحبا", "💥"]
)
def test_a_hostile_but_writable_job_name_is_data_like_any_other(name: str) -> None:
    assert facts(jobname=name).name == name
