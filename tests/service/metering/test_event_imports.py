"""Files of events: the totals of real data met to the unit, repeats that change nothing, refusals that stop nothing."""

import csv
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from billing.accounts.tables import BillingAccount, Project
from billing.catalog import onboarding
from billing.kernel.errors import Invalid
from billing.metering import imports, intake
from billing.metering.imports import ImportCounts
from billing.metering.sources import cloud_events
from billing.metering.sources.port import Reject
from billing.metering.tables import UsageRecord
from billing.storage.database import Database
from tests import databases

NOW = datetime(2026, 11, 21, tzinfo=UTC)
EPOCH = datetime(2023, 1, 1, tzinfo=UTC)

PODS = """
name = "openb"
id = "name"
[columns]
start = "scheduled_time"
end = "deletion_time"
[[usage]]
meter = "gpu_hour"
rate = "num_gpu * gpu_milli"
unit = "milligpu"
[open]
scheduled_time = [""]
[ignore]
num_gpu = ["0"]
"""
TOKENS = """
name = "azure"
id_from = "row"
zone = "UTC"
[columns]
start = "TIMESTAMP"
[constants]
variant = "llama-2-70b"
[[usage]]
meter = "token_input"
quantity = "ContextTokens"
[[usage]]
meter = "token_output"
quantity = "GeneratedTokens"
"""
REQUESTS = """
name = "lora"
id_from = "row"
zone = "UTC"
[columns]
account = "groupId"
start = "gmt_create"
[tags]
status = "predict_status"
[[usage]]
meter = "gpu_hour"
quantity = "exec_time_seconds"
unit = "gpu_second"
[open]
predict_status = ["PENDING", "PROCESSING"]
"""
GPU_SECOND = 21_000 * 1_000

# What takes long on a large file is shown on SQLite in make test, on both engines in the heavier tiers.
large = pytest.mark.parametrize(
    "engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.merge_medium)], indirect=True
)


@pytest.fixture
def lab(database: Database) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code="lab").id


def run(
    database: Database,
    content: bytes | Path,
    source: str,
    column_map: str | None = None,
    *,
    account: str | None = "lab",
    rejects: list[Reject] | None = None,
    zone: str | None = None,
    epoch: datetime | None = None,
) -> ImportCounts:
    stream = io.BytesIO(content if isinstance(content, bytes) else content.read_bytes())
    return imports.import_file(
        database,
        stream,
        source=source,
        actor="test",
        now=NOW,
        create_accounts=account is None,
        account_code=account,
        column_map=column_map,
        zone=zone,
        epoch=epoch,
        rejects=None if rejects is None else rejects.append,
    )


def counts(read: int, *, accepted: int = 0, duplicate: int = 0, rejected: int = 0, opened: int = 0) -> ImportCounts:
    return ImportCounts(read=read, accepted=accepted, duplicate=duplicate, rejected=rejected, open=opened)


def quantities(database: Database, meter_code: str) -> list[int]:
    with database.reading("jobs") as session:
        return list(session.scalars(select(UsageRecord.quantity_base).where(UsageRecord.meter_code == meter_code)))


@large
def test_6203_scheduled_gpu_pods_are_51470_gpu_hours_by_share(database: Database, lab: str, data_dir: Path) -> None:
    pods = data_dir / "gpu" / "openb_pod_list_default.csv"
    told = run(database, pods, "csv", PODS, epoch=EPOCH)
    assert told.accepted == 6_203
    assert told.rejected == told.duplicate == 0
    assert sum(quantities(database, "gpu_hour")) == 185_294_426_970 * GPU_SECOND // 1_000  # 51470.674158 GPU-hours
    again = run(database, pods, "csv", PODS, epoch=EPOCH)
    assert (again.accepted, again.duplicate, again.open) == (0, 6_203, told.open)


@large
@pytest.mark.parametrize(
    ("name", "lines", "tokens_in", "tokens_out"),
    [
        ("code", 8_819, 18_059_974, 245_896),
        pytest.param("conv", 19_366, 22_361_870, 4_088_665, marks=pytest.mark.merge_medium),
    ],
)
def test_the_token_traces_add_up_with_crlf_seven_digits_and_no_last_line_end(
    database: Database, lab: str, data_dir: Path, name: str, lines: int, tokens_in: int, tokens_out: int
) -> None:
    trace = data_dir / "tokens" / f"AzureLLMInferenceTrace_{name}.csv"
    assert run(database, trace, "csv", TOKENS) == counts(lines, accepted=lines)
    assert (sum(quantities(database, "token_input")), sum(quantities(database, "token_output"))) == (
        tokens_in,
        tokens_out,
    )


