"""Corrected usage, counters and events of several meters: additive, on the same item and window, never below zero."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.catalog import onboarding
from billing.kernel import periods
from billing.metering import ingest, records
from billing.metering.ingest import EventResult
from billing.metering.sources.port import EventFacts
from billing.metering.tables import CounterReading, UsageRecord
from billing.storage.database import Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.fixture
def account_id(database: Database) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code="lab", zone="Europe/Berlin").id


def event(account_id: str, source_id: str, quantity_base: int, **changes: Any) -> EventFacts:
    facts = {
        "source": "api/lab",
        "source_id": source_id,
        "account_id": account_id,
        "meter_code": "token_input",
        "quantity_base": quantity_base,
        "start_at": AT,
        "end_at": AT,
    }
    return EventFacts(**(facts | changes))


def take(database: Database, *events: EventFacts) -> list[EventResult]:
    with database.transaction() as session:
        return ingest.ingest_events(session, events, now=NOW)


def outcomes(results: Sequence[EventResult]) -> list[str]:
    return [result.reason or result.status for result in results]


def stored(database: Database) -> list[UsageRecord]:
    with database.reading() as session:
        found = list(session.scalars(select(UsageRecord).order_by(UsageRecord.usage_seq)))
    assert all(record.record_hash == records.hash_of(record) for record in found)
    return found


def test_a_correction_is_a_record_of_its_own_on_the_item_and_window_of_what_it_corrects(
    database: Database, account_id: str
) -> None:
    first = event(account_id, "e1", 100, variant="llama", project_code="search", member_handle="ana", resource="gw")
    late = event(account_id, "c1", -30, corrects="e1", start_at=NOW, end_at=NOW)
    assert outcomes(take(database, first)) == ["accepted"]
    assert outcomes(take(database, late)) == ["accepted"]
    original, correction = stored(database)
    assert (correction.quantity_base, correction.corrects_id) == (-30, original.id)
    for name in ("meter_code", "variant", "mode", "start_at", "end_at", "project_id", "member_id", "resource"):
        assert getattr(correction, name) == getattr(original, name), name
    assert outcomes(take(database, late)) == ["duplicate"]
    assert outcomes(take(database, late._replace(quantity_base=-31))) == ["other_content"]
    assert len(stored(database)) == 2


def test_what_is_left_of_an_event_is_never_below_zero(database: Database, account_id: str) -> None:
    correct = [
        event(account_id, f"c{number}", delta, corrects="e1") for number, delta in enumerate((-60, -41, 5, -45, -1))
    ]
    assert outcomes(take(database, event(account_id, "e1", 100), *correct)) == [
        "accepted", "accepted", "below_zero", "accepted", "accepted", "below_zero",
    ]  # fmt: skip
    assert sum(record.quantity_base for record in stored(database)) == 0


def test_a_correction_may_come_in_the_batch_of_its_event_even_before_it(database: Database, account_id: str) -> None:
    results = take(database, event(account_id, "c1", 7, corrects="e1"), event(account_id, "e1", 1))
    assert outcomes(results) == ["accepted", "accepted"]
    assert sum(record.quantity_base for record in stored(database)) == 8


def test_what_cannot_be_corrected_is_refused_with_the_reason(database: Database, account_id: str) -> None:
    with database.transaction("jobs") as session:
        other = onboarding.open_account(session, now=NOW, code="art").id
    take(database, event(account_id, "e1", 100, variant="llama"), event(account_id, "c1", -1, corrects="e1"))
    refused = take(
        database,
        event(account_id, "x1", -1, corrects="nobody"),
        event(other, "x2", -1, corrects="e1"),
        event(account_id, "x3", -1, corrects="c1"),
        event(account_id, "x4", -1, corrects="e1", meter_code="query"),
        event(account_id, "x5", -1, corrects="e1", variant="qwen"),
        event(account_id, "x6", -1),
        event(account_id, "x7", -(2**41), corrects="e1"),
    )
    assert outcomes(refused) == [
        "unknown_correction", "unknown_correction", "corrects_a_correction", "corrects_other_meter",
        "corrects_other_item", "negative_quantity", "quantity_too_large",
    ]  # fmt: skip
    assert len(stored(database)) == 2


def test_the_correction_of_a_split_window_falls_on_each_of_its_pieces(database: Database, account_id: str) -> None:
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)  # of Berlin's November
    window = {
        "meter_code": "gib_hour",
        "start_at": midnight - timedelta(hours=1),
        "end_at": midnight + timedelta(hours=3),
    }
    take(
        database,
        event(account_id, "e1", 400, **window),
        event(account_id, "c1", -10, corrects="e1", meter_code="gib_hour"),
    )
    assert [(record.start_at == midnight, record.quantity_base) for record in stored(database)] == [
        (False, 100), (True, 300), (False, -3), (True, -7),
    ]  # fmt: skip
    take(database, event(account_id, "c2", -390, corrects="e1", meter_code="gib_hour"))
    left = dict.fromkeys((False, True), 0)
    for record in stored(database):
        left[record.start_at == midnight] += record.quantity_base
    assert left == {False: 0, True: 0}


def test_an_event_of_two_meters_counts_once_and_is_corrected_in_both(database: Database, account_id: str) -> None:
    both = event(account_id, "e1", 4808, also=(("token_output", 10),), variant="llama")
    assert outcomes(take(database, both, both)) == ["accepted", "duplicate"]
    assert outcomes(take(database, both._replace(also=(("token_output", 11),)))) == ["other_content"]
    change = event(account_id, "c1", -8, also=(("token_output", -10),), corrects="e1")
    assert outcomes(take(database, change)) == ["accepted"]
    assert [(record.meter_code, record.quantity_base) for record in stored(database)] == [
        ("token_input", 4808), ("token_output", 10), ("token_input", -8), ("token_output", -10),
    ]  # fmt: skip
    assert outcomes(take(database, event(account_id, "c2", 5, also=(("token_output", -1),), corrects="e1"))) == [
        "below_zero"
    ]
    assert len(stored(database)) == 4  # nothing of it, not even what could have been


def read_at(account_id: str, source_id: str, minute: int, value: int, **changes: Any) -> EventFacts:
    at = AT + timedelta(minutes=minute)
    facts = {"meter_code": "egress_gib", "series": "eth0", "start_at": at, "end_at": at} | changes
    return event(account_id, source_id, value, **facts)


def test_readings_100_350_and_50_are_300_bytes_told_one_by_one(database: Database, account_id: str) -> None:
    readings = [read_at(account_id, f"r{n}", n, value) for n, value in enumerate((100, 350, 50))]
    for one in readings:
        assert outcomes(take(database, one)) == ["accepted"]
        assert outcomes(take(database, one)) == ["duplicate"]
    assert [(record.start_at, record.end_at, record.quantity_base) for record in stored(database)] == [
        (AT, AT + timedelta(minutes=1), 250),
        (AT + timedelta(minutes=1), AT + timedelta(minutes=2), 50),
    ]


def test_readings_out_of_order_and_over_batches_add_up_to_the_same(database: Database, account_id: str) -> None:
    values = (100, 350, 50, 75, 60, 60, 500)
    readings = [read_at(account_id, f"r{n}", n, value) for n, value in enumerate(values)]
    take(database, *(readings[n] for n in (6, 2)))
    take(database, *(readings[n] for n in (0, 5, 1)))
    take(database, *(readings[n] for n in (4, 3)))
    # 250 + 50 (anew) + 25 + 60 (anew) + 0 + 440
    assert sum(record.quantity_base for record in stored(database)) == 825
    assert all(record.quantity_base >= 0 for record in stored(database))
    with database.reading() as session:
        assert len(session.scalars(select(CounterReading)).all()) == 7


def test_readings_that_contradict_each_other_are_refused(database: Database, account_id: str) -> None:
    take(database, read_at(account_id, "r1", 0, 100))
    results = take(
        database,
        read_at(account_id, "r1", 0, 101),
        read_at(account_id, "r2", 0, 101),
        read_at(account_id, "r3", 0, 100),
        read_at(account_id, "r4", 1, -1),
        read_at(account_id, "r5", 1, 200, corrects="r1"),
        read_at(account_id, "r6", 1, 200, series="eth1"),
    )
    assert outcomes(results) == [
        "other_content", "other_reading", "duplicate", "negative_quantity", "bad_reading", "accepted",
    ]  # fmt: skip
    assert stored(database) == []


@pytest.mark.parametrize(("label", "hours"), [("2026-03", 743), ("2026-10", 745)])
def test_berlins_months_of_743_and_745_hours_are_billed_whole(
    database: Database, account_id: str, label: str, hours: int
) -> None:
    month = periods.month(label, "Europe/Berlin")
    window = {"meter_code": "cpu_hour", "start_at": month.start_at, "end_at": month.end_at}
    take(database, event(account_id, "e1", hours * 3_600_000, **window))
    (record,) = stored(database)
    assert (record.end_at - record.start_at, record.quantity_base) == (timedelta(hours=hours), hours * 3_600_000)
