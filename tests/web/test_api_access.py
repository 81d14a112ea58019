"""Keys: who may call what, whose account a call is about, and the words in which the API refuses."""

import re
from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import keys, permissions
from billing.storage.database import Database
from portal.api.routes.all import ROUTES
from portal.api.routes.route import Route
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import machine, problem, service_machine, staff_machine
from tests.web.operators import House

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def path_of(route: Route) -> str:
    return re.sub(r"<\w+>", "x", route.path)


@ONE_ENGINE
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "header", [None, "Bearer", "Bearer plk_000000000000_" + "x" * 43, "Basic eDp5", "Bearer \u00e9", "plk_x"]
)
def test_without_a_valid_key_nothing_is_answered(client: FlaskClient, route: Route, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.open(f"/api/v1{path_of(route)}", method=route.method, headers=headers)
    assert problem(answer)[:2] == (401, "key_refused")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@ONE_ENGINE
def test_each_route_needs_its_scope_and_no_other_helps(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    for route in ROUTES:
        needed = route.view.access.removeprefix("key:")  # type: ignore[attr-defined]
        if needed in permissions.STAFF_SCOPES:
            continue  # no tenant's key can have it: the test below
        others = permissions.SCOPES - {needed}
        refused = machine(app, database, "calla", *others)
        answer = refused.client.open(
            f"/api/v1{path_of(route)}", method=route.method, headers={"Authorization": f"Bearer {refused.key}"}
        )
        assert problem(answer)[:2] == (403, "insufficient_scope"), route.path
        assert needed in answer.headers["WWW-Authenticate"]
        allowed = machine(app, database, "calla", needed)
        answer = allowed.client.open(
            f"/api/v1{path_of(route)}", method=route.method, headers={"Authorization": f"Bearer {allowed.key}"}
        )
        assert answer.status_code not in (401, 403, 500), route.path


@ONE_ENGINE
def test_a_route_of_the_operators_machines_needs_its_scope_and_no_tenants_key_opens_it(
    app: Flask, database: Database
) -> None:
    House(app, database).account("calla")
    tenants, asked = machine(app, database, "calla"), 0
    for route in ROUTES:
        needed = route.view.access.removeprefix("key:")  # type: ignore[attr-defined]
        if needed not in permissions.STAFF_SCOPES:
            continue
        others = staff_machine(app, database, *(permissions.STAFF_SCOPES - {needed}))
        for refused in (tenants, others):
            answer = refused.send(route.method, path_of(route), "")
            assert problem(answer)[:2] == (403, "insufficient_scope"), route.path
        answer = staff_machine(app, database, needed).send(route.method, path_of(route), "")
        assert answer.status_code not in (401, 403, 500), route.path
        asked += 1
    assert asked > 5


@ONE_ENGINE
def test_a_revoked_key_opens_nothing(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    own_key = machine(app, database, "calla")
    assert own_key.get("/billing/balance").status_code == 200
    with database.transaction("jobs") as session:
        key = keys.verify(session, own_key.key, now=operators.NOW)
        keys.revoke(session, now=operators.NOW, key_id=key.id)
    assert own_key.get("/billing/balance").status_code == 401


@ONE_ENGINE
def test_a_session_cookie_is_no_key(app: Flask, database: Database) -> None:
    from tests.web import conftest

    client = app.test_client()
    conftest.ensure_person(database, "ann@example.com", account="calla")
    conftest.sign_in(client, "ann@example.com")
    assert client.get("/api/v1/billing/balance").status_code == 401


def test_another_tenants_objects_are_absent_on_every_route(app: Flask, database: Database) -> None:
    house = House(app, database)
    own, foreign = house.account("calla", Use(10_000)), house.account("taifl", Use(20_000))
    payment = house.top_up(foreign, 5_000)
    invoice = operators.world.issued(database, foreign)
    own_key = machine(app, database, "calla")
    with database.reading() as session:
        from billing.rating import lines

        line = lines.list_lines(session, foreign).rows[0]
    money = {"amount_minor": 100, "currency": "USD"}
    refused = [
        own_key.get("/billing/balance", account="taifl"),
        own_key.get("/billing/usage/summary", account="taifl"),
        own_key.get("/billing/rated-usage", account="taifl"),
        own_key.get(f"/billing/rated-usage/{line.id}"),
        own_key.get(f"/billing/rated-usage/{line.id}", account="taifl"),
        own_key.get("/billing/invoices", account="taifl"),
        own_key.get(f"/billing/invoices/{invoice.id}"),
        own_key.get(f"/billing/invoices/{invoice.number}"),
        own_key.get(f"/billing/invoices/{invoice.number}.pdf"),
        own_key.get("/billing/refunds", account="taifl"),
        own_key.get("/billing/balance", account="house:house"),
        own_key.post(
            "/billing/refunds",
            {"mode": "card", "payment_id": payment.id, "amount": money, "reason": "x"},
            **{"Idempotency-Key": "a"},
        ),
        own_key.post(
            "/billing/refunds",
            {"account": "taifl", "mode": "card", "payment_id": payment.id, "amount": money, "reason": "x"},
            **{"Idempotency-Key": "b"},
        ),
        own_key.post(
            "/payments/checkout-session",
            {"purpose": "invoice", "invoice_id": invoice.id},
            **{"Idempotency-Key": "c"},
        ),
        own_key.post(
            "/payments/checkout-session",
            {"account": "taifl", "purpose": "top_up", "amount": money},
            **{"Idempotency-Key": "d"},
        ),
        own_key.post(
            "/metering/allocations",
            {
                "type": "released",
                "id": "e",
                "allocation_id": "a",
                "account": "taifl",
                "time": "2026-11-21T11:00:00Z",
            },
        ),
    ]
    assert [problem(answer)[:2] for answer in refused] == [(404, "not_found")] * len(refused)
    # The same words for what does not exist at all: nothing is learned from the difference.
    nowhere, theirs = (
        own_key.get("/billing/balance", account="nobody"),
        own_key.get("/billing/balance", account="taifl"),
    )
    assert nowhere.json["detail"] == theirs.json["detail"]
    assert own_key.get("/billing/balance").json["account"] == "calla"
    assert own != foreign


def test_a_service_key_names_the_tenants_it_lists_and_no_other(app: Flask, database: Database) -> None:
    house = House(app, database)
    for code in ("calla", "taifl", "quiet"):
        house.account(code)
    service = service_machine(app, database, "calla", "taifl")
    assert service.get("/billing/balance", account="taifl").json["account"] == "taifl"
    assert service.get("/billing/balance", account="calla").json["account"] == "calla"
    assert problem(service.get("/billing/balance")) == (422, "invalid", "account_needed")
    refused = [service.get("/billing/balance", account=code) for code in ("quiet", "nobody", "house:house")]
    assert [problem(answer)[:2] for answer in refused] == [(404, "not_found")] * 3
    assert {answer.json["detail"] for answer in refused} == {refused[1].json["detail"]}


@ONE_ENGINE
@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b"", "application/json", (400, "body_not_json")),
        (b"{", "application/json", (400, "body_not_json")),
        (b'{"a": NaN}', "application/json", (400, "body_not_json")),
        (b'{"a": Infinity}', "application/json", (400, "body_not_json")),
        (b'{"a": 1, "a": 2}', "application/json", (400, "body_not_json")),
        (b'{"a": "\\ud800"}', "application/json", (400, "body_not_json")),
        (b'"\xff"', "application/json", (400, "body_not_json")),
        (b"[" * 100_000, "application/json", (400, "body_not_json")),
        (b'{"a": 1' + b"0" * 5000 + b"}", "application/json", (400, "body_not_json")),
        (b"{}", "text/plain", (415, "unsupported_media_type")),
        (b"a=b", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b"[]", "application/json", (422, "invalid_body")),
        (b"{}", "application/json", (422, "invalid_body")),
        (b"null", "application/json", (422, "invalid_body")),
        (b'{"mode": "card", "surprise": 1}', "application/json", (422, "invalid_body")),
    ],
)
def test_bodies_are_read_strictly(
    app: Flask, database: Database, body: bytes, content_type: str, expected: tuple[int, str]
) -> None:
    House(app, database).account("calla")
    own_key = machine(app, database, "calla")
    answer = own_key.post("/billing/refunds", body, **{"Content-Type": content_type, "Idempotency-Key": "k"})
    assert problem(answer)[:2] == expected