def test_storage_snapshots_meet_the_oracle_to_the_byte(database: Database, data_dir: Path) -> None:
    files = sorted((data_dir / "storage" / "recex").glob("*.json"))
    for path in files:
        assert run(database, path, "storage-json", account=None) == counts(10, accepted=10)
    assert run(database, files[0], "storage-json", account=None) == counts(10, duplicate=10)
    with database.reading("jobs") as session:
        rows = session.execute(
            select(UsageRecord.start_at, UsageRecord.end_at, UsageRecord.quantity_base).where(
                UsageRecord.meter_code == "gib_hour"
            )
        ).all()
    by_day: dict[str, int] = {}
    for start_at, end_at, quantity_base in rows:
        assert end_at - start_at == timedelta(days=1)
        by_day[f"{start_at:%Y-%m-%d}"] = by_day.get(f"{start_at:%Y-%m-%d}", 0) + quantity_base
    oracle = (data_dir / "storage" / "expected" / "recex.avg_logical_usage.Day.csv").read_text()
    expected = {day: int(size) * 86_400 for day, size in list(csv.reader(oracle.splitlines()))[1:]}
    assert expected
    assert {day: by_day[day] for day in expected} == expected
    assert len(by_day) == 11


@large
def test_requests_of_4247_groups_are_known_by_their_rows(database: Database, lab: str, data_dir: Path) -> None:
    trace = data_dir / "gpu" / "lora_request_trace.csv"
    expected = counts(26_823, accepted=26_771, duplicate=19, opened=33)
    assert run(database, trace, "csv", REQUESTS) == expected
    assert sum(quantities(database, "gpu_hour")) == 768_554 * GPU_SECOND
    with database.reading("jobs") as session:
        assert (
            session.scalar(select(func.count()).select_from(Project)) == 4_244
        )  # three groups only have open requests


@pytest.mark.merge_medium
@pytest.mark.parametrize("engine", databases.ENGINES, indirect=True)
def test_requests_of_4247_tenants_open_an_account_each(database: Database, data_dir: Path) -> None:
    trace = data_dir / "gpu" / "lora_request_trace.csv"
    assert run(database, trace, "csv", REQUESTS, account=None) == counts(
        26_823, accepted=26_771, duplicate=19, opened=33
    )
    assert sum(quantities(database, "gpu_hour")) == 768_554 * GPU_SECOND
    with database.reading("jobs") as session:
        tenants = select(func.count()).select_from(BillingAccount).where(BillingAccount.kind == "tenant")
        assert session.scalar(tenants) == 4_247


def line(event_id: str, subject: str | None = "calla", **changes: object) -> dict[str, object]:
    told = {
        "specversion": "1.0", "id": event_id, "source": "gw", "type": "billing.tokens.metered", "subject": subject,
        "time": "2026-11-20T10:00:00Z", "data": {"model": "llama", "input_tokens": 7, "output_tokens": 3},
    }  # fmt: skip
    return {name: value for name, value in (told | changes).items() if value is not None}


def lines(events: Iterable[object]) -> bytes:
    return "\n".join(json.dumps(event) for event in events).encode()


def test_a_file_of_cloudevents_is_read_as_lines_or_as_an_array_and_counts_once(database: Database) -> None:
    events = [line("e1"), line("e2", "brine"), line("e1"), line("e3", type="beer"), line("e4", None), "nonsense"]
    rejects: list[Reject] = []
    first = run(database, lines(events), "cloudevents", account=None, rejects=rejects)
    assert first == counts(6, accepted=2, duplicate=1, rejected=3)
    assert [(reject.line_number, reject.source_id, reject.reason) for reject in rejects] == [
        (4, "e3", "unknown_type"), (5, "e4", "missing_account"), (6, "", "invalid_event"),
    ]  # fmt: skip
    again = run(database, json.dumps(events, indent=1).encode(), "cloudevents", account=None)
    assert again == counts(6, duplicate=3, rejected=3)
    assert sum(quantities(database, "token_input")) == 14


def test_an_event_is_the_same_by_file_and_by_api(database: Database, lab: str) -> None:
    told = line("e1", None)
    with database.transaction() as session:
        event = cloud_events.read_one(json.dumps(told).encode())
        assert intake.take(session, [intake.Sent(event, lab)], now=NOW)[0].status == "accepted"
    assert run(database, lines([told, line("e2", None)]), "cloudevents") == counts(2, accepted=1, duplicate=1)


