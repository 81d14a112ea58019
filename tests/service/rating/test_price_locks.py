"""RT3: under a plan that locks prices an allocation's usage keeps the price of the allocation's start for life."""

from datetime import datetime, timedelta

import pytest

from billing.assurance import replay
from billing.catalog import activations, plans, terms
from billing.kernel.clock import to_rfc3339
from billing.rating import price_changes
from billing.rating.errors import AlreadyRated
from billing.rating.tables import Counter
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use

HALF = NOVEMBER + timedelta(days=15)
LOCKING = terms.PlanTerms(locks_price=True)


def locked_account(database: Database, *, locks_from: datetime = plans.ALWAYS) -> str:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"), plan_from=locks_from)
    with database.transaction("jobs") as session:
        price_changes.change_plan(
            session,
            now=NOW,
            code="own-plan",
            book_code="own",
            valid_from=locks_from + timedelta(seconds=1),
            terms=LOCKING,
            actor="test",
        )
    return account_id


def dearer_from(database: Database, start_at: datetime, price: str = "2") -> None:
    with database.transaction("jobs") as session:
        accounts = price_changes.accounts_on_book(session, "own")
        with price_changes.guarded(session, accounts, now=NOW):
            text = world.book("per_unit", unit_price=price, valid_from=to_rfc3339(start_at))
            activations.install(session, text, now=NOW, actor="test")


def amounts_of(database: Database, account_id: str) -> list[int]:
    with database.reading("jobs") as session:
        assert replay.replay(session).differences == ()
        return [line.amount_micro // 1_000_000 for line in world.lines(session, account_id)]


def test_an_allocation_keeps_its_first_price_and_everything_else_takes_the_new_one(database: Database) -> None:
    account_id = locked_account(database)
    dearer_from(database, HALF)
    old = world.allocate(database, account_id, NOVEMBER + timedelta(days=1))
    young = world.allocate(database, account_id, HALF + timedelta(hours=1))
    late = HALF + timedelta(days=1)
    world.use(
        database,
        account_id,
        Use(1, at=late, allocation_id=old),
        Use(1, at=late, allocation_id=young),
        Use(1, at=late),
    )
    world.rate(database, account_id)
    world.post(database, account_id)
    assert amounts_of(database, account_id) == [100, 200, 200]


def test_locked_usage_behind_a_change_has_a_counter_of_its_own_in_its_segment(database: Database) -> None:
    account_id = locked_account(database)
    dearer_from(database, HALF)
    old = world.allocate(database, account_id, NOVEMBER + timedelta(days=1))
    world.use(database, account_id, *(Use(1, at=HALF + timedelta(days=day), allocation_id=old) for day in (-1, 1)))
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        counters = [session.get_one(Counter, line.counter_id) for line in world.lines(session, account_id)]
        assert [counter.segment_start_at for counter in counters] == [NOVEMBER, HALF]
        assert len({counter.price_version_id for counter in counters}) == 1


def test_an_allocation_from_before_the_plan_locked_prices_takes_each_price_in_its_time(database: Database) -> None:
    account_id = locked_account(database, locks_from=NOVEMBER + timedelta(days=2))
    dearer_from(database, HALF)
    early = world.allocate(database, account_id, NOVEMBER + timedelta(days=1))
    world.use(database, account_id, Use(1, at=HALF + timedelta(days=1), allocation_id=early))
    world.rate(database, account_id)
    assert amounts_of(database, account_id) == [200]


def test_a_change_is_allowed_behind_locked_usage_and_refused_behind_the_start_that_locked_it(
    database: Database,
) -> None:
    account_id = locked_account(database)
    old = world.allocate(database, account_id, NOVEMBER + timedelta(days=1))
    world.use(database, account_id, Use(1, at=HALF + timedelta(days=5), allocation_id=old))
    world.rate(database, account_id)
    dearer_from(database, HALF)
    with pytest.raises(AlreadyRated):
        dearer_from(database, NOVEMBER, "3")
    world.use(database, account_id, Use(1, at=HALF + timedelta(days=6), allocation_id=old))
    world.rate(database, account_id)
    assert amounts_of(database, account_id) == [100, 100]


def replan(database: Database, at: datetime, given: terms.PlanTerms) -> None:
    with database.transaction("jobs") as session:
        price_changes.change_plan(
            session, now=NOW, code="own-plan", book_code="own", valid_from=at, terms=given, actor="test"
        )


def test_a_lock_does_not_begin_behind_lines_that_took_a_later_price(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    dearer_from(database, HALF)
    start = NOVEMBER + timedelta(days=1)
    old = world.allocate(database, account_id, start)
    world.use(database, account_id, Use(1, at=HALF + timedelta(days=1), allocation_id=old))
    world.rate(database, account_id)
    with pytest.raises(AlreadyRated) as refusal:
        replan(database, NOVEMBER, LOCKING)
    assert refusal.value.fields["rated_until"] == to_rfc3339(HALF + timedelta(days=1))
    replan(database, start + timedelta(seconds=1), LOCKING)
    assert amounts_of(database, account_id) == [200]


def test_a_lock_does_not_end_behind_lines_that_stand_on_a_locked_price(database: Database) -> None:
    account_id = locked_account(database)
    dearer_from(database, HALF)
    start = NOVEMBER + timedelta(days=1)
    old = world.allocate(database, account_id, start)
    world.use(database, account_id, Use(1, at=HALF + timedelta(days=1), allocation_id=old))
    world.rate(database, account_id)
    with pytest.raises(AlreadyRated):
        replan(database, NOVEMBER, terms.NONE)
    replan(database, start + timedelta(seconds=1), terms.NONE)
    assert amounts_of(database, account_id) == [100]


def test_a_lock_may_change_where_every_line_keeps_its_price(database: Database) -> None:
    account_id = locked_account(database)
    dearer_from(database, HALF)
    old = world.allocate(database, account_id, NOVEMBER + timedelta(days=1))
    world.use(database, account_id, Use(1, at=NOVEMBER + timedelta(days=2), allocation_id=old))
    world.rate(database, account_id)
    replan(database, NOVEMBER, terms.NONE)
    assert amounts_of(database, account_id) == [100]
