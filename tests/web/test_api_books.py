"""The books by API: statement, balance as of an instant, and reconciliation for the operator's machines."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from billing.kernel import clock as kernel_clock
from billing.storage.database import Database
from tests.service.invoicing import world as invoicing_world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import BASE, Machine, problem, staff_machine
from tests.web.api.machines import machine as machine_of
from tests.web.operators import NOW, House


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


@pytest.fixture
def account_id(house: House) -> str:
    return house.account("calla", Use(10_000))


@pytest.fixture
def machine(app: Flask, database: Database, account_id: str) -> Machine:
    return machine_of(app, database, "calla")


def _get(machine: Machine, path: str) -> TestResponse:
    return machine.client.get(f"{BASE}{path}", headers=machine.headers)


def test_a_statement_says_opening_movements_and_closing_and_pages_through_them(
    house: House, database: Database, account_id: str, machine: Machine
) -> None:
    house.top_up(account_id, 2_500)
    invoicing_world.issued(database, account_id)
    whole = machine.get("/billing/statement").json
    assert whole is not None
    assert whole["opening"] == {"amount_minor": 0, "currency": "USD"}
    moved = sum(one["amount_minor"] for one in whole["by_kind"].values())
    assert moved == whole["closing"]["amount_minor"] == machine.get("/billing/balance").json["balance"]["amount_minor"]
    assert sum(one["amount"]["amount_minor"] for one in whole["data"]) == moved
    first = _get(machine, "/billing/statement?limit=1").json
    assert first["data"] == whole["data"][:1]
    second = _get(machine, f"/billing/statement?limit=1&cursor={first['next_cursor']}").json
    assert second["data"] == whole["data"][1:2]
    issue = _get(machine, "/billing/statement?kind=invoice_issue").json
    assert [one["type"] for one in issue["data"]] == ["issue"]
    assert issue["data"][0]["balance"]["amount_minor"] == issue["closing"]["amount_minor"]


def test_nothing_of_another_range_is_in_a_statement_and_it_still_adds_up(account_id: str, machine: Machine) -> None:
    later = kernel_clock.to_rfc3339(NOW + timedelta(days=2))
    found = _get(machine, f"/billing/statement?from={later}").json
    assert found["data"] == []
    assert found["opening"] == found["closing"]
    assert found["opening"]["amount_minor"] != 0
    before = _get(machine, "/billing/statement?to=2016-01-01T00:00:00Z").json
    assert (before["data"], before["closing"]["amount_minor"]) == ([], 0)


def test_the_balance_is_given_as_of_an_instant(account_id: str, machine: Machine) -> None:
    then = _get(machine, "/billing/balance?as_of=2016-01-01T00:00:00Z").json
    assert then["balance"]["amount_minor"] == 0
    assert then["as_of"] == "2016-01-01T00:00:00Z"
    assert machine.get("/billing/balance").json["balance"]["amount_minor"] != 0


@pytest.mark.parametrize(
    "query", ["kind=gift", "from=yesterday", "from=2026-10-02T00:00:00Z&to=2026-10-01T00:00:00Z", "cursor=x", "sort=a"]
)
def test_a_statement_that_cannot_be_given_is_refused(machine: Machine, query: str) -> None:
    assert problem(_get(machine, f"/billing/statement?{query}"))[0] in (400, 422)


def test_the_operators_machine_compares_and_reads_what_differs(
    app: Flask, database: Database, house: House, account_id: str, machine: Machine
) -> None:
    ops = staff_machine(app, database, "finance.read", "finance.run")
    made = ops.post("/admin/billing/reconciliation", {}, Idempotency_Key="r1")
    assert made.status_code == 201, made.text
    assert made.json["checked"] > 0
    assert made.json["differences"] == []
    again = ops.post("/admin/billing/reconciliation", {}, Idempotency_Key="r1")
    assert again.json["run"]["id"] == made.json["run"]["id"]
    listed = ops.get("/admin/billing/reconciliation").json
    assert [run["id"] for run in listed["runs"]] == [made.json["run"]["id"]]
    assert listed["data"] == []
    assert set(listed["runs"][0]["stages"]) >= {"usage_rated", "settlements"}
    refused = ops.post("/admin/billing/reconciliation", {"period": "2026-13"}, Idempotency_Key="r2")
    assert problem(refused)[0] in (400, 422)
    assert machine.get("/admin/billing/reconciliation").status_code == 403
