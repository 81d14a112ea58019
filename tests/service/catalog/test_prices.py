"""Loading price books, and the price of an account's meter at an instant."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from billing.accounts.tables import BillingAccount
from billing.catalog import activations, books, bootstrap, onboarding, plans, prices, subscriptions
from billing.catalog.errors import PlanExists, PriceExists, SubscriptionExists
from billing.catalog.items import Item
from billing.catalog.meters import METERS
from billing.catalog.prices import PriceTable
from billing.catalog.tables import Meter, PriceBook, PriceVersion, Sku
from billing.kernel.errors import NotFound
from billing.storage.database import Database
from billing.storage.tables import AuditRecord

NOW = datetime(2016, 12, 1, tzinfo=UTC)
CHANGE = datetime(2016, 12, 25, 6, tzinfo=UTC)
LATER = datetime(2017, 1, 1, tzinfo=UTC)


def book(code: str, *lines: tuple[str, str, str], currency: str = "USD") -> str:
    rows = "".join(
        f'[[prices]]\nsku = "{sku}"\nmodel = "per_unit"\nunit_price = {price}\nvalid_from = {valid_from}\n'
        for sku, price, valid_from in lines
    )
    return f'code = "{code}"\nname = "{code}"\ncurrency = "{currency}"\n{rows}'


EVER = "1970-01-01T00:00:00Z"


def load(database: Database, text: str) -> PriceBook:
    with database.transaction("jobs") as session:
        return activations.install(session, text, now=NOW, actor="cli:test")


def open_account(database: Database, code: str = "calla", **facts: str) -> BillingAccount:
    with database.transaction("jobs") as session:
        return onboarding.open_account(session, now=NOW, code=code, **facts)  # type: ignore[arg-type]


def table_of(database: Database, *account_ids: str) -> PriceTable:
    with database.reading("jobs") as session:
        return PriceTable.load(session, account_ids)


def unit_price(table: PriceTable, account_id: str, meter: str, at: datetime) -> str | None:
    price = table.price_at(account_id, Item(meter), at)
    return None if price is None else str(price.parameters["unit_price"])


def test_an_empty_database_has_the_default_prices_for_ever(database: Database) -> None:
    account = open_account(database)
    table = table_of(database, account.id)
    expected = {
        "wpk_upload": "0.10",
        "wpk_review": "0.05",
        "query": "0.01",
        "report": "0.25",
        "gib_hour": "0.02",
        "cpu_hour": "0.50",
        "memory_gib_hour": "0.10",
        "gpu_hour": "2.95",
        "token_input": None,
    }
    for at in (datetime(1970, 1, 1, tzinfo=UTC), NOW, datetime(2099, 1, 1, tzinfo=UTC)):
        assert {meter: unit_price(table, account.id, meter, at) for meter in expected} == expected
    assert table.edges(account.id, Item("cpu_hour"), NOW, LATER) == []
    price = table.price_at(account.id, Item("cpu_hour"), NOW)
    assert price is not None
    assert (price.sku_code, price.family, price.base_per_unit) == ("compute/cpu_hour", "compute", 3_600_000)


def test_installing_again_changes_nothing_also_at_once(database: Database) -> None:
    def count() -> list[int]:
        with database.reading("jobs") as session:
            tables = (Meter, Sku, PriceBook, PriceVersion, BillingAccount, AuditRecord)
            return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]

    def install(_: int) -> None:
        with database.transaction("jobs") as session:
            bootstrap.install(session, now=NOW)

    before = count()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(install, range(3)))
    assert count() == before
    assert before[0] == len(METERS)
    assert min(before[1:]) > 0


def test_a_new_price_takes_over_at_its_instant_and_cuts_windows_there(database: Database) -> None:
    account = open_account(database)
    load(database, book("default", ("compute/cpu_hour", "0.60", "2016-12-25T06:00:00Z")))
    table = table_of(database, account.id)
    assert unit_price(table, account.id, "cpu_hour", CHANGE - timedelta(milliseconds=1)) == "0.50"
    assert unit_price(table, account.id, "cpu_hour", CHANGE) == "0.60"
    assert table.edges(account.id, Item("cpu_hour"), NOW, LATER) == [CHANGE]
    assert table.edges(account.id, Item("cpu_hour"), CHANGE, LATER) == []
    assert table.edges(account.id, Item("cpu_hour"), NOW, CHANGE) == []
    assert table.edges(account.id, Item("gpu_hour"), NOW, LATER) == []


def test_the_same_content_again_gives_the_same_book(database: Database) -> None:
    first = load(database, book("acme", ("compute/cpu_hour", "0.50", EVER)))
    assert load(database, book("acme", ("compute/cpu_hour", '"0.5"', "1970-01-01T01:00:00+01:00"))).id == first.id
    second = load(database, book("acme", ("compute/cpu_hour", "0.50", EVER), ("analytics/query", "1", EVER)))
    assert (first.version, second.version) == (1, 2)
    with database.reading() as session:
        found = prices.list_prices(session, "acme")
    assert [(price.sku_code, price.parameters["unit_price"]) for price in found] == [
        ("analytics/query", "1"),
        ("compute/cpu_hour", "0.50"),
    ]


def test_books_loaded_at_once_are_one_book(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        loaded = list(pool.map(lambda _: load(database, book("acme", ("compute/cpu_hour", "1", EVER))).id, range(6)))
    assert len(set(loaded)) == 1


def test_a_price_that_stands_cannot_be_given_another_amount(database: Database) -> None:
    with pytest.raises(PriceExists) as refusal:
        load(database, book("default", ("analytics/query", "9", EVER), ("compute/cpu_hour", "0.51", EVER)))
    assert refusal.value.fields["sku"] == "analytics/query"
    with database.reading() as session:
        assert len(books.list_books(session, "default")) == 1


def test_a_price_hash_covers_what_the_price_says(database: Database) -> None:
    with database.reading() as session:
        rows = session.scalars(select(PriceVersion)).all()
        assert len({row.price_hash for row in rows}) == len(rows) > 8
        for row in rows:
            facts = {
                "book_code": row.book_code,
                "sku_code": row.sku_code,
                "currency": row.currency,
                "model": row.model,
                "parameters": row.parameters,
                "valid_from": row.valid_from,
            }
            assert prices.price_hash(**facts) == row.price_hash
            assert prices.price_hash(**{**facts, "parameters": {"unit_price": "0.000"}}) != row.price_hash


def test_an_account_pays_the_prices_of_its_own_currency(database: Database) -> None:
    load(database, book("default", ("compute/cpu_hour", "0.45", EVER), currency="EUR"))
    euro, dollar, yen = (
        open_account(database, code, currency=currency) for code, currency in (("a", "EUR"), ("b", "USD"), ("c", "JPY"))
    )
    table = table_of(database, euro.id, dollar.id, yen.id)
    assert [unit_price(table, account.id, "cpu_hour", NOW) for account in (euro, dollar, yen)] == ["0.45", "0.50", None]


def test_a_change_of_plan_changes_the_price_from_its_instant_on(database: Database) -> None:
    account = open_account(database)
    load(database, book("acme", ("compute/cpu_hour", "0.40", EVER)))
    with database.transaction("jobs") as session:
        plans.create_plan(session, now=NOW, code="acme", name="Acme", book_code="acme")
        made = subscriptions.subscribe(session, now=NOW, account_id=account.id, plan_code="acme", valid_from=CHANGE)
        again = subscriptions.subscribe(session, now=NOW, account_id=account.id, plan_code="acme", valid_from=CHANGE)
        assert made.id == again.id
        with pytest.raises(SubscriptionExists):
            subscriptions.subscribe(session, now=NOW, account_id=account.id, valid_from=CHANGE)
    table = table_of(database, account.id)
    assert unit_price(table, account.id, "cpu_hour", CHANGE - timedelta(seconds=1)) == "0.50"
    assert unit_price(table, account.id, "cpu_hour", CHANGE) == "0.40"
    assert table.edges(account.id, Item("cpu_hour"), NOW, LATER) == [CHANGE]
    # The new plan's book has no price for GPUs: none is charged from there on, and the window is cut.
    assert unit_price(table, account.id, "gpu_hour", CHANGE) is None
    assert table.edges(account.id, Item("gpu_hour"), NOW, LATER) == [CHANGE]


def test_a_change_to_a_plan_with_the_same_price_is_no_edge(database: Database) -> None:
    account = open_account(database)
    with database.transaction("jobs") as session:
        plans.create_plan(session, now=NOW, code="twin", name="Twin", book_code="default")
        subscriptions.subscribe(session, now=NOW, account_id=account.id, plan_code="twin", valid_from=CHANGE)
    assert table_of(database, account.id).edges(account.id, Item("cpu_hour"), NOW, LATER) == []


def test_a_plans_new_version_brings_another_book(database: Database) -> None:
    account = open_account(database)
    load(
        database, book("acme", ("compute/cpu_hour", "0.40", EVER), ("compute/cpu_hour", "0.30", "2017-01-01T00:00:00Z"))
    )
    with database.transaction("jobs") as session:
        plans.change(session, now=NOW, code="default", book_code="acme", valid_from=CHANGE)
        plans.change(session, now=NOW, code="default", book_code="acme", valid_from=CHANGE)
        with pytest.raises(PlanExists):
            plans.change(session, now=NOW, code="default", book_code="default", valid_from=CHANGE)
        with pytest.raises(NotFound):
            plans.change(session, now=NOW, code="default", book_code="nowhere", valid_from=LATER)
    table = table_of(database, account.id)
    instants = (NOW, CHANGE, LATER)
    assert [unit_price(table, account.id, "cpu_hour", at) for at in instants] == ["0.50", "0.40", "0.30"]
    assert table.edges(account.id, Item("cpu_hour"), NOW, LATER + timedelta(days=1)) == [CHANGE, LATER]


def test_before_a_plan_or_price_begins_there_is_none(database: Database) -> None:
    account = open_account(database)
    load(database, book("late", ("compute/cpu_hour", "0.40", "2017-01-01T00:00:00Z")))
    with database.transaction("jobs") as session:
        plans.create_plan(session, now=NOW, code="late", name="Late", book_code="late", valid_from=CHANGE)
        subscriptions.subscribe(session, now=NOW, account_id=account.id, plan_code="late", valid_from=NOW)
    table = table_of(database, account.id)
    instants = (NOW - timedelta(seconds=1), NOW, CHANGE, LATER)
    assert [unit_price(table, account.id, "cpu_hour", at) for at in instants] == ["0.50", None, None, "0.40"]
    assert table.price_at(account.id, Item("cpu_hour"), datetime(1969, 12, 31, tzinfo=UTC)) is None
    assert table.edges(account.id, Item("cpu_hour"), datetime(1960, 1, 1, tzinfo=UTC), LATER)[1:] == [NOW]


def test_prices_of_an_unknown_account_are_refused(database: Database) -> None:
    with database.reading() as session, pytest.raises(NotFound):
        PriceTable.load(session, ["bac_none"])
