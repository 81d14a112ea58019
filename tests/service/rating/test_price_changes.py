"""No change of price, plan or override reaches back over usage that was rated."""

from datetime import UTC, datetime, timedelta

import pytest

from billing.catalog import activations, plans, prices
from billing.kernel.clock import to_rfc3339
from billing.rating import price_changes
from billing.rating.errors import AlreadyRated
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use

THIRD, SIXTEENTH = NOVEMBER + timedelta(days=2), NOVEMBER + timedelta(days=15)


def load(database: Database, text: str, code: str = "own") -> None:
    with database.transaction("jobs") as session, price_changes.guarded(session, accounts_of(session, code), now=NOW):
        activations.install(session, text, now=NOW, actor="test")


def accounts_of(session: object, code: str) -> list[str]:
    return price_changes.accounts_on_book(session, code)  # type: ignore[arg-type]


def rated_account(database: Database, at: datetime = THIRD) -> str:
    account_id = world.open_account(database, book=world.book("per_unit", unit_price="1"))
    world.use(database, account_id, Use(3, at=at))
    world.rate(database, account_id)
    return account_id


def test_a_price_may_begin_after_the_last_rated_start(database: Database) -> None:
    rated_account(database)
    load(database, world.book("per_unit", unit_price="2", valid_from=to_rfc3339(THIRD + timedelta(seconds=1))))


def test_a_price_that_begins_at_rated_usage_is_refused_and_nothing_of_it_stays(database: Database) -> None:
    rated_account(database)
    with pytest.raises(AlreadyRated) as refusal:
        load(database, world.book("per_unit", unit_price="2", valid_from=to_rfc3339(THIRD)))
    fields = refusal.value.fields
    assert (fields["account"], fields["sku"]) == ("acme", "analytics/query")
    assert (fields["valid_from"], fields["rated_until"]) == (to_rfc3339(THIRD), to_rfc3339(THIRD))
    with database.reading() as session:
        assert len(prices.list_prices(session, "own")) == 1


def test_prices_may_be_loaded_for_usage_that_waits_for_one(database: Database) -> None:
    account_id = world.open_account(
        database, book=world.book("per_unit", unit_price="1", valid_from="2026-11-10T00:00:00Z")
    )
    world.use(database, account_id, Use(3, at=THIRD), Use(3, at=SIXTEENTH))
    world.rate(database, account_id)
    load(database, world.book("per_unit", unit_price="2", valid_from="2026-11-01T00:00:00Z"))


def test_a_price_of_something_else_may_begin_at_any_time(database: Database) -> None:
    rated_account(database)
    load(database, world.book("per_unit", sku="analytics/report", unit_price="2", valid_from="2000-01-01T00:00:00Z"))


def test_a_plan_change_behind_rated_usage_is_refused(database: Database) -> None:
    account_id = rated_account(database)
    with database.transaction("jobs") as session:
        price_changes.subscribe(
            session, now=NOW, account_id=account_id, plan_code=plans.DEFAULT_CODE, valid_from=SIXTEENTH, actor="test"
        )
    with pytest.raises(AlreadyRated), database.transaction("jobs") as session:
        price_changes.subscribe(
            session,
            now=NOW,
            account_id=account_id,
            plan_code=plans.DEFAULT_CODE,
            valid_from=datetime(2026, 11, 2, tzinfo=UTC),
            actor="test",
        )


def test_a_plan_takes_another_book_only_ahead_of_rated_usage(database: Database) -> None:
    rated_account(database)
    with database.transaction("jobs") as session:
        price_changes.change_plan(
            session, now=NOW, code="own-plan", book_code="default", valid_from=SIXTEENTH, actor="test"
        )
    with pytest.raises(AlreadyRated), database.transaction("jobs") as session:
        price_changes.change_plan(
            session, now=NOW, code="own-plan", book_code="default", valid_from=THIRD, actor="test"
        )
