"""Telling usage by API: the life of an allocation, and CloudEvents with a result each."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from billing.kernel.clock import to_rfc3339
from billing.metering.tables import UsageRecord
from billing.storage.database import Database
from tests.web import operators
from tests.web.api.machines import Machine, problem
from tests.web.api.machines import machine as machine_of
from tests.web.operators import NOW, House

ALLOCATIONS, INGEST, SUMMARY = "/metering/allocations", "/billing/usage:ingest", "/billing/usage/summary"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def machine(app: Flask, database: Database) -> Machine:
    House(app, database).account("calla")
    return machine_of(app, database, "calla")


def step(kind: str, event_id: str, minutes: int, **more: Any) -> dict[str, Any]:
    """One step, `minutes` after 10:00."""
    at = NOW.replace(hour=10) + timedelta(minutes=minutes)
    return {"type": kind, "event_id": event_id, "allocation_id": "alloc-1", "time": to_rfc3339(at), **more}


def opened(**more: Any) -> dict[str, Any]:
    shape = {"gpus": "4", "cpu_cores": 32, "memory_gib": 256}
    facts = {"resource": "h100", "name": "train", "shape": shape, "project": "vision", "submitter": "ada"}
    return step("provisioning.active", "e1", 0, **(facts | more))


def event(event_id: str, quantity: object = 1, **data: Any) -> dict[str, Any]:
    """A CloudEvent of one query at 10:00."""
    facts = {"meter": "query", "quantity": quantity, **data}
    return {
        "specversion": "1.0", "id": event_id, "source": "gateway/eu", "type": "billing.usage.metered",
        "time": "2026-11-21T10:00:00Z", "data": facts,
    }  # fmt: skip


def records(database: Database) -> list[tuple[str, str, int]]:
    """(meter, source id, base units) of what is stored."""
    with database.reading() as session:
        rows = session.execute(
            select(UsageRecord.meter_code, UsageRecord.source_id, UsageRecord.quantity_base).order_by(UsageRecord.id)
        )
        return [(row[0], row[1], row[2]) for row in rows]


def test_four_gpus_for_thirty_minutes_then_one_for_twenty_are_seven_thirds(machine: Machine) -> None:
    first = machine.post(ALLOCATIONS, opened())
    assert first.status_code == 201
    assert (first.json["status"], first.json["account"], first.json["allocation_id"]) == ("opened", "calla", "alloc-1")
    assert machine.post(ALLOCATIONS, step("reconfigured", "e2", 30, shape={"gpus": 1})).status_code == 201
    last = machine.post(ALLOCATIONS, step("released", "e3", 50))
    assert (last.status_code, last.json["status"]) == (201, "released")
    summary = machine.get(SUMMARY, by="day", meter="gpu_hour")
    # 4 x 30 min + 1 x 20 min = 140 GPU-minutes
    assert summary.json["rows"] == [
        {"period": "2026-11-21", "meter": "gpu_hour", "group": None, "unit": "GPU-hour", "quantity": "2.333333333333"}
    ]
    # 32 cores and 256 GiB for half an hour
    assert machine.get(SUMMARY, by="day", meter="cpu_hour").json["rows"][0]["quantity"] == "16.000000"
    assert machine.get(SUMMARY, by="day", meter="memory_gib_hour").json["rows"][0]["quantity"] == "128.000000"


def test_usage_is_listed_and_summed_by_what_it_was_used_for(machine: Machine) -> None:
    assert machine.post(INGEST, event("e1", 3, project="vision", tags={"team": "a"})).status_code == 200
    assert machine.post(INGEST, event("e2", 4, tags={"team": "b"})).status_code == 200
    assert machine.post(INGEST, event("e3", 5, resource="shop-1")).status_code == 200
    page = machine.get("/billing/usage", limit=2).json
    assert [(row["source_id"], row["quantity"], row["mode"]) for row in page["data"]] == [
        ("e1", "3", "on_demand"),
        ("e2", "4", "on_demand"),
    ]
    rest = machine.get("/billing/usage", limit=2, cursor=page["next_cursor"]).json
    assert [row["source_id"] for row in rest["data"]] == ["e3"]
    for narrowed, found in (
        ({"project": "vision"}, ["e1"]),
        ({"app_instance": "shop-1"}, ["e3"]),
        ({"mode": "spot"}, []),
        ({"variant": "h100"}, []),
        ({"route": "api/v1"}, []),
        ({"allocation_id": "none"}, []),
    ):
        assert [row["source_id"] for row in machine.get("/billing/usage", **narrowed).json["data"]] == found, narrowed
    assert machine.get("/billing/usage", mode="idle").status_code == 422
    for group, sums in (
        ("project", {"vision": "3.000000", "": "9.000000"}),
        ("tag:team", {"a": "3.000000", "b": "4.000000", "": "5.000000"}),
        ("service", {"analytics": "12.000000"}),
        ("item", {"analytics/query": "12.000000"}),
        ("resource", {"shop-1": "5.000000", "": "7.000000"}),
    ):
        rows = machine.get(SUMMARY, by="day", group_by=group).json["rows"]
        assert {row["group"]: row["quantity"] for row in rows} == sums, group
    assert machine.get(SUMMARY, group_by="colour").status_code == 422
    file = machine.get("/billing/usage/csv", project="vision")
    assert (file.status_code, len(file.get_data(as_text=True).strip().splitlines())) == (200, 2)


def test_a_step_told_again_is_a_duplicate_and_changes_nothing(machine: Machine, database: Database) -> None:
    machine.post(ALLOCATIONS, opened())
    machine.post(ALLOCATIONS, step("released", "e3", 60))
    before = records(database)
    for body in (opened(), step("released", "e3", 60), step("released", "e4", 60)):
        again = machine.post(ALLOCATIONS, body)
        assert (again.status_code, again.json["status"], again.json["usage_records"]) == (200, "duplicate", 0)
    assert records(database) == before
    assert len(before) == 3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (opened(resource="a100"), (409, "other_content")),
        (step("released", "e9", 30, allocation_id="nobody"), (404, "not_found")),
        (step("released", "e9", -30), (409, "out_of_order")),
        (step("released", "e9", 600), (422, "invalid")),
        (step("reconfigured", "e9", 30, shape={"gpus": "0"}), (422, "invalid")),
        (step("reconfigured", "e9", 30, shape={"gpus": "1/13"}), (422, "invalid")),
        (step("reconfigured", "e9", 30, shape={"gpus": "-1"}), (422, "invalid")),
        (step("reconfigured", "e9", 30, shape={"gpus": "1e3"}), (422, "invalid")),
        (step("reconfigured", "e9", 30, shape={"cpu_cores": 1.5}), (422, "invalid_body")),
        (step("reconfigured", "e9", 30, shape={"cpu_cores": -1}), (422, "invalid_body")),
        (step("reconfigured", "e9", 30, shape={"memory_gib": "0.0000000001"}), (422, "invalid")),
        (step("reconfigured", "e9", 30), (422, "invalid_body")),
        (step("exploded", "e9", 30), (422, "invalid_body")),
        ({**step("released", "e9", 30), "time": "2026-11-21T10:30:00"}, (422, "invalid_body")),
        ({**step("released", "e9", 30), "time": "yesterday"}, (422, "invalid_body")),
        ({**step("released", "e9", 30), "time": 1_700_000_000}, (422, "invalid_body")),
        ({**step("released", "e9", 30), "allocation_id": "x\x00y"}, (422, "invalid_body")),
        ({**opened(), "event_id": "x\x01", "allocation_id": "other"}, (422, "invalid")),
        ({**opened(), "name": "\u202eevil", "allocation_id": "other", "event_id": "e9"}, (201, "")),
    ],
)  # fmt: skip
def test_a_step_that_cannot_be_is_refused_and_nothing_changes(
    machine: Machine, database: Database, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    machine.post(ALLOCATIONS, opened())
    answer = machine.post(ALLOCATIONS, body)
    if expected[0] == 201:
        assert answer.status_code in (201, 422)  # text is either kept as it is or refused, never a failure
        return
    assert problem(answer)[:2] == expected, answer.json
    assert records(database) == []


@pytest.mark.parametrize("kind", ["released", "release_failed"])
def test_after_its_end_an_allocation_neither_changes_nor_ends_again(machine: Machine, kind: str) -> None:
    machine.post(ALLOCATIONS, opened())
    assert machine.post(ALLOCATIONS, step(kind, "e2", 30)).json["status"] == kind
    for body in (step("reconfigured", "e3", 40, shape={"gpus": 1}), step("released", "e4", 45)):
        assert problem(machine.post(ALLOCATIONS, body))[:2] == (409, "already_released")


def test_the_event_id_may_be_called_id_and_shares_are_exact(machine: Machine, database: Database) -> None:
    body = opened(shape={"gpus": "1/7"})
    body["id"] = body.pop("event_id")
    assert machine.post(ALLOCATIONS, body).status_code == 201
    machine.post(ALLOCATIONS, step("released", "e2", 60))
    # a seventh of 21,000 shares for an hour
    assert records(database)[0][2] == 3000 * 3_600_000


def test_every_event_has_its_own_result_in_its_place(machine: Machine, database: Database) -> None:
    foreign = {**event("e5"), "subject": "taifl"}
    sent = [
        event("e1"), event("e2", "12"), event("e1"), event("e1", 2), foreign, event("e6", meter="beer"),
        event("e7", -1), event("e8", "1.5"), event("e9", unit="litre"), {**event("e10"), "specversion": "0.3"},
        "nonsense", {**event("e11"), "time": "2026-11-21T10:00:00"}, event("e12", 10**30), event("e13", project="x\x00"),
        event("e14\x00"), {**event("e15"), "source": "x\x00"},
    ]  # fmt: skip
    answer = machine.post(INGEST, sent, **{"Content-Type": "application/cloudevents-batch+json"})
    assert answer.status_code == 200
    results = [(one["index"], one["id"], one["status"], one["reason"]) for one in answer.json["results"]]
    assert results == [
        (0, "e1", "accepted", None),
        (1, "e2", "accepted", None),
        (2, "e1", "duplicate", None),
        (3, "e1", "rejected", "other_content"),
        (4, "e5", "rejected", "unknown_account"),
        (5, "e6", "rejected", "unknown_meter"),
        (6, "e7", "rejected", "negative_quantity"),
        (7, "e8", "rejected", "not_whole_units"),
        (8, "e9", "rejected", "unknown_unit"),
        (9, "e10", "rejected", "invalid_event"),
        (10, None, "rejected", "invalid_event"),
        (11, "e11", "rejected", "naive_time"),
        (12, "e12", "rejected", "quantity_too_large"),
        (13, "e13", "rejected", "control_character"),
        (14, "e14\x00", "rejected", "control_character"),
        (15, "e15", "rejected", "control_character"),
    ]
    assert (answer.json["accepted"], answer.json["duplicate"], answer.json["rejected"]) == (2, 1, 13)
    assert records(database) == [("query", "e1", 1), ("query", "e2", 12)]


def test_a_single_event_is_told_by_its_status(machine: Machine) -> None:
    assert machine.post(INGEST, event("e1")).status_code == 200
    assert machine.post(INGEST, event("e1")).json["results"][0]["status"] == "duplicate"
    refused = machine.post(INGEST, event("e2", meter="beer"))
    assert (refused.status_code, refused.json["results"][0]["reason"]) == (422, "unknown_meter")


def test_a_number_with_a_point_is_exact_as_it_was_written(machine: Machine, database: Database) -> None:
    body = b"""{"specversion": "1.0", "id": "e1", "source": "s", "type": "billing.usage.metered", "data":
      {"meter": "cpu_hour", "quantity": 0.1, "start": "2026-11-21T09:00:00Z", "end": "2026-11-21T10:00:00Z"}}"""
    assert machine.post(INGEST, body).status_code == 200
    assert records(database) == [("cpu_hour", "e1", 360_000)]


def test_two_tenants_may_use_the_same_ids(app: Flask, database: Database, machine: Machine) -> None:
    House(app, database).account("taifl")
    other = machine_of(app, database, "taifl")
    assert machine.post(INGEST, event("e1", 1)).json["accepted"] == 1
    assert other.post(INGEST, event("e1", 5)).json["accepted"] == 1


def test_more_than_a_thousand_events_and_none_are_refused_whole(machine: Machine, database: Database) -> None:
    assert problem(machine.post(INGEST, [])) == (422, "invalid", "wrong_number_of_events")
    many = [event(f"e{number}") for number in range(1001)]
    assert problem(machine.post(INGEST, many)) == (422, "invalid", "wrong_number_of_events")
    assert records(database) == []
    assert machine.post(INGEST, many[:1000]).json["accepted"] == 1000
    assert machine.post(INGEST, many[:1000]).json["duplicate"] == 1000


def test_hostile_texts_are_kept_or_refused_but_never_fail(machine: Machine, data_dir: Any) -> None:
    import json

    texts = json.loads((data_dir / "bad-input" / "blns.json").read_text())
    sent = [
        event(f"e{number}", project=text or None, submitter=text or None, tags={"t": text})
        for number, text in enumerate(texts)
    ]
    answer = machine.post(INGEST, sent)
    assert answer.status_code == 200
    assert len(answer.json["results"]) == len(texts)
    assert answer.json["accepted"] > len(texts) // 2


def test_buckets_are_taken_in_the_accounts_zone_unless_another_is_asked_for(app: Flask, database: Database) -> None:
    operators.world.open_account(database, "berlin", zone="Europe/Berlin")
    machine = machine_of(app, database, "berlin")
    late = {**event("e1"), "time": "2026-10-31T23:30:00Z"}  # already November in Berlin
    machine.post(INGEST, late)
    own, utc = machine.get(SUMMARY, by="month"), machine.get(SUMMARY, by="month", zone="UTC")
    assert [row["period"] for row in own.json["rows"] if row["quantity"] != "0.000000"] == ["2026-11"]
    assert [row["period"] for row in utc.json["rows"] if row["quantity"] != "0.000000"] == ["2026-10"]
