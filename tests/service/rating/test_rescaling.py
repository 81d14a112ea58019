"""Law 1: a change of price inside a period that becomes known late gives what it would have given had it been known."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from billing.assurance import replay, selfcheck
from billing.catalog import activations, plans
from billing.kernel.clock import to_rfc3339
from billing.metering.tables import UsageRecord
from billing.rating import evidence, price_changes, rescaling, unrated
from billing.rating.tables import Counter, CounterRescale
from billing.storage.database import Database, DatabaseUrls, owner_engine
from tests.service.assurance.test_tampering import put_guards_aside
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use

HALF = datetime(2026, 11, 16, tzinfo=NOW.tzinfo)
EARLY, LATE = NOVEMBER + timedelta(days=3), NOVEMBER + timedelta(days=18)
BENT = (("1000", "1.00"), (None, "0.50"))


def bent_account(database: Database, model: str = "graduated") -> str:
    return world.open_account(database, book=world.tiered(model, *BENT))


def change_at(database: Database, start_at: datetime = HALF, model: str = "graduated") -> None:
    """The same prices anew from an instant on, known only now."""
    text = world.tiered(model, *BENT, starts=(to_rfc3339(start_at),))
    with database.transaction("jobs") as session:
        accounts = price_changes.accounts_on_book(session, "own")
        with price_changes.guarded(session, accounts, now=NOW):
            activations.install(session, text, now=NOW, actor="test")


def posted(database: Database, account_id: str) -> list[tuple[int, int]]:
    """(quantity, minor units in the ledger) of each charge, by segment and generation."""
    with database.reading("jobs") as session:
        counters = {counter.id: counter.segment_start_at for counter in session.scalars(select(Counter))}
        charges = sorted(
            world.charges(session, account_id), key=lambda charge: (counters[charge.counter_id], charge.generation)
        )
        return [(charge.quantity_base, charge.posted_minor) for charge in charges]


def require_replayed(database: Database) -> None:
    with database.reading("jobs") as session:
        assert replay.replay(session).differences == ()


def test_a_change_at_half_the_period_known_late_gives_650_and_650(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    world.post(database, account_id)
    assert posted(database, account_id) == [(800, 80_000)]
    change_at(database)
    world.use(database, account_id, Use(800, at=LATE))
    world.rate(database, account_id)
    world.post(database, account_id)
    # bounds of 500: 500 x 1.00 + 300 x 0.50, twice
    assert posted(database, account_id) == [(800, 65_000), (800, 65_000)]
    require_replayed(database)


def test_a_rescaling_is_one_line_of_quantity_nothing_on_a_usage_record_of_its_own(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    change_at(database)
    assert world.rate(database, account_id) == 1
    assert world.rate(database, account_id) == 0
    with database.reading("jobs") as session:
        line = world.lines(session, account_id)[-1]
        assert (line.quantity_base, line.before_base, line.amount_micro) == (0, 800, -15_000_000_000)
        record = session.get_one(UsageRecord, line.usage_record_id)
        assert (record.source, record.source_id) == (rescaling.SOURCE, f"{line.counter_id}/1")
        (kept,) = session.scalars(select(CounterRescale)).all()
        assert (kept.counter_id, kept.counter_seq, kept.line_seq) == (line.counter_id, 2, 2)
        assert (kept.old_scale, session.get_one(Counter, line.counter_id).scale) == (None, kept.new_scale)


def test_the_derivation_of_a_rescaling_shows_both_shares_and_makes_the_line_again(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    change_at(database)
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        first, second = (evidence.get_line(session, account_id, line.id) for line in world.lines(session, account_id))
    assert (first.is_reproduced, second.is_reproduced) == (True, True)
    steps: dict[str, Any] = {step.operation: step for step in second.derivation.steps}
    assert (steps["share_before"].result, steps["share_after"].result) == ("1", "1/2")
    assert steps["difference"].result == "-15000000000"
    assert [step.operation for step in first.derivation.steps if step.unit == "share"] == []


def test_usage_that_arrives_late_for_the_first_segment_counts_with_the_new_share(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(400, at=EARLY))
    world.rate(database, account_id)
    change_at(database)
    world.use(database, account_id, Use(400, at=EARLY), Use(800, at=LATE))
    world.rate(database, account_id)
    world.post(database, account_id)
    assert posted(database, account_id) == [(800, 65_000), (800, 65_000)]
    require_replayed(database)


@pytest.mark.parametrize("model", ["graduated", "volume"])
def test_each_moment_of_posting_holds_what_its_curve_said_then(database: Database, model: str) -> None:
    account_id = bent_account(database, model)
    world.use(database, account_id, Use(900, at=EARLY))
    world.rate(database, account_id)
    world.post(database, account_id)
    change_at(database, HALF + timedelta(days=10), model)
    world.rate(database, account_id)
    world.post(database, account_id)
    change_at(database, HALF, model)
    world.use(database, account_id, Use(300, at=LATE), Use(200, at=HALF + timedelta(days=12)))
    world.rate(database, account_id)
    world.post(database, account_id)
    # segments of 15, 10 and 5 days: bounds 500, 333, 167 (half up, the rest to the last)
    graduated = [(900, 70_000), (300, 30_000), (200, 18_350)]
    volume = [(900, 45_000), (300, 30_000), (200, 10_000)]
    assert posted(database, account_id) == (graduated if model == "graduated" else volume)
    require_replayed(database)


def test_a_plan_change_inside_the_period_known_late_is_the_same(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("allowance", free="100", unit_price="1"))
    world.open_account(database, book=world.book("allowance", code="other", free="100", unit_price="2"), code="twin")
    world.use(database, account_id, Use(100, at=EARLY))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        price_changes.subscribe(
            session, now=NOW, account_id=account_id, plan_code="other-plan", valid_from=HALF, actor="test"
        )
    world.use(database, account_id, Use(100, at=LATE))
    world.rate(database, account_id)
    world.post(database, account_id)
    # 50 free in each half
    assert posted(database, account_id) == [(100, 5_000), (100, 10_000)]
    require_replayed(database)


def test_a_closed_charge_keeps_its_amount_and_the_next_generation_takes_the_difference(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    world.post(database, account_id)
    world.close(database, account_id, "drf_first")
    change_at(database)
    world.rate(database, account_id)
    world.post(database, account_id)
    assert posted(database, account_id) == [(800, 80_000), (0, -15_000)]
    world.use(database, account_id, Use(100, at=EARLY))
    world.rate(database, account_id)
    world.post(database, account_id)
    # 900 with a bound of 500 are 700.00, of which the first document has 800.00
    assert posted(database, account_id) == [(800, 80_000), (100, -10_000)]
    require_replayed(database)


def test_a_change_without_the_guard_behind_rated_lines_keeps_usage_waiting(database: Database) -> None:
    """Prices that were stored by another way than `price_changes`: nothing is priced wrongly, it waits visibly."""
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=LATE))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        text = world.tiered("graduated", *BENT, starts=(to_rfc3339(HALF),))
        activations.install(session, text, now=NOW, actor="test")
    world.use(database, account_id, Use(800, at=LATE + timedelta(days=1)))
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        assert [row.reason for row in unrated.summarize(session)] == ["price_changed_after_rating"]


def test_a_second_change_before_the_first_was_rated_is_one_rescaling(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    change_at(database, HALF + timedelta(days=10))
    change_at(database, HALF)
    assert world.rate(database, account_id) == 1
    world.post(database, account_id)
    assert posted(database, account_id) == [(800, 65_000)]


def test_an_account_that_leaves_bounds_for_a_plain_price_is_rescaled_too(database: Database) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        price_changes.subscribe(
            session, now=NOW, account_id=account_id, plan_code=plans.DEFAULT_CODE, valid_from=HALF, actor="test"
        )
    world.use(database, account_id, Use(800, at=LATE))
    world.rate(database, account_id)
    world.post(database, account_id)
    assert posted(database, account_id) == [(800, 65_000), (800, 800)]
    require_replayed(database)


@pytest.mark.tampers
def test_a_tampered_rescaling_is_missed_by_the_self_check(database: Database, database_urls: DatabaseUrls) -> None:
    account_id = bent_account(database)
    world.use(database, account_id, Use(800, at=EARLY))
    world.rate(database, account_id)
    change_at(database)
    world.rate(database, account_id)
    world.post(database, account_id)
    engine = owner_engine(database_urls)
    try:
        with engine.connect() as connection:
            put_guards_aside(connection)
            for change in (
                "new_scale = old_scale",
                "line_seq = line_seq + 1",
                "counter_seq = counter_seq - 1",
                "billing_account_id = 'bac_other'",
                "counter_id = 'ctr_other'",
            ):
                with connection.begin_nested() as kept:
                    connection.execute(text(f"UPDATE counter_rescales SET {change}"))
                    with Session(bind=connection, join_transaction_mode="rollback_only") as session:
                        found = selfcheck.run(session).differences + replay.replay(session).differences
                    assert [each for each in found if each.check != "guard"], change
                    kept.rollback()
            connection.rollback()
    finally:
        engine.dispose()
