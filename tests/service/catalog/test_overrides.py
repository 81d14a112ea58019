"""Prices of an account's own: asked for by one person, allowed by another, in force from an instant on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts import approvals
from billing.accounts.errors import NotAllowed, SecondPersonNeeded
from billing.catalog import books, overrides, prices
from billing.catalog.errors import OverrideExists
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.kernel.errors import Invalid, NotFound
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from tests.service.catalog import world
from tests.service.catalog.world import NOW

LATER = NOW + timedelta(days=30)


def prices_at(database: Database, account_id: str, *instants: datetime) -> list[str]:
    with database.reading("jobs") as session:
        table = PriceTable.load(session, [account_id])
    found = [table.price_at(account_id, Item("cpu_hour"), at) for at in instants]
    return ["none" if price is None else str(price.parameters["unit_price"]) for price in found]


def test_two_people_give_an_account_its_own_price_and_it_ends(database: Database) -> None:
    people, account_id, other = world.staff(database), world.open_account(database), world.open_account(database, "oak")
    world.override(database, people, world.want(database, account_id, until_at=LATER))
    instants = (NOW - timedelta(seconds=1), NOW, LATER - timedelta(seconds=1), LATER)
    assert prices_at(database, account_id, *instants) == ["0.50", "0.3", "0.3", "0.50"]
    assert prices_at(database, other, *instants) == ["0.50"] * 4
    with database.reading("jobs") as session:
        first, end = overrides.list_overrides(session, account_id)
        assert first.price is not None
        assert (first.from_at, end.from_at, end.price) == (NOW, LATER, None)
        assert first.reason == "As agreed in contract 7"
        assert [book.code for book in books.list_books(session)] == ["default", "gpu-cloud"]
        assert not [price for price in prices.list_prices(session) if price.parameters == {"unit_price": "0.3"}]
        told = session.scalars(select(AuditRecord).where(AuditRecord.act == "prices.override")).one()
        assert (told.billing_account_id, told.actor) == (account_id, people.checker)


def test_the_maker_cannot_allow_it_and_nobody_can_put_it_in_without_being_allowed(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    wanted = world.want(database, account_id)
    with database.transaction("jobs") as session:
        asked = overrides.request(session, now=NOW, wanted=wanted, maker=people.maker, reason="Why")
    with pytest.raises(SecondPersonNeeded):
        world.approve(database, people, asked, checker=people.maker)
    with pytest.raises(NotAllowed), database.transaction("jobs") as session:
        overrides.put(session, now=NOW, wanted=wanted, reason="Why", allowed=None)  # type: ignore[arg-type]
    assert prices_at(database, account_id, NOW) == ["0.50"]


def test_a_newer_one_takes_over_and_the_plans_price_comes_back_when_asked(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    world.override(database, people, world.want(database, account_id))
    world.override(database, people, world.want(database, account_id, from_at=LATER, parameters={"unit_price": "0.20"}))
    back = world.want(database, account_id, from_at=LATER + timedelta(days=1), model=None, parameters={})
    world.override(database, people, back)
    instants = (NOW, LATER, LATER + timedelta(days=1))
    assert prices_at(database, account_id, *instants) == ["0.3", "0.2", "0.50"]


def test_another_price_from_the_same_instant_is_refused_and_the_same_again_is_not(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    world.override(database, people, world.want(database, account_id))
    world.override(database, people, world.want(database, account_id))
    with pytest.raises(OverrideExists):
        world.override(database, people, world.want(database, account_id, parameters={"unit_price": "0.31"}))
    with database.reading("jobs") as session:
        assert len(overrides.list_overrides(session)) == 1


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ({"sku_code": "compute/tpu"}, "unknown_sku"),
        ({"sku_code": "a\x00b"}, "unknown_sku"),
        ({"model": "hourly"}, "unknown_model"),
        ({"model": "percentage", "parameters": {"percent": "5"}}, "not_an_amount"),
        ({"sku_code": "plan/platform"}, "fee_not_flat"),
        ({"parameters": {"unit_price": "-0.30"}}, "below_zero"),
        ({"parameters": {"unit_price": "0.1234567890123"}}, "too_many_places"),
        ({"parameters": {"unit_price": "0.3", "free": "1"}}, "unknown_key"),
        ({"until_at": NOW}, "ends_before_it_begins"),
        ({"from_at": datetime(2026, 1, 1)}, "naive_time"),  # noqa: DTZ001  a naive time is what is refused
        ({"from_at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)}, "not_whole_seconds"),
    ],
)
def test_an_override_that_cannot_be_right_is_refused(database: Database, facts: dict[str, Any], reason: str) -> None:
    account_id = world.open_account(database)
    with pytest.raises(Invalid) as refusal:
        world.want(database, account_id, **facts)
    assert refusal.value.fields["reason"] == reason


def test_an_override_over_the_start_of_another_is_refused(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    world.override(database, people, world.want(database, account_id, from_at=LATER))
    with pytest.raises(Invalid) as refusal:
        world.want(database, account_id, until_at=LATER + timedelta(days=1))
    assert refusal.value.fields["reason"] == "overlapping"
    assert world.want(database, account_id, until_at=LATER).until_at == LATER


def test_an_unknown_account_has_no_price_of_its_own(database: Database) -> None:
    with pytest.raises(NotFound):
        world.want(database, "bac_none")


def test_what_was_asked_for_is_what_is_allowed(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    wanted = world.want(database, account_id)
    with database.transaction("jobs") as session:
        asked = overrides.request(session, now=NOW, wanted=wanted, maker=people.maker, reason="Why")
        assert overrides.of_content(session, approvals.lock(session, asked).content) == wanted
