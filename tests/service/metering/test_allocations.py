"""Live allocations: each step counts once, usage is exact, and what was told late is taken back, never edited."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts import directory
from billing.catalog import activations, onboarding
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.ledger import balances
from billing.metering import accrual, allocations, records, summaries
from billing.metering.allocations import AllocationResult, Shape
from billing.metering.errors import AlreadyReleased, OtherContent, OutOfOrder
from billing.metering.tables import Allocation, AllocationChange, UsageRecord
from billing.rating import postings, rater
from billing.storage.database import Database

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=10)


def minutes(count: float) -> datetime:
    return NOON + timedelta(minutes=count)


@pytest.fixture
def account_id(database: Database) -> str:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOON, code="lab").id


def act(
    database: Database, step: Callable[..., AllocationResult], *, now: datetime = LATER, **facts: Any
) -> AllocationResult:
    with database.transaction("jobs") as session:
        return step(session, now=now, **facts)


def opened(
    database: Database, account_id: str, *, gpus: str = "4", at: datetime = NOON, now: datetime = LATER, **more: Any
) -> AllocationResult:
    facts = {
        "event_id": "e1",
        "external_id": "pod-1",
        "resource": "h100x4",
        "name": "training",
        "shape": Shape(gpus=gpus),
        "at": at,
    }
    return act(database, allocations.open_allocation, now=now, account_id=account_id, **(facts | more))


def reconfigured(
    database: Database, account_id: str, *, gpus: str, at: datetime, now: datetime = LATER, event_id: str = "e2"
) -> AllocationResult:
    return act(
        database,
        allocations.reconfigure,
        now=now,
        account_id=account_id,
        event_id=event_id,
        external_id="pod-1",
        shape=Shape(gpus=gpus),
        at=at,
    )


def released(
    database: Database,
    account_id: str,
    *,
    at: datetime,
    now: datetime = LATER,
    event_id: str = "e3",
    failed: bool = False,
) -> AllocationResult:
    return act(
        database,
        allocations.release,
        now=now,
        account_id=account_id,
        event_id=event_id,
        external_id="pod-1",
        at=at,
        failed=failed,
    )


def accrue(database: Database, account_id: str, now: datetime) -> int:
    with database.transaction("jobs") as session:
        return accrual.accrue(session, now=now, account_id=account_id)


def gpu_hours(database: Database) -> Fraction:
    with database.reading("jobs") as session:
        rows = summaries.summarize(session, by="year", meter_code="gpu_hour")
        for record in session.scalars(select(UsageRecord)).all():
            assert record.record_hash == records.hash_of(record)
    return sum((row.quantity for row in rows), Fraction())


def usage(database: Database) -> list[tuple[str, datetime, datetime, int]]:
    with database.reading("jobs") as session:
        rows = session.execute(
            select(UsageRecord.source_id, UsageRecord.start_at, UsageRecord.end_at, UsageRecord.quantity_base).order_by(
                UsageRecord.usage_seq
            )
        ).all()
    return [tuple(row) for row in rows]  # type: ignore[misc]


def test_four_gpus_for_30_minutes_and_one_for_20_are_7_thirds_of_a_gpu_hour(
    database: Database, account_id: str
) -> None:
    opened(database, account_id)
    reconfigured(database, account_id, gpus="1", at=minutes(30))
    released(database, account_id, at=minutes(50))
    assert gpu_hours(database) == Fraction(7, 3)
    assert [(start, end) for _, start, end, _ in usage(database)] == [(NOON, minutes(30)), (minutes(30), minutes(50))]


def test_one_gpu_for_30_minutes_and_four_for_20_are_11_sixths(database: Database, account_id: str) -> None:
    opened(database, account_id, gpus="1")
    reconfigured(database, account_id, gpus="4", at=minutes(30))
    released(database, account_id, at=minutes(50))
    assert gpu_hours(database) == Fraction(11, 6)


def test_accrual_extends_to_now_by_the_hour_and_a_repeat_changes_nothing(database: Database, account_id: str) -> None:
    opened(database, account_id, at=minutes(30), gpus="1/7")
    assert accrue(database, account_id, minutes(150)) == 3
    assert [(start, end) for _, start, end, _ in usage(database)] == [
        (minutes(30), minutes(60)),
        (minutes(60), minutes(120)),
        (minutes(120), minutes(150)),
    ]
    assert accrue(database, account_id, minutes(150)) == 0
    assert accrue(database, account_id, minutes(100)) == 0
    assert gpu_hours(database) == Fraction(2, 7)
    released(database, account_id, at=minutes(180))
    assert gpu_hours(database) == Fraction(5, 14)
    assert accrue(database, account_id, minutes(900)) == 0
    with database.reading("jobs") as session:
        assert accrual.accounts_with_open_allocations(session) == []


def test_accounts_with_open_allocations_are_those_that_accrue(database: Database, account_id: str) -> None:
    opened(database, account_id)
    with database.reading("jobs") as session:
        assert accrual.accounts_with_open_allocations(session) == [account_id]


def test_each_step_told_again_changes_nothing(database: Database, account_id: str) -> None:
    assert not opened(database, account_id).is_duplicate
    assert opened(database, account_id).is_duplicate
    assert not reconfigured(database, account_id, gpus="1", at=minutes(30)).is_duplicate
    assert reconfigured(database, account_id, gpus="1", at=minutes(30)).is_duplicate
    assert opened(database, account_id).is_duplicate
    first = released(database, account_id, at=minutes(50))
    before = usage(database)
    again = released(database, account_id, at=minutes(50))
    renamed = released(database, account_id, at=minutes(50), event_id="e99")
    assert (first.is_duplicate, again.is_duplicate, renamed.is_duplicate) == (False, True, True)
    assert first.allocation_id == again.allocation_id
    assert usage(database) == before
    with database.reading("jobs") as session:
        kinds = session.scalars(select(AllocationChange.kind).order_by(AllocationChange.changed_at)).all()
    assert kinds == ["opened", "reconfigured", "released"]


def test_an_event_or_an_id_again_with_other_content_is_refused(database: Database, account_id: str) -> None:
    opened(database, account_id)
    with pytest.raises(OtherContent):
        opened(database, account_id, gpus="8")
    with pytest.raises(OtherContent):
        opened(database, account_id, event_id="another")
    reconfigured(database, account_id, gpus="1", at=minutes(30))
    with pytest.raises(OtherContent):
        reconfigured(database, account_id, gpus="2", at=minutes(30))
    with pytest.raises(OtherContent):
        released(database, account_id, at=minutes(50), event_id="e2")


def test_nothing_happens_to_a_released_allocation(database: Database, account_id: str) -> None:
    opened(database, account_id)
    released(database, account_id, at=minutes(50), failed=True)
    before = usage(database)
    with pytest.raises(AlreadyReleased):
        released(database, account_id, at=minutes(55), event_id="e4")
    with pytest.raises(AlreadyReleased):
        reconfigured(database, account_id, gpus="1", at=minutes(55))
    assert usage(database) == before
    with database.reading("jobs") as session:
        assert session.scalars(select(Allocation.outcome)).one() == "release_failed"


def test_steps_out_of_order_are_refused(database: Database, account_id: str) -> None:
    opened(database, account_id)
    with pytest.raises(OutOfOrder) as refused:
        released(database, account_id, at=minutes(-1))
    assert refused.value.fields["reason"] == "end_before_start"
    reconfigured(database, account_id, gpus="1", at=minutes(30))
    with pytest.raises(OutOfOrder):
        released(database, account_id, at=minutes(29))
    with pytest.raises(Conflict):
        reconfigured(database, account_id, gpus="2", at=minutes(30), event_id="e9")


def test_a_release_told_late_takes_back_what_was_accrued_beyond_it(database: Database, account_id: str) -> None:
    opened(database, account_id, gpus="1")
    accrue(database, account_id, minutes(150))
    released(database, account_id, at=minutes(90))
    assert gpu_hours(database) == Fraction(3, 2)
    per_ms = 21_000 * 60_000
    assert usage(database) == [
        ("pod-1/1", NOON, minutes(60), 60 * per_ms),
        ("pod-1/1", minutes(60), minutes(120), 60 * per_ms),
        ("pod-1/1", minutes(120), minutes(150), 30 * per_ms),
        ("pod-1/1/taken-back", minutes(90), minutes(120), -30 * per_ms),
        ("pod-1/1/taken-back", minutes(120), minutes(150), -30 * per_ms),
    ]


def test_a_reconfiguration_told_late_is_billed_from_when_it_happened(database: Database, account_id: str) -> None:
    opened(database, account_id)
    accrue(database, account_id, minutes(50))
    reconfigured(database, account_id, gpus="1", at=minutes(30), now=minutes(51))
    assert gpu_hours(database) == 2
    accrue(database, account_id, minutes(40))
    released(database, account_id, at=minutes(50))
    assert gpu_hours(database) == Fraction(7, 3)


def test_an_allocation_released_at_its_start_used_nothing(database: Database, account_id: str) -> None:
    opened(database, account_id)
    accrue(database, account_id, minutes(10))
    released(database, account_id, at=NOON)
    assert gpu_hours(database) == 0


def test_windows_are_cut_at_the_accounts_month_and_where_the_price_changes(database: Database) -> None:
    book = """
