"""What all routes share: problems, repeats, tags, limits, pages, and how strictly everything is read."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from billing.controls.tables import BudgetPolicy
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.tables import PaymentSession
from billing.storage import idempotency
from billing.storage.database import Database
from billing.storage.idempotency import Answer, Claim
from billing.storage.tables import IdempotencyClaim, IdempotencyKey
from portal import create_app
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import Machine, machine, problem
from tests.web.operators import NOW, House

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
BUDGETS, CHECKOUT = "/billing/budgets", "/payments/checkout-session"
TOP_UP = {"purpose": "top_up", "amount": {"amount_minor": 5_000, "currency": "USD"}}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Machine:
    House(app, database).account("calla", Use(10_000))
    return machine(app, database, "calla")


def plan(name: str = "All", minor: int = 1_000, **more: Any) -> dict[str, Any]:
    return {"name": name, "amount": {"amount_minor": minor, "currency": "USD"}, **more}


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def count(database: Database, table: type) -> int:
    with database.reading() as session:
        return int(session.execute(select(func.count()).select_from(table)).scalar_one())


# ---------------------------------------------------------------- problems


@ONE_ENGINE
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_does_not_exist_is_a_problem(calla: Machine, method: str) -> None:
    assert problem(calla.send(method, "/nothing/here", "{}"))[:2] == (404, "not_found")
    assert problem(calla.get("/billing/budgets/bud_x"))[:2] == (404, "not_found")


@ONE_ENGINE
def test_a_method_that_a_route_does_not_take_is_a_problem_that_names_the_others(calla: Machine) -> None:
    answer = calla.send("DELETE", "/billing/balance", "")
    assert problem(answer)[:2] == (405, "method_not_allowed")
    assert {"GET", "HEAD"} <= set(answer.headers["Allow"].split(", "))


@ONE_ENGINE
def test_headers_above_32_kb_and_bodies_above_4_mb_are_refused(calla: Machine) -> None:
    assert problem(calla.get("/billing/balance", headers={"X-Filler": "x" * 33_000}))[:2] == (431, "headers_too_large")
    assert problem(calla.post("/billing/usage:ingest", b"[" + b" " * (4 * 2**20)))[:2] == (
        413, "request_entity_too_large",
    )  # fmt: skip


@ONE_ENGINE
def test_another_host_is_a_problem_too(app: Flask, calla: Machine) -> None:
    answer = app.test_client().get("/api/v1/billing/balance", headers={**calla.headers, "Host": "evil.example"})
    assert problem(answer)[:2] == (400, "untrusted_host")


@ONE_ENGINE
def test_a_fault_of_ours_says_nothing_but_the_request_id(app: Flask, calla: Machine, caplog: Any) -> None:
    app.config["PROPAGATE_EXCEPTIONS"] = False
    app.view_functions["api.show_balance"] = lambda: 1 / 0
    app.view_functions["api.show_balance"].access = "key:billing.read"  # type: ignore[attr-defined]
    answer = calla.get("/billing/balance", headers={"X-Request-ID": "from-the-caller"})
    assert problem(answer)[:2] == (500, "internal_error")
    assert answer.json["request_id"] == "from-the-caller"
    assert "division" not in answer.get_data(as_text=True)
    assert "division" in caplog.text


@ONE_ENGINE
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"a": ' + b"[" * 25 + b"]" * 25 + b"}", "body_not_json"),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}", "body_not_json"),
        (b'{"a": 1e999999999}', "body_not_json"),
        (b'{"a": 0e999999999}', "body_not_json"),
        (b'{"a": 1e-999999999}', "body_not_json"),
        (b'{"name": "x", "name": "y"}', "body_not_json"),
        (json.dumps(plan(surprise=1)).encode(), "invalid_body"),
        (json.dumps(plan(minor=1.5)).encode(), "invalid_body"),  # type: ignore[arg-type]
        (json.dumps(plan(thresholds_percent=["80"])).encode(), "invalid_body"),
        (json.dumps(plan(thresholds_percent=[])).encode(), "invalid_body"),
        (json.dumps(plan(project="nobody")).encode(), "invalid"),
        (json.dumps(plan(minor=0)).encode(), "invalid"),
        (json.dumps(plan(minor=-5)).encode(), "invalid"),
    ],
)
def test_bodies_that_cannot_be_are_refused_and_nothing_is_kept(
    calla: Machine, database: Database, body: bytes, code: str
) -> None:
    answer = calla.post(BUDGETS, body, **keyed("k"))
    assert problem(answer)[1] == code
    assert (count(database, BudgetPolicy), count(database, IdempotencyKey), count(database, IdempotencyClaim)) == (
        0, 0, 0,
    )  # fmt: skip
    assert calla.post(BUDGETS, plan(), **keyed("k")).status_code == 201  # the key was not used up


@ONE_ENGINE
def test_a_parameter_that_a_write_does_not_read_is_refused(calla: Machine) -> None:
    answer = calla.post(f"{BUDGETS}?dry_run=1", plan(), **keyed("k"))
    assert problem(answer) == (422, "invalid", "unknown_parameter")


# ---------------------------------------------------------------- repeats


def test_of_two_requests_at_the_same_moment_one_acts_and_the_other_is_told_to_wait(
    app: Flask, database: Database, calla: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, may_go_on = threading.Event(), threading.Event()
    genuine = SandboxProvider.create_checkout

    def slow(self: SandboxProvider, request: Any) -> Any:
        asked.set()
        assert may_go_on.wait(20)
        return genuine(self, request)

    monkeypatch.setattr(SandboxProvider, "create_checkout", slow)
    answers: list[Any] = []
    first = threading.Thread(
        target=lambda: answers.append(Machine(app.test_client(), calla.key).post(CHECKOUT, TOP_UP, **keyed("k")))
    )
    first.start()
    assert asked.wait(20)
    second = calla.post(CHECKOUT, TOP_UP, **keyed("k"))
    other = calla.post(CHECKOUT, {**TOP_UP, "amount": {"amount_minor": 1, "currency": "USD"}}, **keyed("k"))
    may_go_on.set()
    first.join()
    assert problem(second)[:2] == (409, "idempotency_in_flight")
    assert problem(other)[:2] == (422, "idempotency_key_reused")
    assert answers[0].status_code == 201
    third = calla.post(CHECKOUT, TOP_UP, **keyed("k"))
    assert (third.data, third.headers["Idempotency-Replayed"]) == (answers[0].data, "true")
    assert (count(database, PaymentSession), count(database, IdempotencyClaim)) == (1, 0)


def test_however_many_ask_at_once_there_is_one_act(app: Flask, database: Database, calla: Machine) -> None:
    start, answers = threading.Barrier(6), []

    def ask() -> None:
        client = Machine(app.test_client(), calla.key)
        start.wait()
        answers.append(client.post(BUDGETS, plan(), **keyed("k")))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.data for answer in made}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in made) == 1
    assert {problem(answer)[:2] for answer in answers if answer not in made} <= {(409, "idempotency_in_flight")}
    assert (count(database, BudgetPolicy), count(database, IdempotencyKey)) == (1, 1)


def test_the_claim_of_a_dead_process_is_taken_over_and_the_dead_cannot_answer_any_more(database: Database) -> None:
    dead = Claim(scope="tenant:x POST /y", key="k", request_hash="h", holder="req_dead")
    heir = replace(dead, holder="req_heir")
    later = NOW + idempotency.CLAIM_LIFE
    with database.transaction() as session:
        assert idempotency.begin(session, dead, now=NOW) is None
    with pytest.raises(idempotency.InFlight), database.transaction() as session:
        idempotency.begin(session, heir, now=NOW)
    with pytest.raises(idempotency.KeyReused), database.transaction() as session:
        idempotency.begin(session, replace(heir, request_hash="other"), now=later)
    with database.transaction() as session:
        assert idempotency.begin(session, heir, now=later) is None
    answer = Answer(status=201, body="{}")
    with pytest.raises(idempotency.InFlight), database.transaction() as session:
        idempotency.keep(session, dead, now=later, answer=answer)
    with database.transaction() as session:
        idempotency.keep(session, heir, now=later, answer=answer)
    with database.transaction() as session:
        assert idempotency.begin(session, dead, now=later) == answer
    assert (count(database, IdempotencyClaim), count(database, IdempotencyKey)) == (0, 1)


# ---------------------------------------------------------------- tags and edits


@ONE_ENGINE
def test_a_get_with_the_tag_it_got_is_304_until_something_changes(calla: Machine) -> None:
    calla.post(BUDGETS, plan(), **keyed("a"))
    for path in (
        BUDGETS,
        "/billing/account",
        "/billing/currency-settings",
        "/billing/rated-usage",
        "/billing/invoices",
    ):
        answer = calla.get(path)
        tag = answer.headers["ETag"]
        assert tag.startswith('"'), path
        again = calla.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag), path
        assert "RateLimit" in again.headers
        assert calla.get(path, headers={"If-None-Match": '"other"'}).data == answer.data
    before = calla.get(BUDGETS).headers["ETag"]
    calla.post(BUDGETS, plan("More"), **keyed("b"))
    assert calla.get(BUDGETS, headers={"If-None-Match": before}).status_code == 200


def test_an_edit_says_what_it_edits_and_of_two_at_once_one_is_told(
    app: Flask, database: Database, calla: Machine
) -> None:
    made = calla.post(BUDGETS, plan(), **keyed("k"))
    path = f"{BUDGETS}/{made.json['id']}"
    tag = calla.get(path).headers["ETag"]
    assert tag == made.headers["ETag"]
    edit = plan("Less", 500, thresholds_percent=[90], is_active=True)
    assert problem(calla.put(path, edit))[:2] == (428, "precondition_required")
    for stale in ('"other"', f"W/{tag}", "nonsense"):
        assert problem(calla.put(path, edit, If_Match=stale))[:2] == (412, "precondition_failed"), stale
    start, answers = threading.Barrier(2), []

    def ask(number: int) -> None:
        client = Machine(app.test_client(), calla.key)
        start.wait()
        answers.append(client.put(path, {**edit, "name": f"Edit {number}"}, If_Match=tag))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200, 412]
    (taken,) = [answer for answer in answers if answer.status_code == 200]
    now = calla.get(path)
    assert (now.data, now.headers["ETag"]) == (taken.data, taken.headers["ETag"])
    assert now.json["thresholds_percent"] == [90]
    assert calla.put(path, {**edit, "is_active": False}, If_Match="*").json["is_active"] is False


@ONE_ENGINE
def test_another_tenants_budget_can_be_neither_read_nor_edited(app: Flask, database: Database, calla: Machine) -> None:
    House(app, database).account("taifl")
    foreign = machine(app, database, "taifl").post(BUDGETS, plan(), **keyed("k")).json["id"]
    assert problem(calla.get(f"{BUDGETS}/{foreign}"))[:2] == (404, "not_found")
    edit = plan(is_active=True, thresholds_percent=[50])
    assert problem(calla.put(f"{BUDGETS}/{foreign}", edit, If_Match="*"))[:2] == (404, "not_found")
    assert calla.get(BUDGETS).json["data"] == []


@ONE_ENGINE
def test_a_budgets_name_is_taken_once_and_its_project_is_named_by_code(calla: Machine, database: Database) -> None:
    event = {
        "specversion": "1.0", "id": "e", "source": "s", "type": "billing.usage.metered", "time": "2026-11-21T10:00:00Z",
        "data": {"meter": "query", "quantity": "1", "project": "vision"},
    }  # fmt: skip
    assert calla.post("/billing/usage:ingest", event).status_code == 200
    made = calla.post(BUDGETS, plan(project="vision"), **keyed("a"))
    assert (made.status_code, made.json["project"], made.json["thresholds_percent"]) == (201, "vision", [50, 80, 100])
    assert problem(calla.post(BUDGETS, plan(), **keyed("b")))[:2] == (409, "budget_name_taken")


@ONE_ENGINE
def test_the_account_says_who_is_billed_and_in_which_currencies(calla: Machine) -> None:
    account = calla.get("/billing/account").json
    assert (account["account"], account["currency"], account["policy"]) == ("calla", "USD", "postpaid")
    assert account["profile"]["legal_name"] == "Calla Labs GmbH"
    assert account["profile"]["address"]["country"] == "DE"
    settings = calla.get("/billing/currency-settings").json
    assert (settings["currency"], settings["invoice_currency"]) == ("USD", "USD")
    assert settings["currencies"] == [
        {
            "currency": "USD",
            "exponent": 2,
            "is_account_currency": True,
            "top_up_min": {"amount_minor": 100, "currency": "USD"},
            "top_up_max": {"amount_minor": 10_000_000, "currency": "USD"},
        }
    ]


# ---------------------------------------------------------------- pages of lists


@ONE_ENGINE
def test_pages_hold_each_budget_once_however_many_are_set_in_between(calla: Machine) -> None:
    for number in range(5):
        calla.post(BUDGETS, plan(f"Budget {number}"), **keyed(f"k{number}"))
    seen, query = [], {"limit": "2"}
    while True:
        page = calla.get(BUDGETS, **query).json
        seen += [budget["name"] for budget in page["data"]]
        if page["next_cursor"] is None:
            break
        if len(seen) < 4:
            calla.post(BUDGETS, plan(f"Late {len(seen)}"), **keyed(f"late{len(seen)}"))
        query["cursor"] = page["next_cursor"]
    assert seen == [f"Budget {number}" for number in range(5)] + ["Late 2"]


# ---------------------------------------------------------------- limits


@ONE_ENGINE
def test_a_caller_is_counted_told_and_above_the_limit_refused(app: Flask, database: Database) -> None:
    House(app, database).account("calla")
    config = replace(app.extensions["plumbline"].config, api_reads_per_minute=60, api_writes_per_minute=3)
    made = create_app(config)
    busy, other = machine(made, database, "calla"), machine(made, database, "calla")
    first = busy.get("/billing/balance")
    assert first.headers["RateLimit-Policy"] == '"api-read";q=60;w=60'
    assert first.headers["RateLimit"].startswith('"api-read";r=59;t=')
    for _ in range(3):
        answer = busy.post("/billing/usage:ingest", [])
        assert answer.status_code == 422
        assert answer.headers["RateLimit-Policy"] == '"api-write";q=3;w=60'
    refused = busy.post("/billing/usage:ingest", [])
    assert problem(refused)[:2] == (429, "rate_limited")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit"].startswith('"api-write";r=0;t=')
    assert busy.get("/billing/balance").status_code == 200
    assert other.post("/billing/usage:ingest", []).status_code == 422
    assert [busy.get("/billing/balance").status_code for _ in range(60)].count(429) == 2
    made.extensions["plumbline"].database.dispose()


@ONE_ENGINE
def test_who_is_nobody_is_not_counted(app: Flask, database: Database) -> None:
    answer = app.test_client().get("/api/v1/billing/balance")
    assert answer.status_code == 401
    assert "RateLimit" not in answer.headers
