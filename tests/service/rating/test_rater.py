"""Rating against the database: counters, charges, periods, and usage that must wait."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.accounts.tables import AccountHead, BillingAccount
from billing.catalog import activations
from billing.catalog.tables import PriceVersion
from billing.invoicing import waiting
from billing.metering.tables import UsageRecord
from billing.rating import lines, periods, rater, unrated
from billing.rating.amounts import rounded_minor
from billing.rating.derivations import curve_of
from billing.rating.price_facts import load
from billing.rating.scales import read_scale
from billing.rating.tables import BillingPeriod, Charge, Counter
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, OCTOBER, Use

TWO_TIERS = world.tiered("graduated", ("100", "0.015"), (None, "0.010"))


def amounts(database: Database, account_id: str) -> list[int]:
    """What each charge comes to, rounded once, in minor units."""
    with database.reading("jobs") as session:
        found = []
        for charge in world.charges(session, account_id):
            counter = session.get_one(Counter, charge.counter_id)
            curve = curve_of(
                load(session, [counter.price_version_id])[counter.price_version_id], read_scale(counter.scale)
            )
            found.append(rounded_minor(curve, charge.before_base, charge.quantity_base))
        return found


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_tiers_count_over_both_projects_in_any_order(database: Database, order: tuple[str, str]) -> None:
    account_id = world.open_account(database, book=TWO_TIERS)
    world.use(database, account_id, *(Use(100, project=project) for project in order))
    assert world.rate(database, account_id) == 2
    assert amounts(database, account_id) == [250]


def test_an_allowance_is_given_once_over_three_projects(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("allowance", free="100", unit_price="0.01"))
    world.use(database, account_id, *(Use(100, project=project) for project in ("a", "b", "c")))
    world.rate(database, account_id)
    # 200 of 300 units are charged
    assert amounts(database, account_id) == [200]


def test_a_plain_price_has_one_charge_per_project(database: Database) -> None:
    account_id = world.open_account(database)  # analytics/query costs 0.01
    world.use(database, account_id, Use(3, project="a"), Use(4, project="b"), Use(5))
    world.rate(database, account_id)
    assert sorted(amounts(database, account_id)) == [3, 4, 5]


def test_a_price_change_at_half_the_period_halves_the_bounds(database: Database) -> None:
    starts = ("1970-01-01T00:00:00Z", "2026-11-16T00:00:00Z")
    account_id = world.open_account(
        database, book=world.tiered("graduated", ("1000", "1.00"), (None, "0.50"), starts=starts)
    )
    before, after = NOVEMBER + timedelta(days=3), NOVEMBER + timedelta(days=18)
    world.use(database, account_id, Use(800, at=before), Use(800, at=after))
    world.rate(database, account_id)
    assert amounts(database, account_id) == [65_000, 65_000]


def test_usage_takes_the_price_of_its_own_start(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    with database.transaction("jobs") as session:
        dearer = world.book("per_unit", unit_price="2", valid_from="2026-11-16T00:00:00Z")
        activations.install(session, dearer, now=NOW, actor="test")
    edge = datetime(2026, 11, 16, tzinfo=UTC)
    world.use(database, account_id, Use(1, at=edge - timedelta(milliseconds=1)), Use(1, at=edge))
    world.rate(database, account_id)
    with database.reading() as session:
        assert [line.amount_micro for line in world.lines(session, account_id)] == [100_000_000, 200_000_000]


def test_rating_again_changes_nothing(database: Database) -> None:
    account_id = world.open_account(database, book=TWO_TIERS)
    world.use(database, account_id, Use(70), Use(70))
    assert world.rate(database, account_id) == 2
    with database.reading() as session:
        before = [(line.id, line.line_hash) for line in world.lines(session, account_id)]
        assert rater.accounts_with_unrated(session) == []
    assert world.rate(database, account_id) == 0
    with database.reading() as session:
        assert [(line.id, line.line_hash) for line in world.lines(session, account_id)] == before


def test_small_batches_give_the_same_lines_as_one(database: Database) -> None:
    facts = []
    for code, limit in (("one", 10_000), ("many", 3)):
        account_id = world.open_account(database, book=TWO_TIERS, code=code)
        world.use(database, account_id, *(Use(17, project=str(number % 3)) for number in range(10)))
        assert world.rate(database, account_id, limit=limit) == 10
        with database.reading() as session:
            rows = world.lines(session, account_id)
            facts.append(
                [(row.line_seq, row.counter_seq, row.before_base, row.quantity_base, row.amount_micro) for row in rows]
            )
            head = session.get_one(AccountHead, account_id)
            assert (head.line_seq, head.rated_usage_seq) == (10, 10)
    assert facts[0] == facts[1]
    # 100 x 1.5 cents + 70 x 1 cent
    assert sum(fact[4] for fact in facts[0]) == 220_000_000


def test_usage_before_any_price_waits_and_is_rated_once_there_is_one(database: Database) -> None:
    book = world.book("per_unit", unit_price="1", valid_from="2026-11-01T00:00:00Z")
    account_id = world.open_account(database, book=book)
    early, later = OCTOBER + timedelta(days=4), NOVEMBER + timedelta(days=4)
    first, _ = world.use(database, account_id, Use(2, at=early), Use(3, at=later))
    assert world.rate(database, account_id) == 2
    with database.reading() as session:
        (waiting,) = unrated.summarize(session, account_id)
        assert (waiting.meter_code, waiting.reason, waiting.count) == ("query", "no_price", 1)
        assert [line.quantity_base for line in world.lines(session, account_id)] == [3]
        assert rater.accounts_with_unrated(session) == []
    assert world.rate(database, account_id) == 0
    with database.transaction("jobs") as session:
        earlier = world.book("per_unit", unit_price="5", valid_from="2026-10-01T00:00:00Z")
        activations.install(session, earlier, now=NOW, actor="test")
    with database.reading() as session:
        assert rater.accounts_with_unrated(session) == [account_id]
    assert world.rate(database, account_id) == 1
    with database.reading() as session:
        assert unrated.summarize(session) == []
        last = world.lines(session, account_id)[-1]
        assert (last.usage_record_id, last.line_seq, last.amount_micro) == (first, 2, 1_000_000_000)


def test_a_price_change_that_was_not_known_rescales_what_was_rated(database: Database) -> None:
    """Also where the prices were stored without `price_changes`: the first usage behind the change brings it about."""
    account_id = world.open_account(database, book=world.tiered("graduated", ("1000", "1.00"), (None, "0.50")))
    world.use(database, account_id, Use(800, at=NOVEMBER + timedelta(days=3)))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        changed = world.tiered("graduated", ("1000", "2.00"), (None, "0.50"), starts=("2026-11-16T00:00:00Z",))
        activations.install(session, changed, now=NOW, actor="test")
    world.use(database, account_id, Use(800, at=NOVEMBER + timedelta(days=18)))
    assert world.rate(database, account_id) == 2
    # 500 x 1.00 + 300 x 0.50; 500 x 2.00 + 300 x 0.50
    assert amounts(database, account_id) == [65_000, 115_000]


def test_the_period_is_the_month_of_the_accounts_zone(database: Database) -> None:
    account_id = world.open_account(database, zone="Europe/Berlin")
    world.use(
        database,
        account_id,
        Use(1, at=datetime(2026, 10, 31, 22, 59, tzinfo=UTC)),
        Use(1, at=datetime(2026, 10, 31, 23, tzinfo=UTC)),
    )
    world.rate(database, account_id)
    with database.reading() as session:
        found = [(p.label, p.start_at, p.end_at) for p in reversed(periods.list_periods(session, account_id))]
    assert found == [
        ("2026-10", datetime(2026, 9, 30, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC)),
        ("2026-11", datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC)),
    ]


@pytest.mark.parametrize("moved_to", ["America/New_York", "Pacific/Kiritimati"])
@pytest.mark.parametrize("hours", [-20, -2, 2, 30])
def test_after_a_change_of_zone_periods_still_touch(database: Database, moved_to: str, hours: int) -> None:
    """Whichever month is opened next, and in whatever order, each instant lies in exactly one period."""
    account_id = world.open_account(database, zone="UTC")
    with database.transaction("jobs") as session:
        account = session.get_one(BillingAccount, account_id)
        periods.period_at(session, account, OCTOBER)
        account.zone = moved_to
        session.flush()
        for instant in (NOVEMBER + timedelta(days=60), NOVEMBER + timedelta(hours=hours), NOVEMBER + timedelta(days=9)):
            found = periods.period_at(session, account, instant)
            assert found.start_at <= instant < found.end_at
        stored = list(reversed(periods.list_periods(session, account_id)))
    assert [period.label for period in stored] == ["2026-10", "2026-11", "2026-12"]
    assert [period.end_at for period in stored[:-1]] == [period.start_at for period in stored[1:]]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_two_raters_at_once_rate_each_record_once(database: Database) -> None:
    account_id = world.open_account(database, book=TWO_TIERS)
    world.use(database, account_id, *(Use(1) for _ in range(60)))
    with ThreadPoolExecutor(4) as pool:
        looked_at = list(pool.map(lambda _: world.rate(database, account_id, limit=10), range(4)))
    assert sum(looked_at) == 60
    assert amounts(database, account_id) == [90]


def test_a_stored_line_gives_its_hash_again_and_covers_its_usage_and_price(database: Database) -> None:
    account_id = world.open_account(database, book=TWO_TIERS)
    world.use(database, account_id, Use(120, project="a"))
    world.rate(database, account_id)
    with database.reading() as session:
        (line,) = world.lines(session, account_id)
        usage = session.get_one(UsageRecord, line.usage_record_id)
        price = session.get_one(PriceVersion, line.price_version_id)
        assert line.line_hash == lines.hash_of(line, usage.record_hash, price.price_hash)
        assert line.line_hash != lines.hash_of(line, "0" * 64, price.price_hash)
        assert line.line_hash != lines.hash_of(line, usage.record_hash, "0" * 64)


def test_late_usage_of_a_closed_charge_opens_its_next_generation(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("volume", ("1000", "1.00"), (None, "0.80")))
    world.use(database, account_id, Use(900))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        (charge,) = world.charges(session, account_id)
        assert periods.close_charges(session, [charge.id], "drf_1") == 1
    world.use(database, account_id, Use(200))
    world.rate(database, account_id)
    with database.reading() as session:
        found = [(c.generation, c.before_base, c.quantity_base, c.draft_id) for c in world.charges(session, account_id)]
    assert found == [(0, 0, 900, "drf_1"), (1, 900, 200, None)]
    assert amounts(database, account_id) == [90_000, -2_000]


def test_a_voided_draft_gives_its_charges_back(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(1), Use(1, project="a"))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        periods.close_charges(session, [charge.id for charge in world.charges(session, account_id)], "drf_1")
    with database.transaction("jobs") as session:
        assert periods.reopen(session, "drf_2") == 0
        assert periods.reopen(session, "drf_1") == 2
    with database.reading() as session:
        assert {charge.draft_id for charge in world.charges(session, account_id)} == {None}


def test_a_charge_belongs_to_one_draft_at_most(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(1))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        (charge,) = world.charges(session, account_id)
        periods.close_charges(session, [charge.id], "drf_1")
    with pytest.raises(periods.ChargeClosed) as refusal, database.transaction("jobs") as session:
        periods.close_charges(session, [charge.id], "drf_2")
    assert refusal.value.code == "charge_closed"
    with database.reading() as session:
        assert session.get_one(Charge, charge.id).draft_id == "drf_1"


def test_ended_periods_with_open_charges_wait_for_a_draft(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(1), Use(1, at=NOVEMBER))
    world.rate(database, account_id)
    with database.reading() as session:
        assert waiting.list_waiting(session, now=NOW) == [(account_id, "2026-10")]
        assert waiting.list_waiting(session, now=OCTOBER + timedelta(days=5)) == []
    with database.transaction("jobs") as session:
        october = periods.find_period(session, account_id, "2026-10")
        assert october is not None
        ids = session.scalars(select(Charge.id).where(Charge.billing_period_id == october.id)).all()
        periods.close_charges(session, ids, "drf_1")
    with database.reading() as session:
        assert waiting.list_waiting(session, now=NOW) == []


def test_charges_of_rated_but_unposted_lines_are_not_invoiced(database: Database) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(1))
    world.rate(database, account_id)
    with database.reading() as session:
        period = session.scalars(select(BillingPeriod)).one()
        with pytest.raises(periods.UnpostedLines):
            periods.charges_to_invoice(session, period)