code = "default"
name = "Dearer GPUs"
currency = "USD"

[[prices]]
sku = "compute/gpu_hour"
model = "per_unit"
unit_price = 3.50
valid_from = 2026-10-31T22:20:00Z
"""
    with database.transaction("jobs") as session:
        berlin = onboarding.open_account(session, now=NOON, code="berlin", zone="Europe/Berlin").id
        activations.install(session, book, now=NOON, actor="test")
    start, end = datetime(2026, 10, 31, 22, 10, tzinfo=UTC), datetime(2026, 10, 31, 23, 30, tzinfo=UTC)
    opened(database, berlin, at=start)
    released(database, berlin, at=end)
    cut = datetime(2026, 10, 31, 22, 20, tzinfo=UTC)
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)  # the first instant of November in Berlin
    assert [(first, second) for _, first, second, _ in usage(database)] == [
        (start, cut),
        (cut, midnight),
        (midnight, end),
    ]


def test_two_accounts_may_use_the_same_ids_and_neither_sees_the_others(database: Database, account_id: str) -> None:
    with database.transaction("jobs") as session:
        other = onboarding.open_account(session, now=NOON, code="other").id
    first, second = opened(database, account_id), opened(database, other)
    assert first.allocation_id != second.allocation_id
    released(database, other, at=minutes(10))
    with database.reading("jobs") as session:
        assert session.get_one(Allocation, first.allocation_id).ended_at is None
        assert directory.get_account(session, other).code == "other"
    with pytest.raises(NotFound):
        act(database, allocations.release, account_id=account_id, event_id="x", external_id="pod-9", at=NOON)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"at": LATER + timedelta(minutes=6)}, "in_the_future"),
        ({"at": NOON - timedelta(days=4000)}, "window_too_long"),
        ({"at": NOON.replace(tzinfo=None)}, "naive_time"),
        ({"event_id": ""}, "bad_text"),
        ({"external_id": "x" * 201}, "bad_text"),
        ({"external_id": "a\x00b"}, "bad_text"),
        ({"resource": "a\nb"}, "bad_text"),
        ({"name": "\ud800"}, "bad_text"),
    ],
)
def test_hostile_steps_are_refused(database: Database, account_id: str, facts: dict[str, Any], reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        opened(database, account_id, **facts)
    assert refused.value.fields["reason"] == reason


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
@pytest.mark.parametrize("attempt", range(5))
def test_accrual_and_release_at_once_count_every_minute_once(database: Database, account_id: str, attempt: int) -> None:
    opened(database, account_id, gpus="1")
    start_line = threading.Barrier(6)
    failures: list[BaseException] = []

    def run(step: Callable[[], object]) -> None:
        start_line.wait()
        try:
            step()
        except BaseException as error:
            failures.append(error)

    steps: list[Callable[[], object]] = [
        lambda: released(database, account_id, at=minutes(90)),
        lambda: released(database, account_id, at=minutes(90), event_id="retry"),
        lambda: accrue(database, account_id, minutes(120)),
        lambda: accrue(database, account_id, minutes(120)),
        lambda: accrue(database, account_id, minutes(80 + attempt)),
        lambda: opened(database, account_id, gpus="1"),
    ]
    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert gpu_hours(database) == Fraction(3, 2)
    accrue(database, account_id, minutes(500))
    assert gpu_hours(database) == Fraction(3, 2)


def test_usage_taken_back_after_it_was_rated_and_posted_leaves_the_right_money(
    database: Database, account_id: str
) -> None:
    def settle() -> int:
        with database.transaction("jobs") as session:
            rater.rate_account(session, now=LATER, account_id=account_id)
            postings.post_account(session, now=LATER, account_id=account_id)
        with database.reading("jobs") as session:
            (balance,) = balances.of_account(session, account_id, currency="USD")
        return balance.unbilled_minor

    opened(database, account_id, gpus="1")
    accrue(database, account_id, minutes(150))
    assert settle() == -738  # 2.5 GPU-hours at 2.95 USD are 7.375
    released(database, account_id, at=minutes(90))
    assert settle() == -443  # 1.5 GPU-hours are 4.425