@ONE_ENGINE
def test_faults_of_a_body_are_told_by_json_pointer(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    body = {
        "mode": "card",
        "payment_id": "p",
        "reason": "",
        "amount": {"amount_minor": 1.5, "currency": "usd"},
        "a/b": 1,
    }
    answer = machine(app, database, "calla").post("/billing/refunds", body, **{"Idempotency-Key": "k"})
    assert problem(answer)[:2] == (422, "invalid_body")
    assert {error["pointer"] for error in answer.json["errors"]} == {
        "/reason",
        "/amount/amount_minor",
        "/amount/currency",
        "/a~1b",
    }


@ONE_ENGINE
@pytest.mark.parametrize(
    ("path", "query", "reason"),
    [
        ("/billing/invoices", {"limit": "0"}, "limit_out_of_range"),
        ("/billing/invoices", {"limit": "201"}, "limit_out_of_range"),
        ("/billing/invoices", {"limit": "1e2"}, "limit_out_of_range"),
        ("/billing/invoices", {"limit": "\u0663"}, "limit_out_of_range"),
        ("/billing/invoices", {"cursor": "abc"}, "bad_cursor"),
        ("/billing/invoices", {"state": "draft"}, "unknown_choice"),
        ("/billing/invoices", {"sate": "paid"}, "unknown_parameter"),
        ("/billing/invoices", {"period": "2026-13"}, "not_a_month"),
        ("/billing/rated-usage", {"from": "yesterday"}, "not_an_instant"),
        ("/billing/rated-usage", {"from": "2026-11-21T00:00:00"}, "naive_time"),
        ("/billing/rated-usage", {"from": "0001-01-01T00:00:00+23:59"}, "not_an_instant"),
        ("/billing/rated-usage", {"meter": "x\x00"}, "bad_parameter"),
        ("/billing/usage/summary", {"by": "week"}, "unknown_choice"),
        ("/billing/usage/summary", {"meter": "beer"}, "unknown_meter"),
        ("/billing/usage/summary", {"zone": "Mars/Olympus"}, "unknown_zone"),
        ("/billing/refunds", {"state": "' OR 1=1 --"}, "unknown_choice"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused(
    app: Flask, database: Database, path: str, query: dict[str, str], reason: str
) -> None:
    House(app, database).account("calla")
    answer = machine(app, database, "calla").get(path, **query)
    assert problem(answer) == (422, "invalid", reason)


@ONE_ENGINE
def test_a_body_above_four_megabytes_is_refused(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    answer = machine(app, database, "calla").post("/billing/usage:ingest", b" " * (4 * 2**20 + 1))
    assert problem(answer)[0] == 413
