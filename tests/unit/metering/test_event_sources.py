"""What each source makes of one event, and why it refuses one. Expected quantities are written by hand."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from billing.catalog.meters import METERS
from billing.metering.sources import cloud_events, port
from billing.metering.sources.port import EventFacts, Refused
from billing.metering.sources.registry import BY_TYPE, EVENT_SOURCES

DAY = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = {"start": "2026-11-20T10:00:00Z", "end": "2026-11-20T11:00:00Z"}
HOUR_MS = 3_600_000


def event(kind: str, data: dict[str, Any], **changes: Any) -> bytes:
    envelope = {"specversion": "1.0", "id": "e1", "source": "s", "type": kind, "time": "2026-11-20T10:30:00Z"}
    return json.dumps(envelope | {"data": data} | changes).encode()


def facts(kind: str, data: dict[str, Any], **changes: Any) -> EventFacts:
    read = cloud_events.read_one(event(kind, data, **changes))
    return cloud_events.facts_of(read, account_id="bac_1", source="api/bac_1/s")[1]


def amounts(kind: str, data: dict[str, Any]) -> dict[str, int]:
    found = facts(kind, data)
    return dict(((found.meter_code, found.quantity_base), *found.also))


def reason(kind: str, data: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(Refused) as refused:
        facts(kind, data, **changes)
    assert refused.value.detail
    return refused.value.reason


def test_every_source_is_declared_alike() -> None:
    assert len({source.name for source in EVENT_SOURCES}) == len(EVENT_SOURCES) == 7
    for source in EVENT_SOURCES:
        assert set(source.meters) <= METERS.keys()
        assert source.event_types
        assert "tags" not in port.required(source)
    required = {source.name: set(port.required(source)) for source in EVENT_SOURCES}
    assert required == {
        "counted": {"meter", "quantity"},
        "gpu-allocations": {"gpus", "model"},
        "tokens": {"model", "input_tokens", "output_tokens"},
        "storage-snapshots": {"bytes"},
        "network-egress": set(),
        "managed-ingress": {"route", "route_kind", "requests", "bytes"},
        "app-runtime": {"app_instance", "cpu_cores", "memory_gib"},
    }
    assert set(BY_TYPE) == {name for source in EVENT_SOURCES for name in source.event_types}


@pytest.mark.parametrize(
    ("gpus", "shares"),
    [(4, 84_000), ("4", 84_000), (0.5, 10_500), ("1/7", 3_000), ("3/8", 7_875), ("1/3", 7_000), ("0.001", 21)],
)
def test_gpus_count_by_share_whatever_their_profile_is_called(gpus: Any, shares: int) -> None:
    data = {"gpus": gpus, "model": "H100", "resource": "mig-3g.40gb", **HOUR}
    found = facts("billing.gpu.metered", data)
    assert (found.meter_code, found.quantity_base, found.variant) == ("gpu_hour", shares * HOUR_MS, "h100")


def test_a_gpu_may_be_a_spot_machine_but_no_sender_tells_reserved_hours() -> None:
    data = {"gpus": 1, "model": "b200", "mode": "spot", **HOUR}
    assert facts("billing.gpu.metered", data).mode == "spot"
    assert reason("billing.gpu.metered", data | {"mode": "reserved"}) == "bad_mode"
    assert reason("billing.usage.metered", {"meter": "gpu_hour", "quantity": 1, "mode": "unused"}) == "bad_mode"


def test_tokens_are_two_meters_of_one_model() -> None:
    data = {"model": "Llama-3.1-70B", "input_tokens": 4808, "output_tokens": 10}
    assert amounts("billing.tokens.metered", data) == {"token_input": 4808, "token_output": 10}
    assert facts("billing.tokens.metered", data).variant == "llama-3.1-70b"
    assert amounts("billing.tokens.metered", data | {"output_tokens": 0}) == {"token_input": 4808}
    assert amounts("billing.tokens.metered", data | {"input_tokens": 0, "output_tokens": 0}) == {"token_input": 0}


def test_a_snapshot_stands_for_its_utc_day() -> None:
    found = facts("billing.storage.snapshot", {"bytes": 491_007_360_000}, time="2026-11-20T01:00:00+02:00")
    assert (found.start_at, found.end_at) == (datetime(2026, 11, 19, tzinfo=UTC), DAY)
    assert found.quantity_base == 491_007_360_000 * 86_400


def test_egress_is_an_amount_or_a_reading() -> None:
    assert amounts("billing.egress.metered", {"bytes": 2**40}) == {"egress_gib": 2**40}
    reading = facts("billing.egress.metered", {"counter": "node-7/eth0", "reading_bytes": 350})
    assert (reading.series, reading.quantity_base, reading.resource) == ("node-7/eth0", 350, "node-7/eth0")
    for data in ({}, {"counter": "x"}, {"reading_bytes": 1}, {"bytes": 1, "counter": "x", "reading_bytes": 1}):
        assert reason("billing.egress.metered", data) == "missing_attribute"


def test_ingress_has_its_route_and_shares_the_type_of_counted_services() -> None:
    data = {
        "route": "api.example/v1/chat",
        "route_kind": "api_bearer",
        "requests": 120_000,
        "bytes": 734_003_200,
        **HOUR,
    }
    found = facts("billing.usage.metered", data)
    assert (found.route, found.route_kind) == ("api.example/v1/chat", "api_bearer")
    assert amounts("billing.usage.metered", data) == {"ingress_request": 120_000, "ingress_gib": 734_003_200}
    assert reason("billing.usage.metered", data | {"route_kind": "ftp"}) == "invalid_event"
    assert facts("billing.usage.metered", {"meter": "query", "quantity": 3, "tags": {"route": "x"}}).route is None


def test_an_app_instance_holds_cores_and_memory_and_is_itself_counted() -> None:
    data = {"app_instance": "shop-1", "app": "shop", "cpu_cores": 0.5, "memory_gib": "2", **HOUR}
    assert amounts("billing.runtime.metered", data) == {
        "app_instance_hour": HOUR_MS,
        "cpu_hour": HOUR_MS // 2,
        "memory_gib_hour": 2 * 2**30 * HOUR_MS,
    }
    found = facts("billing.runtime.metered", data)
    assert (found.resource, found.tags) == ("shop-1", (("app", "shop"),))


def test_a_decimal_number_is_exact_as_it_is_written() -> None:
    raw = event("billing.usage.metered", {"meter": "cpu_hour", "quantity": 0}).replace(
        b'"quantity": 0', b'"quantity": 0.1'
    )
    found = cloud_events.facts_of(cloud_events.read_one(raw), account_id="a", source="s")[1]
    assert found.quantity_base == 360_000


@pytest.mark.parametrize(
    ("kind", "data", "expected"),
    [
        ("billing.beer.metered", {}, "unknown_type"),
        ("billing.usage.metered", {"meter": "beer", "quantity": 1}, "unknown_meter"),
        ("billing.usage.metered", {"meter": "query", "quantity": 1.5}, "not_whole_units"),
        ("billing.usage.metered", {"meter": "query", "quantity": "NaN"}, "not_a_number"),
        ("billing.usage.metered", {"meter": "query", "quantity": "1e999999999"}, "not_a_number"),
        ("billing.usage.metered", {"meter": "query", "quantity": 1, "unit": "litre"}, "unknown_unit"),
        ("billing.usage.metered", {"meter": "query", "quantity": 1, "colour": "red"}, "unknown_attribute"),
        ("billing.usage.metered", {"meter": "query"}, "missing_attribute"),
        ("billing.usage.metered", {"meter": "query", "quantity": True}, "invalid_event"),
        ("billing.usage.metered", {"meter": "query", "quantity": 1, "start": HOUR["start"]}, "half_a_window"),
        ("billing.tokens.metered", {"model": "m", "input_tokens": 1.5, "output_tokens": 1}, "invalid_event"),
        ("billing.tokens.metered", {"model": "m\u202e", "input_tokens": 1, "output_tokens": 1}, "bad_model"),
        ("billing.tokens.metered", {"model": "m", "input_tokens": 1}, "missing_attribute"),
        ("billing.gpu.metered", {"gpus": 1, "model": "h100"}, "missing_window"),
        ("billing.gpu.metered", {"gpus": "1/13", "model": "h100", **HOUR}, "gpu_share_not_exact"),
        ("billing.gpu.metered", {"gpus": "-1", "model": "h100", **HOUR}, "not_a_gpu_count"),
        ("billing.gpu.metered", {"gpus": [1], "model": "h100", **HOUR}, "not_a_gpu_count"),
        ("billing.gpu.metered", {"gpus": 1, "model": "h100", "utilisation": 0.3, **HOUR}, "unknown_attribute"),
        ("billing.gpu.metered", {"gpus": 1, "model": "h", "start": "2026-11-20T10:00:00", "end": HOUR["end"]}, "naive_time"),
        ("billing.gpu.metered", {"gpus": 1, "model": "h", "start": HOUR["end"], "end": HOUR["start"]}, "end_before_start"),
        ("billing.storage.snapshot", {"bytes": -1}, "negative_quantity"),
        ("billing.runtime.metered", {"app_instance": "a", "cpu_cores": -1, "memory_gib": 1, **HOUR}, "negative_quantity"),
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_is_refused_with_its_reason(kind: str, data: dict[str, Any], expected: str) -> None:
    assert reason(kind, data) == expected


def test_an_event_without_a_time_needs_a_window() -> None:
    assert reason("billing.usage.metered", {"meter": "query", "quantity": 1}, time=None) == "missing_time"
    assert facts("billing.usage.metered", {"meter": "query", "quantity": 1, **HOUR}, time=None).end_at.hour == 11


def test_one_event_that_cannot_be_read_stops_no_other() -> None:
    good = event("billing.usage.metered", {"meter": "query", "quantity": 1})
    found = cloud_events.read_batch(b"[" + b",".join([good, b'{"id": "x"}', b"7", good]) + b"]")
    assert [type(one).__name__ for one in found] == ["Envelope", "Refused", "Refused", "Envelope"]
    assert [one.source_id for one in found if isinstance(one, Refused)] == ["x", None]
    for text in (b"[1, 2", b"\xff", b"{", b"[" * 100_000):
        with pytest.raises(cloud_events.NotEvents):
            cloud_events.read_batch(text)
