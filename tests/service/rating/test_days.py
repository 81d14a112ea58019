"""What each day cost: sums of the lines by day of the account's zone, kept behind them, rebuilt the same, and checked."""

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.assurance.checks import days as day_check
from billing.assurance.report import Tally
from billing.catalog.items import Item
from billing.metering import records
from billing.rating import days
from billing.rating.tables import RatedDay, RatedLine
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOW

HOUR_MS = 3_600_000
START = datetime(2026, 10, 5, 21, tzinfo=UTC)


def window(
    database: Database, account_id: str, hours: int, quantity_base: int, at: datetime = START, **facts: Any
) -> str:
    """One window of processor time, rated; the record's id."""
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        attributor = Attributor(session, now=NOW)
        origin = records.Origin(
            source="test",
            source_id=f"{at:%d%H}-{head.usage_seq}",
            allocation_id=None,
            project_id=attributor.project_id(account_id, facts.get("project")),
            member_id=attributor.member_id(account_id, facts.get("member")),
            resource=facts.get("resource", "rack/1"),
            tags_json=facts.get("tags", "{}"),
            correlation_id=None,
            content_hash="0" * 64,
            import_id=None,
            route=facts.get("route"),
            route_kind="api_bearer" if facts.get("route") else None,
            corrects_id=facts.get("corrects"),
        )
        piece = records.Piece(origin, Item("cpu_hour"), (at, at + timedelta(hours=hours)), quantity_base)
        made = records.rows(head, [piece], now=NOW)
        records.insert(session, made)
    world.rate(database, account_id)
    return str(made[0][0])


def rolled(database: Database, account_id: str, *, limit: int = days.BATCH) -> int:
    total = 0
    while True:
        with database.transaction("jobs") as session:
            count = days.roll(session, account_id, limit=limit)
        if not count:
            return total
        total += count


def rows(database: Database, account_id: str) -> list[tuple[Any, ...]]:
    with database.reading("jobs") as session:
        found = session.scalars(
            select(RatedDay).where(RatedDay.billing_account_id == account_id).order_by(RatedDay.day, RatedDay.key)
        )
        return [
            (
                *(row.day, row.key, row.currency, row.sku_code, row.project_id, row.resource, row.route, row.member_id),
                *(str(row.tags), row.quantity_base, row.amount_micro, row.line_count),
            )
            for row in found
        ]


def differences(database: Database) -> list[str]:
    with database.reading("jobs") as session:
        tally = Tally(check="days")
        day_check.check(session, tally)
        assert tally.looked == session.scalar(select(func.count()).select_from(RatedDay))
    return [one.sentence for one in tally.differences]


def test_a_line_over_several_days_is_shared_by_time_and_counted_once(database: Database) -> None:
    account_id = world.open_account(database)
    window(database, account_id, 6, 12 * HOUR_MS)  # 12 core-hours x 0.50, half before midnight
    window(database, account_id, 30, 7)  # 7 base units over 3 + 24 + 3 hours: floors of the running total
    assert rolled(database, account_id) == 2
    by_day = {}
    for row in rows(database, account_id):
        by_day[row[0]] = (row[-3], row[-1])
    assert by_day == {
        date(2026, 10, 5): (6 * HOUR_MS + 0, 2),
        date(2026, 10, 6): (6 * HOUR_MS + 6, 0),
        date(2026, 10, 7): (1, 0),
    }
    assert sum(row[-2] for row in rows(database, account_id)) == 600_000_000 + 97  # 6.00, and 7 ms of a core
    assert differences(database) == []


