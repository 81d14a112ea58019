"""Sums and counts by bucket: exact, clipped to the range, in the zone asked for."""

import io
from datetime import UTC, datetime
from fractions import Fraction

import pytest

from billing.accounts import directory
from billing.catalog import onboarding
from billing.kernel.errors import Invalid
from billing.metering import imports, summaries
from billing.storage.database import Database
from tests.slurm_logs import job_line

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def filled(database: Database) -> Database:
    """Berlin: 1 core over 28 to 30 March 2026, where a day has 23 hours. Utc: 3 cores for a second over midnight, one open job."""
    with database.transaction("jobs") as session:
        onboarding.open_account(session, now=NOW, code="berlin", zone="Europe/Berlin")
        onboarding.open_account(session, now=NOW, code="utc")
    lines = [
        job_line(
            id="1",
            account="berlin",
            ncpus="1",
            alloctres="cpu=1",
            start="2026-03-28T00:00:00",
            end="2026-03-31T00:00:00",
        ),
        job_line(
            id="2", account="utc", ncpus="3", alloctres="cpu=3", start="2026-03-29T23:59:59", end="2026-03-30T00:00:00"
        ),
        job_line(
            id="3",
            account="utc",
            ncpus="1",
            alloctres="cpu=1",
            start="2026-03-30T12:00:00",
            end="Unknown",
            state="RUNNING",
        ),
        job_line(
            id="4",
            account="utc",
            ncpus="1",
            nodelist="None assigned",
            start="2026-03-30T12:00:00",
            end="2026-03-30T12:00:00",
        ),
    ]
    content = "\n".join(lines).encode()
    imports.import_file(
        database, io.BytesIO(content), source="slurm-sacct", actor="test", now=NOW, create_accounts=False
    )
    return database


def sums(database: Database, **asked: object) -> dict[tuple[str, str | None], Fraction]:
    with database.reading("jobs") as session:
        if "account" in asked:
            asked["account_id"] = directory.get_account_by_code(session, str(asked.pop("account"))).id
        rows = summaries.summarize(session, **asked)  # type: ignore[arg-type]
    return {(row.period, row.account): row.quantity for row in rows}


def test_days_of_an_accounts_own_zone_have_the_hours_they_have(filled: Database) -> None:
    assert sums(filled, by="day", meter_code="cpu_hour", account="berlin", zone="account") == {
        ("2026-03-28", None): 23,
        ("2026-03-29", None): 23,  # the clocks go forward
        ("2026-03-30", None): 24,
        ("2026-03-31", None): 2,
    }


def test_each_account_is_summed_in_its_own_zone(filled: Database) -> None:
    found = sums(filled, by="day", meter_code="cpu_hour", zone="account", per_account=True)
    assert found["2026-03-28", "berlin"] == 23
    assert found["2026-03-29", "utc"] == Fraction(3, 3600)
    assert ("2026-03-30", "utc") not in found


def test_totals_have_every_bucket_of_the_range_and_clip_windows_to_it(filled: Database) -> None:
    asked = {"by": "day", "meter_code": "cpu_hour", "from_at": at("2026-03-27T00:00"), "to_at": at("2026-03-28T01:30")}
    assert sums(filled, **asked) == {("2026-03-27", None): 0, ("2026-03-28", None): Fraction(3, 2)}


def test_hours_are_named_in_utc(filled: Database) -> None:
    asked = {"by": "hour", "meter_code": "cpu_hour", "from_at": at("2026-03-29T23:00"), "to_at": at("2026-03-30T01:00")}
    assert sums(filled, **asked, zone="Europe/Berlin") == {
        ("2026-03-29T23:00Z", None): 1 + Fraction(3, 3600),
        ("2026-03-30T00:00Z", None): 1,
    }


def test_an_open_job_runs_until_now_and_one_without_a_node_counts_nowhere(filled: Database) -> None:
    asked = {"by": "day", "account": "utc", "from_at": at("2026-03-29T00:00"), "to_at": at("2026-04-02T00:00")}
    assert list(sums(filled, count="started", **asked).values()) == [1, 1, 0, 0]
    assert list(sums(filled, count="ended", **asked).values()) == [0, 1, 0, 0]
    assert list(sums(filled, count="running", **asked).values()) == [1, 1, 1, 1]
    by_month = sums(filled, by="month", count="running", account="utc", now=NOW)
    assert [period for period, _ in by_month] == [f"2026-{month:02d}" for month in range(3, 12)]
    assert by_month.pop(("2026-03", None)) == 2
    assert set(by_month.values()) == {1}


def test_no_usage_has_no_rows_unless_a_range_is_given(database: Database) -> None:
    assert sums(database, by="day", meter_code="cpu_hour") == {}
    asked = {"from_at": at("2026-01-01T00:00"), "to_at": at("2026-01-03T00:00")}
    assert sums(database, by="day", meter_code="cpu_hour", **asked) == {
        ("2026-01-01", None): 0,
        ("2026-01-02", None): 0,
    }


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"meter_code": "beer"}, "unknown_meter"),
        ({"zone": "+01:00"}, "unknown_zone"),
        ({"from_at": at("2026-01-02T00:00"), "to_at": at("2026-01-01T00:00")}, "end_before_start"),
        ({"by": "hour", "from_at": at("1970-01-01T00:00"), "to_at": at("2026-01-01T00:00")}, "too_many_buckets"),
        ({"from_at": datetime(2026, 1, 1), "to_at": at("2026-01-02T00:00")}, "naive_time"),  # noqa: DTZ001
    ],
)
def test_what_cannot_be_summed_is_refused(filled: Database, asked: dict[str, object], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        sums(filled, **({"by": "day", "meter_code": "cpu_hour"} | asked))
    assert refused.value.fields["reason"] == reason
