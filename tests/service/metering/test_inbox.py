"""The inbox: stored once on receipt, turned into usage by a job, refused with a reason that is kept."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.catalog import onboarding
from billing.jobs import backlog, runner
from billing.metering import intake
from billing.metering.sources import cloud_events
from billing.metering.tables import InboxEvent, UsageRecord
from billing.storage.database import Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def account_id(database: Database) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code="lab").id


def send(database: Database, account_id: str, event_id: str, requests: int, **data: Any) -> str:
    told = {
        "specversion": "1.0", "id": event_id, "source": "edge", "type": "billing.usage.metered",
        "time": "2026-11-20T10:00:00Z", "correlationid": "req-1",
        "data": {"route": "api/chat", "route_kind": "browser", "requests": requests, "bytes": 1024, "tags": {"a": "b"}, **data},
    }  # fmt: skip
    event = cloud_events.read_one(json.dumps(told).encode())
    with database.transaction() as session:
        (result,) = intake.take(session, [intake.Sent(event, account_id)], now=NOW)
    return result.reason or result.status


def consume(database: Database) -> int:
    outcome = runner.run_job(database, {}, "consume", now=NOW + timedelta(minutes=1))
    assert outcome is not None
    assert outcome.result == "succeeded", outcome.detail
    return outcome.done_count


def waiting(database: Database) -> int:
    with database.reading("jobs") as session:
        return next(stage.waiting for stage in backlog.measure(session) if stage.stage == "consume")


def records(database: Database) -> list[tuple[str, int, str | None, str | None]]:
    with database.reading("jobs") as session:
        found = session.scalars(select(UsageRecord).order_by(UsageRecord.usage_seq))
        return [(record.meter_code, record.quantity_base, record.route, record.route_kind) for record in found]


def test_ingress_waits_in_the_inbox_until_a_job_makes_usage_of_it(database: Database, account_id: str) -> None:
    assert [send(database, account_id, "e1", 5), send(database, account_id, "e1", 5)] == ["accepted", "duplicate"]
    assert send(database, account_id, "e1", 6) == "other_content"
    assert (records(database), waiting(database)) == ([], 1)
    assert consume(database) == 1
    assert records(database) == [
        ("ingress_request", 5, "api/chat", "browser"),
        ("ingress_gib", 1024, "api/chat", "browser"),
    ]
    assert (waiting(database), consume(database)) == (0, 0)
    assert send(database, account_id, "e1", 5) == "duplicate"
    with database.reading("jobs") as session:
        (record, _) = session.scalars(select(UsageRecord).order_by(UsageRecord.usage_seq)).all()
        assert (record.correlation_id, record.tags) == ("req-1", {"a": "b"})
        (event,) = session.scalars(select(InboxEvent)).all()
        assert (event.state, event.consumed_at) == ("consumed", NOW + timedelta(minutes=1))


def test_what_cannot_become_usage_keeps_its_reason_and_may_be_sent_again(database: Database, account_id: str) -> None:
    assert send(database, account_id, "c1", -2, bytes=0, corrects="e1") == "accepted"
    assert consume(database) == 1
    with database.reading("jobs") as session:
        (event,) = session.scalars(select(InboxEvent)).all()
        assert (event.state, event.reason) == ("refused", "unknown_correction")
    send(database, account_id, "e1", 5)
    assert send(database, account_id, "c1", -2, bytes=0, corrects="e1") == "accepted"
    assert consume(database) == 2
    assert sum(quantity for meter, quantity, _, _ in records(database) if meter == "ingress_request") == 3


def test_what_is_wrong_at_sight_is_refused_at_once(database: Database, account_id: str) -> None:
    assert send(database, account_id, "e1", -5) == "negative_quantity"
    assert send(database, account_id, "e2", 2**41) == "quantity_too_large"
    assert send(database, account_id, "e3", 1, colour="red") == "unknown_attribute"
    assert waiting(database) == 0
