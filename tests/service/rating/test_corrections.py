"""Corrections and late usage: further lines on the same counter, never an edit; what would fall below nothing waits visibly."""

from datetime import timedelta

from billing.assurance import replay
from billing.rating import rater, unrated
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, OCTOBER, Use

BENT = (("1000", "1.00"), (None, "0.50"))
AT = NOVEMBER + timedelta(days=3)


def settle(database: Database, account_id: str) -> list[tuple[int, int, int]]:
    """Rate and post; (generation, quantity, minor units) of every charge."""
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading("jobs") as session:
        assert replay.replay(session).differences == ()
        return [(each.generation, each.quantity_base, each.posted_minor) for each in world.charges(session, account_id)]


def test_a_correction_is_a_line_on_the_counter_of_what_it_corrects(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    (record_id,) = world.use(database, account_id, Use(1_500, at=AT))
    assert settle(database, account_id) == [(0, 1_500, 125_000)]
    world.use(database, account_id, Use(-100, at=AT, corrects_id=record_id))
    assert settle(database, account_id) == [(0, 1_400, 120_000)]
    with database.reading("jobs") as session:
        first, second = world.lines(session, account_id)
        assert (second.counter_id, second.before_base, second.quantity_base) == (first.counter_id, 1_500, -100)
        assert second.amount_micro == -5_000_000_000


def test_after_the_close_a_correction_and_late_usage_make_the_next_generation(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    (record_id,) = world.use(database, account_id, Use(1_500, at=AT))
    settle(database, account_id)
    world.close(database, account_id, "drf_first")
    world.use(database, account_id, Use(-600, at=AT, corrects_id=record_id))
    # 900 are 900.00 instead of 1,250.00
    assert settle(database, account_id) == [(0, 1_500, 125_000), (1, -600, -35_000)]
    world.close(database, account_id, "drf_second")
    world.use(database, account_id, Use(200, at=AT))
    assert settle(database, account_id) == [(0, 1_500, 125_000), (1, -600, -35_000), (2, 200, 15_000)]


def test_a_project_of_a_plain_price_may_be_corrected_below_what_it_used(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    world.use(database, account_id, Use(5, project="a", at=AT), Use(-7, project="b", at=AT))
    assert sorted(settle(database, account_id)) == [(0, -7, -700), (0, 5, 500)]


def test_what_would_fall_below_nothing_waits_and_is_rated_once_there_is_enough(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("graduated", *BENT))
    world.use(database, account_id, Use(50, at=AT), Use(-80, at=AT))
    settle(database, account_id)
    with database.reading("jobs") as session:
        assert [(row.reason, row.count) for row in unrated.summarize(session, account_id)] == [("below_zero", 1)]
    assert world.rate(database, account_id) <= 1
    with database.reading("jobs") as session:
        assert rater.accounts_with_unrated(session) == []
    world.use(database, account_id, Use(100, at=AT))
    settle(database, account_id)
    with database.reading("jobs") as session:
        assert rater.accounts_with_unrated(session) == [account_id]
    assert settle(database, account_id) == [(0, 70, 7_000)]
    with database.reading("jobs") as session:
        assert unrated.summarize(session, account_id) == []


def test_late_usage_takes_the_counter_of_its_own_month(database: Database) -> None:
    account_id = world.open_account(database, book=world.tiered("volume", ("1000", "1.00"), (None, "0.80")))
    world.use(database, account_id, Use(900, at=OCTOBER), Use(10, at=NOVEMBER))
    settle(database, account_id)
    world.close(database, account_id, "drf_october")
    world.use(database, account_id, Use(200, at=OCTOBER + timedelta(days=2)))
    assert settle(database, account_id) == [(0, 900, 90_000), (1, 200, -2_000), (0, 10, 1_000)]
