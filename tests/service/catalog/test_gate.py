"""The gate: what lets a candidate's prices come into force, and what does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from billing.accounts.errors import NotPermitted, SecondPersonNeeded
from billing.catalog import activations, books, prices
from billing.catalog.errors import GateClosed, PriceExists, ProductExists
from billing.catalog.items import Item
from billing.catalog.prices import PriceTable
from billing.catalog.tables import PriceBook, PriceBookActivation, PriceVersion
from billing.kernel.errors import Invalid
from billing.storage.database import Database
from billing.storage.tables import AuditRecord
from tests.service.catalog import world
from tests.service.catalog.world import EVER, NOW

DEARER = world.book("default", ("compute/cpu_hour", "0.60", "2026-12-01T00:00:00Z"))
DECEMBER = datetime(2026, 12, 1, tzinfo=UTC)


def price_of(database: Database, account_id: str, at: datetime, item: Item = Item("cpu_hour")) -> str | None:
    with database.reading("jobs") as session:
        price = PriceTable.load(session, [account_id]).price_at(account_id, item, at)
    return None if price is None else str(price.parameters["unit_price"])


def activate(database: Database, candidate: PriceBook, now: datetime = NOW) -> PriceBookActivation:
    with database.transaction("jobs") as session:
        return activations.activate(session, now=now, book_id=candidate.id, actor="cli:test")


def test_a_loaded_book_changes_no_price(database: Database) -> None:
    account_id = world.open_account(database)
    candidate = world.load(database, DEARER)
    assert price_of(database, account_id, DECEMBER) == "0.50"
    with database.reading("jobs") as session:
        gate = activations.gate_of(session, candidate, now=NOW)
        assert (gate.state, gate.fault) == ("closed", "no_trial")
        assert all(price.parameters.get("unit_price") != "0.60" for price in prices.list_prices(session, "default"))
    with pytest.raises(GateClosed) as refusal:
        activate(database, candidate)
    assert refusal.value.fields["fault"] == "no_trial"


def test_a_fresh_trial_of_the_same_content_lets_it_in_once(database: Database) -> None:
    account_id = world.open_account(database)
    candidate = world.load(database, DEARER)
    trial_id = world.try_out(database, candidate)
    made = activate(database, candidate)
    assert (made.gate, made.trial_id) == ("trial", trial_id)
    assert activate(database, candidate, NOW + timedelta(days=9)).activated_at == made.activated_at
    assert price_of(database, account_id, DECEMBER - timedelta(milliseconds=1)) == "0.50"
    assert price_of(database, account_id, DECEMBER) == "0.60"
    with database.reading("jobs") as session:
        told = session.scalars(select(AuditRecord).where(AuditRecord.act == "prices.activate")).all()
        assert [row.facts["trial_id"] for row in told if row.subject_id == candidate.id] == [trial_id]


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ({"at": NOW - timedelta(hours=24, seconds=1)}, "not_fresh"),
        ({"is_whole": False}, "not_whole"),
        ({"is_inside": False}, "outside_limits"),
        ({"row_count": 0}, "looked_at_nothing"),
    ],
)
def test_a_trial_that_says_too_little_keeps_the_gate_closed(
    database: Database, facts: dict[str, Any], fault: str
) -> None:
    candidate = world.load(database, DEARER)
    world.try_out(database, candidate, **facts)
    with pytest.raises(GateClosed) as refusal:
        activate(database, candidate)
    assert refusal.value.fields["fault"] == fault


def test_a_trial_of_another_content_does_not_speak_for_it(database: Database) -> None:
    candidate = world.load(database, DEARER)
    world.try_out(database, world.load(database, DEARER.replace("0.60", "0.61")))
    with pytest.raises(GateClosed):
        activate(database, candidate)


def test_a_second_person_lets_it_in_and_the_maker_cannot(database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database)
    candidate = world.load(database, DEARER)
    asked = world.ask(database, people, candidate)
    with pytest.raises(SecondPersonNeeded):
        world.approve(database, people, asked, checker=people.maker)
    assert price_of(database, account_id, DECEMBER) == "0.50"
    world.approve(database, people, asked)
    assert price_of(database, account_id, DECEMBER) == "0.60"
    with database.reading("jobs") as session:
        gate = activations.gate_of(session, candidate, now=NOW)
        assert gate.state == "active"
        assert gate.activation is not None
        assert (gate.activation.gate, gate.activation.approval_id) == ("second_person", asked)


def test_only_who_may_change_prices_asks(database: Database) -> None:
    people = world.staff(database)
    candidate = world.load(database, DEARER)
    with pytest.raises(NotPermitted):
        world.ask(database, world.Staff(maker=people.checker, checker=people.maker), candidate)


def test_a_candidate_is_written_anew_but_a_price_in_force_is_not(database: Database) -> None:
    first = world.load(database, DEARER)
    second = world.load(database, DEARER.replace("0.60", "0.55"))
    assert (first.version, second.version) == (2, 3)
    world.try_out(database, second)
    activate(database, second)
    world.try_out(database, first)
    with pytest.raises(PriceExists):
        activate(database, first)
    with pytest.raises(PriceExists):
        world.load(database, DEARER.replace("0.60", "0.70"))


def test_a_later_version_that_repeats_a_price_keeps_the_one_that_was_used(database: Database) -> None:
    account_id = world.open_account(database)
    for text in (
        DEARER,
        DEARER
        + world.book("x", ("analytics/query", "0.02", "2026-12-01T00:00:00Z")).partition("\n[[")[2].join(("[[", "")),
    ):
        candidate = world.load(database, text)
        world.try_out(database, candidate)
        activate(database, candidate)
    with database.reading("jobs") as session:
        table = PriceTable.load(session, [account_id])
        price = table.price_at(account_id, Item("cpu_hour"), DECEMBER)
        assert price is not None
        owner = session.scalar(select(PriceBook.version).join(PriceVersion).where(PriceVersion.id == price.id))
        assert owner == 2
        assert table.edges(account_id, Item("cpu_hour"), NOW, NOW + timedelta(days=90)) == [DECEMBER]
        named = [one for one in prices.list_prices(session, "default") if one.sku_code == "compute/cpu_hour"]
        assert len(named) == 2


PRODUCTS = """code = "new"
name = "New things"
currency = "USD"
valid_from = 1970-01-01T00:00:00Z
[[products]]
sku = "gpu/gb300"
meter = "gpu_hour"
variant = "gb300"
name = "GB300 GPU"
[[prices]]
sku = "gpu/gb300"
model = "per_unit"
unit_price = 9.10
"""


def test_a_book_may_sell_new_products(database: Database) -> None:
    account_id = world.open_account(database)
    with database.transaction("jobs") as session:
        activations.install(session, PRODUCTS.replace('"new"', '"default"', 1), now=NOW, actor="test")
    assert price_of(database, account_id, NOW, Item("gpu_hour", "gb300")) == "9.10"
    assert price_of(database, account_id, NOW, Item("gpu_hour", "gb300", "spot")) is None
    assert price_of(database, account_id, NOW, Item("gpu_hour", "tpu")) == "2.95"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gpu/gb300", "compute/cpu_hour"),  # a SKU that sells something else
        ('variant = "gb300"', 'variant = "h100"'),  # an item that is sold under another SKU
    ],
)
def test_a_product_that_clashes_is_refused_and_nothing_is_stored(database: Database, old: str, new: str) -> None:
    with pytest.raises(ProductExists):
        world.load(database, PRODUCTS.replace(old, new))
    with database.reading("jobs") as session:
        assert not books.list_books(session, "new")


def test_the_same_product_again_is_no_clash(database: Database) -> None:
    world.load(database, PRODUCTS)
    assert world.load(database, PRODUCTS.replace("9.10", "9.20")).version == 2
    with pytest.raises(ProductExists):
        world.load(database, PRODUCTS.replace("GB300 GPU", "Another name"))


def test_the_book_of_the_gpu_cloud_sells_what_its_facts_say(database: Database) -> None:
    account_id = world.open_account(database, plan_code="gpu-cloud")
    with database.reading("jobs") as session:
        table = PriceTable.load(session, [account_id])
    expected = {
        Item("gpu_hour", "h200"): "3.50",
        Item("gpu_hour", "b200"): "5.50",
        Item("gpu_hour", "l40s"): "1.5484",
        Item("gpu_hour", "h100", "spot"): "1.25",
        Item("gpu_hour", "h200", "spot"): "1.45",
        Item("token_input", "llama-3.1-70b"): "0.00000013",
        Item("token_output", "deepseek-r1"): "0.0000024",
    }
    for item, unit_price in expected.items():
        price = table.price_at(account_id, item, NOW)
        assert price is not None, item
        assert price.parameters == {"unit_price": unit_price}
    h100 = table.price_at(account_id, Item("gpu_hour", "h100"), NOW)
    assert h100 is not None
    assert h100.parameters["tiers"][0] == {"unit_price": "2.95", "up_to": "500"}


@pytest.mark.parametrize("text", [world.book("x", ("gpu/nothing", "1", EVER)), "x"])
def test_a_book_that_cannot_be_read_leaves_nothing(database: Database, text: str) -> None:
    with pytest.raises(Invalid):
        world.load(database, text)
    with database.reading("jobs") as session:
        assert not books.list_books(session, "x")