def test_days_are_those_of_the_accounts_zone_also_when_a_clock_changes(database: Database) -> None:
    account_id = world.open_account(database, zone="Europe/Berlin")
    window(database, account_id, 25, 25 * HOUR_MS, at=datetime(2026, 10, 24, 22, tzinfo=UTC))  # the day of 25 hours
    window(database, account_id, 2, 2 * HOUR_MS, at=datetime(2026, 10, 31, 22, tzinfo=UTC))
    rolled(database, account_id)
    assert [(row[0].isoformat(), row[-3] // HOUR_MS) for row in rows(database, account_id)] == [
        ("2026-10-25", 25),
        ("2026-10-31", 1),
        ("2026-11-01", 1),
    ]
    with database.transaction("jobs") as session:
        session.execute(text("UPDATE billing_accounts SET zone = 'UTC' WHERE id = :id"), {"id": account_id})
    with database.reading("jobs") as session:
        assert days.accounts_behind(session) == [account_id]
    rolled(database, account_id)
    assert [(row[0].day, row[-3] // HOUR_MS) for row in rows(database, account_id)] == [(24, 2), (25, 23), (31, 2)]
    assert differences(database) == []


def test_whatever_a_line_was_used_for_tells_days_apart_and_corrections_lower_them(database: Database) -> None:
    account_id = world.open_account(database)
    first = window(database, account_id, 1, HOUR_MS, project="alpha", member="ann", tags='{"team":"a"}', route="api/v1")
    window(database, account_id, 1, HOUR_MS, project="alpha", member="ben", tags='{"team":"a"}', route="api/v1")
    window(database, account_id, 1, 3 * HOUR_MS, project="alpha", member="ann", tags='{"team":"b"}', route="api/v1")
    window(
        database,
        account_id,
        1,
        -HOUR_MS // 4,
        project="alpha",
        member="ann",
        tags='{"team":"a"}',
        route="api/v1",
        corrects=first,
    )
    rolled(database, account_id)
    found = rows(database, account_id)
    assert sorted((row[-3] * 4 // HOUR_MS, row[-1]) for row in found) == [(3, 2), (4, 1), (12, 1)]
    assert len({row[1] for row in found}) == 3
    assert differences(database) == []


def test_any_batches_and_a_rebuild_give_the_same_rows(database: Database) -> None:
    chance = random.Random(20261121)
    account_id = world.open_account(database, zone="America/New_York")
    with database.reading("jobs") as session:
        assert days.accounts_behind(session) == []
    for _ in range(12):
        at = datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=chance.randrange(600))
        quantity = chance.randrange(1, 10**9)
        window(
            database, account_id, chance.choice((0, 1, 30, 90)), quantity, at=at, resource=f"rack/{chance.randrange(3)}"
        )
        if chance.random() < 0.3:
            rolled(database, account_id, limit=chance.choice((1, 2, 5)))
    rolled(database, account_id)
    before = rows(database, account_id)
    with database.transaction("jobs") as session:
        assert days.rebuild(session, account_id) == 12
    assert rows(database, account_id) == before
    with database.reading("jobs") as session:
        lines = session.execute(select(RatedLine.quantity_base, RatedLine.amount_micro)).all()
        assert days.accounts_behind(session) == []
    assert sum(row[-3] for row in before) == sum(line.quantity_base for line in lines)
    assert sum(row[-2] for row in before) == sum(line.amount_micro for line in lines)
    assert sum(row[-1] for row in before) == 12
    assert differences(database) == []


@pytest.mark.tampers
@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("UPDATE rated_days SET line_count = line_count + 1", "the lines make"),
        ("UPDATE rated_days SET resource = 'rack/9'", "the lines make"),
        ('UPDATE rated_days SET tags = \'{"team":"b"}\'', "the lines make"),
        ("UPDATE rated_days SET day = '2026-10-09'", "no rated line makes"),
        ("DELETE FROM rated_days", "is missing"),
        ("UPDATE rated_day_marks SET line_seq = 9", "there are 1"),
        ("DELETE FROM rated_day_marks", "no rated line makes"),
    ],
)
def test_a_day_that_is_not_its_lines_is_named(database: Database, fault: str, words: str) -> None:
    account_id = world.open_account(database)
    window(database, account_id, 1, HOUR_MS)
    rolled(database, account_id)
    assert differences(database) == []
    with database.transaction("jobs") as session:
        session.execute(text(fault))
    assert any(words in sentence and account_id in sentence for sentence in differences(database))
