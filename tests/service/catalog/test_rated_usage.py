"""Changes of prices beside usage that was rated: what is refused, what is free, and what finds its price at once."""

import pytest

from billing.catalog.tables import PriceBook
from billing.rating import price_changes
from billing.rating.errors import AlreadyRated
from billing.storage.database import Database
from tests.service.catalog import world
from tests.service.rating import world as rating
from tests.service.rating.world import Use

OCTOBER, LATER = "2026-10-01T00:00:00Z", "2026-12-01T00:00:00Z"


def candidate(database: Database, sku: str, start: str) -> PriceBook:
    return world.load(database, world.book("default", (sku, "0.02", start)))


def test_a_price_that_begins_behind_rated_usage_comes_into_force_by_no_gate(database: Database) -> None:
    people, account_id = world.staff(database), rating.open_account(database)
    rating.use(database, account_id, Use(600))
    rating.rate(database, account_id)
    behind = candidate(database, "analytics/query", OCTOBER)
    world.try_out(database, behind)
    with pytest.raises(AlreadyRated), database.transaction("jobs") as session:
        price_changes.activate(session, now=world.NOW, book_id=behind.id, actor="test")
    asked = world.ask(database, people, behind)
    with pytest.raises(AlreadyRated):
        world.approve(database, people, asked)
    with pytest.raises(AlreadyRated):
        world.override(
            database,
            people,
            world.want(
                database, account_id, sku_code="analytics/query", from_at=rating.OCTOBER, parameters={"unit_price": "1"}
            ),
        )
    ahead = candidate(database, "analytics/query", LATER)
    world.approve(database, people, world.ask(database, people, ahead))


def test_usage_that_waits_finds_its_price_when_a_candidate_comes_into_force(database: Database) -> None:
    people, account_id = world.staff(database), rating.open_account(database)
    rating.use(database, account_id, Use(1_000, meter="token_input"))
    rating.rate(database, account_id)
    waiting = candidate(database, "inference/token_input", OCTOBER)
    rating.rate(database, account_id)
    with database.reading("jobs") as session:
        assert rating.lines(session, account_id) == []
    world.approve(database, people, world.ask(database, people, waiting))
    rating.rate(database, account_id)
    with database.reading("jobs") as session:
        [line] = rating.lines(session, account_id)
        assert line.amount_micro == 2_000 * 1_000_000


def test_usage_that_waits_finds_the_accounts_own_price(database: Database) -> None:
    people, account_id = world.staff(database), rating.open_account(database)
    rating.use(database, account_id, Use(1_000, meter="token_input"))
    rating.rate(database, account_id)
    own = world.want(
        database,
        account_id,
        sku_code="inference/token_input",
        from_at=rating.OCTOBER,
        parameters={"unit_price": "0.01"},
    )
    world.override(database, people, own)
    rating.rate(database, account_id)
    with database.reading("jobs") as session:
        [line] = rating.lines(session, account_id)
        assert line.amount_micro == 1_000 * 1_000_000
