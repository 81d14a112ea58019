"""Plans, subscriptions and prices over the API: a tenant reads its own, the operator's machines store and assign."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask

from billing.storage.database import Database
from tests.service.catalog import world
from tests.service.rating import world as rating
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import machine, problem, staff_machine

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
YEAR_2030 = "2030-01-01T00:00:00Z"
GOLD = {
    "code": "gold",
    "name": "Gold",
    "book": "gpu-cloud",
    "terms": {
        "fees": ["platform"],
        "minimum": {"USD": "1000.00"},
        "percentages": [{"code": "support", "percent": 2.5, "families": ["gpu"]}],
    },
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def test_a_plan_is_stored_and_an_account_put_on_it(app: Flask, database: Database) -> None:
    world.open_account(database, "calla")
    ops = staff_machine(app, database, "finance.read", "prices.change")
    stored = ops.post("/billing/plans", GOLD, Idempotency_Key="plan-1")
    assert stored.status_code == 201, stored.json
    assert stored.json["terms"]["minimums"] == [{"amount_minor": 100_000, "currency": "USD"}]
    assert stored.json["terms"]["percentages"] == [{"code": "support", "percent": "2.5", "families": ["gpu"]}]
    again = ops.post("/billing/plans", GOLD, Idempotency_Key="plan-1")
    assert again.headers["Idempotency-Replayed"] == "true"
    body = {"plan": "gold", "valid_from": YEAR_2030}
    made = ops.post("/billing/tenants/calla/subscriptions", body, Idempotency_Key="sub-1")
    assert made.status_code == 201, made.json
    assert (made.json["plan"], made.json["from"], made.json["until"]) == ("gold", YEAR_2030, None)
    listed = ops.get("/admin/billing/pricing-plans").json
    assert {row["plan"] for row in listed["data"]} >= {"default", "gpu-cloud", "gold"}
    own = machine(app, database, "calla", "billing.read")
    assert [row["plan"] for row in own.get("/billing/tenants/calla/subscriptions").json["data"]] == ["default", "gold"]
    states = [(row["plan"]["plan"], row["state"]) for row in own.get("/billing/plans").json["data"]]
    assert states == [("default", "in_force"), ("gold", "coming")]


def test_a_price_list_says_the_prices_of_an_instant_and_marks_own_ones(app: Flask, database: Database) -> None:
    people, account_id = world.staff(database), world.open_account(database, "calla")
    start = datetime(2030, 1, 1, tzinfo=UTC)
    world.override(database, people, world.want(database, account_id, from_at=start))
    own = machine(app, database, "calla", "billing.read")

    def cpu(**query: str) -> tuple[object, bool]:
        answer = own.get("/billing/prices", **query).json
        assert (answer["plan"], answer["version"]) == ("default", 1)
        [row] = [row for row in answer["data"] if row["sku"] == "compute/cpu_hour"]
        assert (row["unit"], row["mode"], row["currency"]) == ("core-hour", "on_demand", "USD")
        return row["parameters"], row["is_own"]

    assert cpu() == ({"unit_price": "0.50"}, False)
    assert cpu(at=YEAR_2030) == ({"unit_price": "0.3"}, True)


def test_a_strangers_plans_are_as_absent_as_none_and_tenants_store_none(app: Flask, database: Database) -> None:
    for code in ("calla", "oak"):
        world.open_account(database, code)
    own = machine(app, database, "calla")
    for tenant in ("oak", "nobody"):
        assert own.get(f"/billing/tenants/{tenant}/subscriptions").status_code == 404
    assert own.get("/billing/plans", account="oak").status_code == 404
    assert own.get("/admin/billing/pricing-plans").status_code == 403
    assert own.post("/billing/plans", GOLD, Idempotency_Key="x").status_code == 403
    body = {"plan": "gpu-cloud", "valid_from": YEAR_2030}
    assert own.post("/billing/tenants/calla/subscriptions", body, Idempotency_Key="x").status_code == 403


def test_what_cannot_be_stored_is_a_problem_with_its_reason(app: Flask, database: Database) -> None:
    account_id = rating.open_account(database)
    rating.use(database, account_id, Use(600))
    rating.rate(database, account_id)
    ops = staff_machine(app, database, "prices.change")
    wrong = GOLD | {"terms": {"minimum": {"USD": "-1"}}}
    assert problem(ops.post("/billing/plans", wrong, Idempotency_Key="a")) == (422, "invalid", "not_positive")
    missing = ops.post("/billing/plans", GOLD | {"book": "none"}, Idempotency_Key="b")
    assert problem(missing)[:2] == (404, "not_found")
    back = {"plan": "gpu-cloud", "valid_from": "2026-10-01T00:00:00Z"}
    rated = ops.post("/billing/tenants/acme/subscriptions", back, Idempotency_Key="c")
    assert problem(rated)[:2] == (409, "already_rated")
    nobody = ops.post("/billing/tenants/nobody/subscriptions", back, Idempotency_Key="d")
    assert problem(nobody)[:2] == (404, "not_found")
