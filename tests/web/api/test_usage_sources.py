"""Usage of every kind by the API: event types, corrections, the inbox, the older report, stopped allocations."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from billing.kernel.clock import to_rfc3339
from billing.metering import inbox
from billing.metering.tables import Allocation, UsageRecord
from billing.storage.database import Database
from tests.web import operators
from tests.web.api.machines import Machine, problem
from tests.web.api.machines import machine as machine_of
from tests.web.operators import NOW, House

INGEST, ALLOCATIONS, SUMMARY = "/billing/usage:ingest", "/metering/allocations", "/billing/usage/summary"
HOUR = {"start": "2026-11-20T10:00:00Z", "end": "2026-11-20T11:00:00Z"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def machine(app: Flask, database: Database) -> Machine:
    House(app, database).account("calla")
    return machine_of(app, database, "calla")


def event(event_id: str, kind: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0", "id": event_id, "source": "gateway/eu", "type": kind, "time": "2026-11-20T10:00:00Z",
        "data": data,
    }  # fmt: skip


def used(database: Database) -> list[tuple[str, str, str, int]]:
    """(meter, variant, mode, base units) of what is stored."""
    with database.reading() as session:
        rows = session.execute(
            select(UsageRecord.meter_code, UsageRecord.variant, UsageRecord.mode, UsageRecord.quantity_base).order_by(
                UsageRecord.usage_seq
            )
        )
        return [(row[0], row[1], row[2], row[3]) for row in rows]


def results(machine: Machine, *events: Any) -> list[str]:
    answer = machine.post(INGEST, list(events))
    assert answer.status_code == 200
    assert answer.json["accepted"] + answer.json["duplicate"] + answer.json["rejected"] == len(events)
    return [one["reason"] or one["status"] for one in answer.json["results"]]


def test_events_of_all_types_come_in_one_batch(machine: Machine, database: Database) -> None:
    sent = [
        event("e1", "billing.usage.metered", meter="query", quantity="12"),
        event("e2", "billing.gpu.metered", gpus="1/7", model="H100", mode="spot", **HOUR),
        event("e3", "billing.tokens.metered", model="llama-3.1-70b", input_tokens=4808, output_tokens=10),
        event("e4", "billing.storage.snapshot", bytes=10),
        event("e5", "billing.egress.metered", bytes=2**30),
        event("e6", "billing.runtime.metered", app_instance="shop-1", cpu_cores=1, memory_gib=0, **HOUR),
        event("e7", "billing.usage.metered", route="api/chat", route_kind="api_bearer", requests=5, bytes=7),
        event("e8", "billing.beer.metered", litres=1),
        event("e9", "billing.tokens.metered", model="m", input_tokens=1),
    ]
    expected = ["accepted"] * 7 + ["unknown_type", "missing_attribute"]
    assert results(machine, *sent) == expected
    assert used(database) == [
        ("query", "", "on_demand", 12),
        ("gpu_hour", "h100", "spot", 3_000 * 3_600_000),
        ("token_input", "llama-3.1-70b", "on_demand", 4808),
        ("token_output", "llama-3.1-70b", "on_demand", 10),
        ("gib_hour", "", "on_demand", 864_000),
        ("egress_gib", "", "on_demand", 2**30),
        ("app_instance_hour", "", "on_demand", 3_600_000),
        ("cpu_hour", "", "on_demand", 3_600_000),
    ]
    with database.transaction("jobs") as session:
        assert inbox.consume(session, now=NOW) == 1
    assert used(database)[8:] == [("ingress_request", "", "on_demand", 5), ("ingress_gib", "", "on_demand", 7)]
    assert results(machine, *sent) == ["duplicate"] * 7 + expected[7:]


def test_a_correction_and_readings_are_events_like_others(machine: Machine, database: Database) -> None:
    sent = [
        event("e1", "billing.usage.metered", meter="query", quantity=12),
        event("c1", "billing.usage.metered", meter="query", quantity=-5, corrects="e1"),
        event("c2", "billing.usage.metered", meter="query", quantity=-8, corrects="e1"),
        event("e2", "billing.usage.metered", meter="query", quantity=-8),
    ]
    assert results(machine, *sent) == ["accepted", "accepted", "below_zero", "negative_quantity"]
    readings = [
        event(f"r{minute}", "billing.egress.metered", counter="eth0", reading_bytes=value)
        | {"time": f"2026-11-20T10:0{minute}:00Z"}
        for minute, value in enumerate((100, 350, 50))
    ]
    assert results(machine, *reversed(readings)) == ["accepted"] * 3
    quantities = [quantity for meter, _, _, quantity in used(database) if meter == "egress_gib"]
    assert sum(quantities) == 300


def test_a_report_in_the_words_of_the_older_service_is_recorded(machine: Machine, database: Database) -> None:
    body = {
        "tenant_id": "calla",
        "service": "storage",
        "usage_type": "gb_hour",
        "quantity": 2.5,
        "timestamp": 1_763_600_400,
    }
    for path in ("/usage/report", "/api/v1/usage/report"):
        answer = machine.client.post(path, json=body, headers=machine.headers)
        assert answer.status_code == 200, answer.json
        assert answer.json | {"id": ""} == {
            "id": "", "status": "recorded", "tenant_id": "calla", "quantity": 2.5, "message": "Usage recorded successfully",
        }  # fmt: skip
    assert used(database) == [("gib_hour", "", "on_demand", 5 * 2**29 * 3_600)] * 2
    for change, expected in (
        ({"tenant_id": "taifl"}, (404, "not_found")),
        ({"service": "beer"}, (422, "invalid")),
        ({"quantity": -1}, (422, "invalid")),
        ({"quantity": "1e9"}, (422, "invalid_body")),
        ({"timestamp": -1}, (422, "invalid")),
        ({"timestamp": "2026"}, (422, "invalid_body")),
        ({"service": "analytics", "usage_type": "query"}, (422, "invalid")),
    ):
        answer = machine.client.post("/usage/report", json=body | change, headers=machine.headers)
        assert problem(answer)[:2] == expected, answer.json
    assert machine.client.post("/usage/report", json=body).status_code == 401
    assert len(used(database)) == 2


def test_the_earlier_address_of_ingest_still_answers(machine: Machine, database: Database) -> None:
    sent = event("e1", "billing.usage.metered", meter="query", quantity=1)
    answer = machine.client.post("/api/billing/usage:ingest", json=sent, headers=machine.headers)
    assert (answer.status_code, answer.json["accepted"]) == (200, 1)
    assert len(used(database)) == 1


def step(kind: str, minutes: int, **more: Any) -> dict[str, Any]:
    at = NOW.replace(hour=10) + timedelta(minutes=minutes)
    return {"type": kind, "event_id": f"{kind}-{minutes}", "allocation_id": "vm-1", "time": to_rfc3339(at), **more}


def test_a_stopped_allocation_is_billed_for_its_storage_alone(machine: Machine, database: Database) -> None:
    shape = {"gpus": 2, "cpu_cores": 4, "storage_gib": 100}
    first = step(
        "provisioning.active", 0, resource="h100x2", shape=shape, variant="H100", mode="spot", tags={"team": "vision"}
    )
    assert machine.post(ALLOCATIONS, first).status_code == 201
    assert machine.post(ALLOCATIONS, step("stopped", 30)).json["status"] == "stopped"
    assert problem(machine.post(ALLOCATIONS, step("stopped", 40)))[:2] == (409, "conflict")
    assert problem(machine.post(ALLOCATIONS, step("reconfigured", 41, shape={"gpus": 1})))[:2] == (409, "conflict")
    assert machine.post(ALLOCATIONS, step("started", 50)).json["status"] == "started"
    assert problem(machine.post(ALLOCATIONS, step("started", 55)))[:2] == (409, "conflict")
    assert machine.post(ALLOCATIONS, step("released", 60)).json["status"] == "released"
    totals: dict[tuple[str, str, str], int] = {}
    for meter, variant, mode, quantity in used(database):
        totals[meter, variant, mode] = totals.get((meter, variant, mode), 0) + quantity
    minute_ms = 60_000
    assert totals == {
        ("gpu_hour", "h100", "spot"): 2 * 21_000 * 40 * minute_ms,
        ("cpu_hour", "", "spot"): 4 * 40 * minute_ms,
        ("gib_hour", "", "on_demand"): 100 * 2**30 * 3_600,  # the whole hour
    }
    with database.reading() as session:
        assert session.scalars(select(Allocation.tags)).one() == {"team": "vision"}
        assert {tuple(tags.items()) for tags in session.scalars(select(UsageRecord.tags))} == {(("team", "vision"),)}
