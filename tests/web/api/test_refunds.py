"""Refunds in the API: asked for in each way, shown with their history, taken back, and asked for by finance."""

from collections.abc import Iterator

import pytest
from flask import Flask

from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.api.machines import machine, staff_machine
from tests.web.tenants import Lived

REFUNDS = "/billing/refunds"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


def body(calla: Lived, minor: int = 1_000, **more: object) -> dict[str, object]:
    amount = {"amount_minor": minor, "currency": "USD"}
    return {"mode": "card", "payment_id": calla.payment.id, "amount": amount, "reason": "Paid twice", **more}


def test_a_request_is_shown_with_its_history_and_the_rule_of_its_limit(
    app: Flask, database: Database, calla: Lived
) -> None:
    caller = machine(app, database, "calla")
    asked = caller.post(REFUNDS, body(calla), Idempotency_Key="one")
    assert (asked.status_code, asked.json["state"], asked.json["outcome"]) == (201, "requested", None)
    again = caller.post(REFUNDS, body(calla), Idempotency_Key="one")
    assert (again.json["id"], again.headers["Idempotency-Replayed"]) == (asked.json["id"], "true")
    shown = caller.get(f"{REFUNDS}/{asked.json['id']}").json
    assert [step["type"] for step in shown["steps"]] == ["requested"]
    assert shown["policy"]["limit"] == {"amount_minor": 10_000, "currency": "USD"}
    calla.house.approve_refund(calla.house.refund(asked.json["id"]))
    shown = caller.get(f"{REFUNDS}/{asked.json['id']}").json
    assert [(step["type"], step["state"]) for step in shown["steps"]] == [
        ("requested", "requested"),
        ("approved", "approved"),
    ]
    assert caller.get(f"{REFUNDS}/rfd_of_nobody").status_code == 404


def test_a_request_is_taken_back_once_and_only_before_its_decision(
    app: Flask, database: Database, calla: Lived
) -> None:
    caller = machine(app, database, "calla")
    first, second = (
        caller.post(REFUNDS, body(calla, 1_000), Idempotency_Key=f"ask-{number}").json for number in range(2)
    )
    ended = caller.post(f"{REFUNDS}/{first['id']}:cancel", {}, Idempotency_Key="cancel-1")
    assert (ended.status_code, ended.json["state"], ended.json["outcome"]) == (200, "rejected", "withdrawn")
    assert caller.post(f"{REFUNDS}/{first['id']}:cancel", {}, Idempotency_Key="cancel-2").status_code == 200
    calla.house.approve_refund(calla.house.refund(second["id"]))
    late = caller.post(f"{REFUNDS}/{second['id']}:cancel", {}, Idempotency_Key="cancel-3")
    assert (late.status_code, late.json["code"]) == (409, "already_decided")
    calla.house.account("stranger")
    stranger = machine(app, database, "stranger")
    assert stranger.post(f"{REFUNDS}/{first['id']}:cancel", {}, Idempotency_Key="cancel-4").status_code == 404


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "bank"},
        {"mode": "credit"},
        {"payee": {"name": "Calla", "iban": "DE89370400440532013000"}},
        {"payment_id": None},
    ],
)
def test_a_request_that_does_not_say_where_the_money_goes_is_refused(
    app: Flask, database: Database, calla: Lived, change: dict[str, object]
) -> None:
    answer = machine(app, database, "calla").post(REFUNDS, body(calla, **change), Idempotency_Key="one")
    assert (answer.status_code, answer.json["code"]) == (422, "invalid_body")


def test_finance_lists_and_asks_by_a_persons_id_and_by_an_accounts(
    app: Flask, database: Database, calla: Lived
) -> None:
    ops = staff_machine(app, database)
    asked = ops.post(f"/admin/users/{calla.account_id}/refunds", body(calla), Idempotency_Key="ops")
    assert (asked.status_code, asked.json["origin"], asked.json["decided_by"]) == (201, "request", None)
    for key in ("calla", calla.account_id):
        found = ops.get(f"/admin/users/{key}/refunds").json
        assert [row["id"] for row in found["data"]] == [asked.json["id"]]
    assert ops.get("/admin/users/usr_of_nobody/refunds").status_code == 404
    above = ops.post("/admin/users/calla/refunds", body(calla, 9_001), Idempotency_Key="more")
    assert (above.status_code, above.json["code"]) == (409, "above_refundable")
    assert machine(app, database, "calla").get("/admin/users/calla/refunds").status_code == 403
