"""The balance at the provider at the operators' desk: ours beside theirs, movements, payouts, and booking by two persons."""

import csv
import io
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.payments.cash import movement_list, payout_list, sync
from billing.payments.cash.movement_list import Filters, MovementRow
from billing.storage.database import Database
from tests.web import operators
from tests.web.api.machines import staff_machine
from tests.web.operators import NOW, House, act
from tests.web.pages import Page


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    """A payment of 500.00 that was paid out, and a fee of 5.00 that nobody explained."""
    house = House(app, database)
    house.top_up(house.account("calla"), 50_000)
    house.sandbox.pay_out("USD", now=NOW, available_by=NOW + timedelta(days=3))
    with house.sandbox.database.transaction() as session:
        source = {"id": "fee_1", "object": "fee", "currency": "usd"}
        house.sandbox.move(session, type="stripe_fee", source=source, amount=-500, now=NOW)
    sync.sync(database, {"sandbox": house.sandbox}, now=NOW)
    return house


def movement(database: Database, type: str) -> MovementRow:
    with database.reading("jobs") as session:
        [row] = movement_list.list_movements(session, Filters(type=type))
    return row


def test_ours_stands_beside_the_providers_with_every_movement(
    browser: Callable[..., FlaskClient], house: House
) -> None:
    client = browser(staff="viewer")
    page = Page(client.get("/operator/provider-balance"))
    # 500.00 - 14.80 fee were paid out whole; the fee of 5.00 is not in our books.
    [held] = page.rows("held-table")
    assert held[1:] == ["USD 0.00", "USD −5.00", "USD −485.20", "USD 480.20", "USD 5.00", "USD −5.001 movement"]
    kinds = [row[0].split("2")[0] for row in page.rows("movements")]
    assert sorted(kinds) == ["Fee of the provider", "Payment", "Payout"]
    only = Page(client.get("/operator/provider-balance?state=waiting&type=stripe_fee"))
    assert [row[5] for row in only.rows("movements")] == ["USD −5.00"]
    none = Page(client.get("/operator/provider-balance?id=nothing-like-it"))
    assert "No movement matches" in none.text
    wrong = Page(client.get("/operator/provider-balance?state=nonsense"))
    assert "nonsense" in wrong.text


def test_file_has_the_movements_of_the_list(browser: Callable[..., FlaskClient], house: House) -> None:
    client = browser(staff="viewer")
    answer = client.get("/operator/provider-balance.csv?type=charge")
    [row] = csv.DictReader(io.StringIO(answer.text))
    assert (row["amount"], row["fee"], row["net"], row["state"]) == ("500", "14.8", "485.2", "explained")
    assert client.get("/operator/provider-balance.csv?type=nothing").status_code == 422


def test_movement_names_what_explains_it_and_payout_what_it_contains(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    client = browser(staff="viewer")
    page = Page(client.get(f"/operator/provider-balance/movements/{movement(database, 'charge').id}"))
    assert page.h1 == "Payment of USD 500.00"
    assert [row[1] for row in page.rows("sum-table")] == ["USD 500.00", "USD −14.80", "USD 485.20"]
    assert [row[1].split("payment")[0].split("processor")[0] for row in page.rows("parts-table")] == [
        "The amount",
        "The fee",
    ]
    with database.reading("jobs") as session:
        [payout] = payout_list.list_payouts(session, payout_list.Filters())
    shown = Page(client.get(f"/operator/provider-balance/payouts/{payout.id}"))
    assert shown.rows("contents-table") == [
        ["Payment", "1", "USD 500.00", "USD −14.80", "USD 485.20"],
        ["Sum", "", "", "", "USD 485.20"],
    ]
    assert "The sum is the payout's amount" in shown.text
    assert client.get("/operator/provider-balance/payouts/ppo_nothing").status_code == 404
    assert client.get("/operator/provider-balance/movements/pbt_nothing").status_code == 404


def test_fee_is_asked_for_by_one_and_booked_by_another(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    maker, fee = browser(staff="maker"), movement(database, "stripe_fee")
    url = f"/operator/provider-balance/movements/{fee.id}/book"
    page = Page(maker.get(url))
    assert page.rows("entry-table") == [
        ["Fee of the payment provider", "Payment fees", "Cash, stripe", "USD 5.00"],
    ]
    assert act(maker, url, seller="house", reason="").status_code == 422
    asked = act(maker, url, seller="house", reason="The monthly fee")
    assert asked.status_code == 303
    approval = asked.headers["Location"]
    approver = browser(staff="approver")
    shown = Page(approver.get(approval))
    assert "Booking of a movement at the provider of USD" in shown.h1.replace("\xa0", " ")
    assert maker.get(f"{approval}/approve").status_code == 403
    assert act(approver, f"{approval}/approve").status_code == 303
    assert movement(database, "stripe_fee").state == "booked"
    assert browser(staff="viewer").get(url).status_code in (302, 303, 403)


def test_sandbox_bank_pays_out_and_sends_back(
    browser: Callable[..., FlaskClient], house: House, database: Database
) -> None:
    maker = browser(staff="maker")
    page = Page(maker.get("/sandbox/payouts"))
    assert page.h1 == "Sandbox bank"
    nothing = act(maker, "/sandbox/payouts", currency="USD", how="automatic")
    assert nothing.status_code == 409
    assert "Nothing is available" in Page(nothing).text
    [sent] = house.sandbox.list_payouts()
    assert maker.post(f"/sandbox/payouts/{sent.id}/fail", data=page.form_values()).status_code == 303
    assert movement(database, "payout_failure").state == "booked"
    with database.reading("jobs") as session:
        [payout] = payout_list.list_payouts(session, payout_list.Filters())
    assert payout.state == "failed"
    assert browser(staff="viewer").get("/sandbox/payouts").status_code == 403


def test_machines_of_finance_read_it_by_pages(app: Flask, database: Database, house: House) -> None:
    machine = staff_machine(app, database, "finance.read")
    first = machine.get("/admin/payments/balance-transactions", limit="2").json
    assert [one["difference"] for one in first["balances"]] == [{"amount_minor": 500, "currency": "USD"}]
    more = machine.get("/admin/payments/balance-transactions", limit="2", cursor=first["next_cursor"]).json
    found = [one["net"]["amount_minor"] for one in (*first["data"], *more["data"])]
    assert sorted(found) == [-48_520, -500, 48_520]
    assert more["next_cursor"] is None