def test_naive_times_of_events_need_a_declared_zone(database: Database, lab: str) -> None:
    told = lines([line("e1", None, time="2026-07-01T00:30:00")])
    assert run(database, told, "cloudevents") == counts(1, rejected=1)
    assert run(database, told, "cloudevents", zone="Europe/Berlin") == counts(1, accepted=1)
    with database.reading("jobs") as session:
        assert session.scalars(select(UsageRecord.start_at)).first() == datetime(2026, 6, 30, 22, 30, tzinfo=UTC)


def test_records_of_an_earlier_system_are_taken_in_by_what_they_name(database: Database) -> None:
    record = {
        "tenant_id": "calla",
        "service": "storage",
        "usage_type": "gb_hour",
        "quantity": 2.5,
        "timestamp": 1_795_255_200,
    }
    records = [
        record, record, record | {"quantity": "3"}, record | {"id": "use_1", "rate": "0.02"}, record | {"service": "beer"},
        record | {"quantity": -1}, record | {"timestamp": "now"}, record | {"timestamp": -5},
        {"tenant_id": "calla"}, record | {"service": "analytics", "usage_type": "query"},
    ]  # fmt: skip
    rejects: list[Reject] = []
    result = run(database, json.dumps(records).encode(), "legacy-json", account=None, rejects=rejects)
    assert result == counts(10, accepted=3, duplicate=1, rejected=6)
    assert sorted(reject.reason for reject in rejects) == [
        "bad_time", "invalid_record", "missing_attribute", "negative_quantity", "not_whole_units", "unknown_meter",
    ]  # fmt: skip
    assert sum(quantities(database, "gib_hour")) == 8 * 2**30 * 3_600
    assert run(database, json.dumps(records).encode(), "legacy-json", account=None).duplicate == 4


def test_with_an_account_named_a_files_tenants_become_its_projects(database: Database, lab: str) -> None:
    assert run(database, lines([line("e1", "vision"), line("e2", "speech")]), "cloudevents").accepted == 2
    with database.reading("jobs") as session:
        assert sorted(session.scalars(select(Project.code))) == ["speech", "vision"]


def test_open_lines_are_told_again_when_they_have_ended(database: Database, lab: str) -> None:
    header = "name,num_gpu,gpu_milli,scheduled_time,deletion_time\n"
    waiting, ended = header + "p1,1,1000,,\n", header + "p1,1,1000,0,60\n"
    assert run(database, waiting.encode(), "csv", PODS, epoch=EPOCH) == counts(1, opened=1)
    assert run(database, waiting.encode(), "csv", PODS, epoch=EPOCH) == counts(1, opened=1)
    assert run(database, ended.encode(), "csv", PODS, epoch=EPOCH) == counts(1, accepted=1)
    assert run(database, waiting.encode(), "csv", PODS, epoch=EPOCH) == counts(1, duplicate=1)
    assert quantities(database, "gpu_hour") == [60 * GPU_SECOND]


class _Killed(Exception):
    """Stands for the end of the process between two batches."""


def test_an_import_killed_between_batches_is_completed_by_a_repeat(
    database: Database, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "_BATCH_LINES", 10)

    def kill(_counts: ImportCounts) -> None:
        raise _Killed

    content = lines(line(f"e{number}", None) for number in range(25))
    with pytest.raises(_Killed):
        imports.import_file(
            database, io.BytesIO(content), source="cloudevents", actor="test", now=NOW, create_accounts=False,
            account_code="lab", progress=kill,
        )  # fmt: skip
    assert run(database, content, "cloudevents") == counts(25, accepted=15, duplicate=10)
    assert sum(quantities(database, "token_input")) == 25 * 7


@pytest.mark.parametrize(
    ("source", "column_map", "options", "reason"),
    [
        ("csv", None, {}, "map_needed"),
        ("cloudevents", PODS, {}, "map_not_used"),
        ("cloudevents", None, {"epoch": EPOCH}, "epoch_not_used"),
        ("cloudevents", None, {"zone": "+01:00"}, "unknown_zone"),
    ],
)
def test_options_that_do_not_belong_to_a_source_are_refused_before_anything_is_read(
    database: Database, lab: str, source: str, column_map: str | None, options: dict[str, object], reason: str
) -> None:
    with pytest.raises(Invalid) as refused:
        run(database, b"", source, column_map, **options)  # type: ignore[arg-type]
    assert refused.value.fields["reason"] == reason
