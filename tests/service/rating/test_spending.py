"""Cost by day and group: each charge rounded once, its parts summing to it, windows split at the borders."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from billing.kernel.errors import Invalid
from billing.metering import allocations, ingest
from billing.metering.shapes import Shape
from billing.metering.sources.port import EventFacts
from billing.rating import choices, running, spending
from billing.rating.dimensions import SpendFilter
from billing.rating.spending import Spending
from billing.storage.database import Database
from tests.service.rating import test_days, world
from tests.service.rating.world import NOW, Use

OCTOBER, NOVEMBER = world.OCTOBER, world.NOVEMBER
HOUR_MS = 3_600_000


def spend(database: Database, account_id: str, **changes: object) -> list[Spending]:
    asked: dict[str, object] = {"start_at": OCTOBER, "end_at": NOVEMBER, "by": "day", "zone": "UTC"}
    with database.reading() as session:
        return spending.spend(session, account_id, **(asked | changes))  # type: ignore[arg-type]


def rated(database: Database, account_id: str, *uses: Use) -> None:
    world.use(database, account_id, *uses)
    world.rate(database, account_id)
    world.post(database, account_id)


def window(database: Database, account_id: str, start_at: datetime, hours: int, cores: int) -> None:
    facts = EventFacts(
        source=f"test/{account_id}",
        source_id=f"{start_at:%d%H}-{cores}",
        account_id=account_id,
        meter_code="cpu_hour",
        quantity_base=cores * hours * HOUR_MS,
        start_at=start_at,
        end_at=start_at + timedelta(hours=hours),
    )
    with database.transaction("jobs") as session:
        assert [one.status for one in ingest.ingest_events(session, [facts], now=NOW)] == ["accepted"]
    world.rate(database, account_id)
    world.post(database, account_id)


def test_ten_million_tiny_lines_would_round_to_nothing_but_their_charge_is_rounded_once(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="0.0011"))
    days = [datetime(2026, 10, day, tzinfo=UTC) for day in (1, 2, 3)]
    rated(database, account_id, *(Use(1, at=at) for at in days))
    (found,) = spend(database, account_id)
    assert found.total_minor == 0  # 0.33 cents
    rated(database, account_id, Use(2, at=days[2]))
    (found,) = spend(database, account_id)
    assert found.total_minor == 1  # 0.55 cents
    assert found.by_bucket[:4] == (0, 0, 1, 0)  # to the largest remainder
    with database.reading() as session:
        assert [cost.amount_minor for cost in spending.month_costs(session, account_id, ["2026-10"])] == [1]


def test_of_a_price_with_tiers_the_days_sum_to_what_the_ledger_holds(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", ("100", "0.015"), (None, "0.010")))
    rated(
        database,
        account_id,
        Use(100, "alpha", datetime(2026, 10, 1, tzinfo=UTC)),
        Use(100, "beta", datetime(2026, 10, 2, tzinfo=UTC)),
    )
    (found,) = spend(database, account_id, group="project")
    assert [(group.key, group.amount_minor) for group in found.groups] == [("alpha", 150), ("beta", 100)]
    assert found.total_minor == 250
    with database.reading() as session:
        assert [cost.amount_minor for cost in spending.month_costs(session, account_id, ["2026-10"])] == [250]


def test_a_window_is_split_at_the_days_of_the_zone(database: Database) -> None:
    account_id = world.open_account(database)
    window(database, account_id, datetime(2026, 10, 5, 21, tzinfo=UTC), hours=6, cores=2)  # 0.50 a core-hour
    (utc,) = spend(database, account_id)
    assert (utc.by_bucket[4:6], utc.total_minor) == ((300, 300), 600)
    (berlin,) = spend(
        database,
        account_id,
        zone="Europe/Berlin",
        start_at=datetime(2026, 9, 30, 22, tzinfo=UTC),
        end_at=datetime(2026, 10, 31, 23, tzinfo=UTC),
    )
    assert (berlin.by_bucket[4:6], len(berlin.labels)) == ((100, 500), 31)
    (hours,) = spend(
        database,
        account_id,
        by="hour",
        start_at=datetime(2026, 10, 6, tzinfo=UTC),
        end_at=datetime(2026, 10, 6, 4, tzinfo=UTC),
    )
    assert (hours.by_bucket, hours.total_minor) == ((100, 100, 100, 0), 300)
    assert hours.groups[0].quantity == 6


def test_corrections_below_zero_are_summed_like_the_rest(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="0.015"))
    first, second = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC)
    rated(database, account_id, Use(3, at=first), Use(-2, at=second))
    (found,) = spend(database, account_id)
    assert found.total_minor == 2  # 1.5 cents
    assert sum(found.by_bucket) == 2
    assert found.by_bucket[1] == -3


def test_what_was_not_used_has_no_row_and_too_many_buckets_are_refused(database: Database) -> None:
    account_id = world.open_account(database)
    assert spend(database, account_id) == []
    with pytest.raises(Invalid) as refused:
        spend(database, account_id, by="hour")
    assert refused.value.fields["reason"] == "too_many_buckets"


@pytest.mark.parametrize("is_rolled", [False, True])
def test_days_and_lines_give_the_same_answer_to_every_question(database: Database, is_rolled: bool) -> None:
    account_id = world.open_account(
        database, zone="Europe/Berlin", book=world.book("per_unit", sku="compute/cpu_hour", unit_price="0.013")
    )
    berlin = {
        "zone": "Europe/Berlin",
        "start_at": datetime(2026, 9, 30, 22, tzinfo=UTC),
        "end_at": datetime(2026, 10, 31, 23, tzinfo=UTC),
    }
    wide = 10**21
    for hours, quantity, at, facts in (
        (
            1,
            HOUR_MS,
            datetime(2026, 10, 5, 21, 30, tzinfo=UTC),
            {"project": "alpha", "member": "ann", "tags": '{"team":"a"}'},
        ),
        (
            40,
            7 * HOUR_MS,
            datetime(2026, 10, 5, 21, tzinfo=UTC),
            {"project": "beta", "route": "api/v1", "tags": '{"a.b":"x"}'},
        ),
        (2, wide, datetime(2026, 10, 25, tzinfo=UTC), {"project": "beta", "resource": "rack/2"}),
        (2, wide, datetime(2026, 10, 25, tzinfo=UTC), {"project": "beta", "resource": "rack/2"}),
    ):
        test_days.window(database, account_id, hours, quantity, at, **facts)
    if is_rolled:
        test_days.rolled(database, account_id)
    world.post(database, account_id)
    (whole,) = spend(database, account_id, **berlin)
    assert whole.groups[0].quantity == 8 + Fraction(2 * wide, HOUR_MS)
    with database.reading() as session:
        assert whole.is_ledger
        (cost,) = spending.month_costs(session, account_id, ["2026-10"])
        assert cost.amount_minor == whole.total_minor
        found = choices.used(session, account_id, berlin["start_at"], berlin["end_at"])
    assert [one.value for one in found.values["project"]] == ["alpha", "beta"]
    assert [one.value for one in found.values["resource"]] == ["rack/1", "rack/2"]
    assert found.tag_keys == ["a.b", "team"]
    for group, keys in (
        ("service", ["compute"]),
        ("item", ["compute/cpu_hour"]),
        ("project", ["beta", "alpha"]),
        ("resource", ["rack/2", "rack/1"]),
        ("route", ["", "api/v1"]),
        ("tag:team", ["", "a"]),
        ("tag:a.b", ["", "x"]),
    ):
        (one,) = spend(database, account_id, group=group, **berlin)
        assert [row.key for row in one.groups] == keys
        assert one.total_minor == whole.total_minor == sum(one.by_bucket)
        assert sum(row.line_count for row in one.groups) == 4
    for wanted, minor in (
        (SpendFilter(project_code="alpha"), 1),
        (SpendFilter(service="compute", resource="rack/1"), 10),  # 8 core-hours x 1.3 cents
        (SpendFilter(route="api/v1"), 9),
        (SpendFilter(tag_key="team", tag_value="a"), 1),
        (SpendFilter(tag_key="a.b", tag_value="x"), 9),
        (SpendFilter(tag_key="team", resource="rack/1"), 9),
        (SpendFilter(sku_code="compute/gpu_hour"), None),
    ):
        answer = spend(database, account_id, wanted=wanted, **berlin)
        assert [one.total_minor for one in answer] == ([] if minor is None else [minor])
    (day,) = spend(database, account_id, wanted=SpendFilter(project_code="beta", resource="rack/1"), **berlin)
    assert [minor for minor in day.by_bucket if minor] == [6, 3]  # 1, 24 and 15 of 40 hours: 0.2275, 5.46 and 3.4125


def test_the_next_hour_of_what_runs_costs_what_its_prices_say(database: Database) -> None:
    account_id = world.open_account(database)
    with database.transaction("jobs") as session:
        allocations.open_allocation(
            session,
            now=NOW,
            account_id=account_id,
            event_id="opened",
            external_id="one",
            resource="gpu",
            name="third of a GPU",
            shape=Shape(gpus="1/3", cpu_cores=2),
            at=NOW - timedelta(hours=1),
        )
    with database.reading() as session:
        (row,) = running.list_running(session, account_id, now=NOW, currency="USD")
        before = running.lag(session, account_id)
    assert row.per_hour_minor is not None
    assert row.per_hour_minor * 3 == 295 + 300  # a third of 2.95, and 2 x 0.50
    assert {part.meter_code: part.units_per_hour * 3 for part in row.parts} == {"gpu_hour": 1, "cpu_hour": 6}
    assert (before.unseen_count, before.unposted_count, before.unpriced_count) == (0, 0, 0)
    world.use(database, account_id, Use(1, meter="token_input"))  # has no price
    with database.reading() as session:
        assert running.lag(session, account_id).unseen_count == 1
    world.rate(database, account_id)
    with database.reading() as session:
        assert running.lag(session, account_id).unpriced_count == 1


def test_what_is_stopped_still_pays_for_its_storage(database: Database) -> None:
    account_id = world.open_account(database)
    with database.transaction("jobs") as session:
        for name, shape in (("keeps", Shape(cpu_cores=4, storage_bytes=100 * 2**30)), ("bare", Shape(cpu_cores=4))):
            allocations.open_allocation(
                session,
                now=NOW,
                account_id=account_id,
                event_id=f"{name}-opened",
                external_id=name,
                resource="vm",
                name=name,
                shape=shape,
                at=NOW - timedelta(hours=2),
            )
            allocations.stop(
                session,
                now=NOW,
                account_id=account_id,
                event_id=f"{name}-stopped",
                external_id=name,
                at=NOW - timedelta(hours=1),
            )
    with database.reading() as session:
        rows = {row.allocation.name: row for row in running.list_running(session, account_id, now=NOW, currency="USD")}
    assert (rows["keeps"].is_stopped, rows["keeps"].per_hour_minor) == (True, 200)  # 100 GiB x 0.02
    assert (rows["bare"].is_stopped, rows["bare"].parts, rows["bare"].per_hour_minor) == (True, (), 0)
