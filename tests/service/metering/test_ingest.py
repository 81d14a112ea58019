"""Events told one by one: each its own answer, each counted once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts.tables import AccountHead
from billing.catalog import onboarding
from billing.metering import ingest, records
from billing.metering.ingest import EventResult
from billing.metering.sources.port import EventFacts
from billing.metering.tables import UsageRecord, UsageReject
from billing.storage.database import Database

NOW = datetime(2026, 11, 21, tzinfo=UTC)
AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


@pytest.fixture
def account_id(database: Database) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code="lab", zone="Europe/Berlin").id


def event(account_id: str, **changes: Any) -> EventFacts:
    facts = {
        "source": "api/lab",
        "source_id": "evt-1",
        "account_id": account_id,
        "meter_code": "token_input",
        "quantity_base": 833_333,
        "start_at": AT,
        "end_at": AT,
    }
    return EventFacts(**(facts | changes))


def take(database: Database, events: Sequence[EventFacts]) -> list[EventResult]:
    with database.transaction() as session:
        return ingest.ingest_events(session, events, now=NOW)


def stored(database: Database) -> list[UsageRecord]:
    with database.reading() as session:
        return list(
            session.scalars(select(UsageRecord).order_by(UsageRecord.billing_account_id, UsageRecord.usage_seq))
        )


def test_an_event_counts_once_however_often_it_is_told(database: Database, account_id: str) -> None:
    first = event(account_id, project_code="search", member_handle="ana", tags=(("model", "llama-4"),))
    assert [result.status for result in take(database, [first, first])] == ["accepted", "duplicate"]
    assert [result.status for result in take(database, [first])] == ["duplicate"]
    (record,) = stored(database)
    assert (record.quantity_base, record.start_at, record.end_at, record.tags) == (
        833_333,
        AT,
        AT,
        {"model": "llama-4"},
    )
    assert record.record_hash == records.hash_of(record)
    assert record.project_id is not None
    assert record.member_id is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"quantity_base": 1},
        {"meter_code": "token_output"},
        {"start_at": AT - timedelta(hours=1)},
        {"tags": (("a", "b"),)},
    ],
)
def test_an_id_with_other_content_is_rejected_and_kept(
    database: Database, account_id: str, changes: dict[str, Any]
) -> None:
    take(database, [event(account_id)])
    (result,) = take(database, [event(account_id, **changes)])
    assert (result.status, result.reason) == ("rejected", "other_content")
    assert len(stored(database)) == 1
    with database.reading() as session:
        assert session.scalars(select(UsageReject.reason)).all() == ["other_content"]


def test_a_window_is_split_where_the_accounts_month_ends_and_its_parts_sum_to_it(
    database: Database, account_id: str
) -> None:
    start, midnight = datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)
    take(
        database,
        [
            event(
                account_id,
                meter_code="gib_hour",
                quantity_base=10,
                start_at=start,
                end_at=midnight + timedelta(seconds=2),
            )
        ],
    )
    assert [(record.start_at, record.end_at, record.quantity_base) for record in stored(database)] == [
        (start, midnight, 3),
        (midnight, midnight + timedelta(seconds=2), 7),
    ]


def test_one_bad_event_stops_no_other_and_numbers_have_no_gap(database: Database, account_id: str) -> None:
    with database.transaction("jobs") as session:
        other = onboarding.open_account(session, now=NOW, code="art").id
    events = [
        event(account_id, source_id="1"),
        event(other, source_id="2"),
        event(account_id, source_id="3", quantity_base=-1),
        event(account_id, source_id="4", quantity_base=0),
        event(account_id, source_id="5"),
    ]
    assert [result.status for result in take(database, events)] == [
        "accepted",
        "accepted",
        "rejected",
        "accepted",
        "accepted",
    ]
    seqs: dict[str, list[int]] = {account_id: [], other: []}
    for record in stored(database):
        seqs[record.billing_account_id].append(record.usage_seq)
    assert seqs == {account_id: [1, 2, 3], other: [1]}
    with database.reading() as session:
        heads = {head.billing_account_id: head.usage_seq for head in session.scalars(select(AccountHead))}
    assert (heads[account_id], heads[other]) == (3, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"account_id": "bac_nobody"}, "unknown_account"),
        ({"meter_code": "beer"}, "unknown_meter"),
        ({"meter_code": "x" * 5000}, "unknown_meter"),
        ({"quantity_base": -1}, "negative_quantity"),
        ({"quantity_base": 2**40 + 1}, "quantity_too_large"),
        ({"end_at": AT - timedelta(seconds=1)}, "end_before_start"),
        ({"start_at": AT - timedelta(days=4000)}, "window_too_long"),
        ({"start_at": AT.replace(tzinfo=None)}, "naive_time"),
        ({"source_id": ""}, "missing_id"),
        ({"source_id": "x" * 201}, "text_too_long"),
        ({"source_id": "a\x00b"}, "control_character"),
        ({"source_id": "a\u00a0b"}, "control_character"),
        ({"resource": "\ud800"}, "control_character"),
        ({"tags": (("a\x00", "b"),)}, "control_character"),
        ({"tags": tuple((str(n), "") for n in range(51))}, "text_too_long"),
        ({"project_code": " padded "}, "bad_project"),
        ({"member_handle": "\u202ename"}, "bad_submitter"),
    ],
)
def test_a_bad_event_is_rejected_with_a_stable_reason(
    database: Database, account_id: str, changes: dict[str, Any], reason: str
) -> None:
    (result,) = take(database, [event(account_id)._replace(**changes)])
    assert (result.status, result.reason) == ("rejected", reason)
    assert result.detail
    assert stored(database) == []


def test_a_large_quantity_that_passes_64_bits_is_exact(database: Database, account_id: str) -> None:
    quantity = 2**40 * 2**30 * 3600  # the limit, in byte-seconds
    take(database, [event(account_id, meter_code="gib_hour", quantity_base=quantity)])
    assert [record.quantity_base for record in stored(database)] == [quantity]
