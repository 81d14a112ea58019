"""What is owed and paid, by API: balance, rated lines with their evidence, invoices, checkout sessions and refunds."""

import hashlib
import re
from collections.abc import Iterator
from fractions import Fraction

import pytest
from flask import Flask
from sqlalchemy import func, select

from billing.invoicing.documents import render
from billing.payments.tables import PaymentSession
from billing.payments.tables import RefundRequest as RefundTable
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import Machine, problem
from tests.web.api.machines import machine as machine_of
from tests.web.operators import NOW, House

CHECKOUT, REFUNDS, LINES, INVOICES = (
    "/payments/checkout-session", "/billing/refunds", "/billing/rated-usage", "/billing/invoices",
)  # fmt: skip


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def house(app: Flask, database: Database) -> House:
    return House(app, database)


@pytest.fixture
def account_id(house: House) -> str:
    """10,000 queries at 0.01 in October: 100.00 net, 19.00 VAT."""
    return house.account("calla", Use(10_000))


@pytest.fixture
def machine(app: Flask, database: Database, account_id: str) -> Machine:
    return machine_of(app, database, "calla")


def money(minor: int) -> dict[str, object]:
    return {"amount_minor": minor, "currency": "USD"}


def keyed(key: str) -> dict[str, str]:
    return {"Idempotency-Key": key}


def count(database: Database, table: type) -> int:
    with database.reading() as session:
        return session.execute(select(func.count()).select_from(table)).scalar_one()


def test_balance_is_signed_per_currency_and_compatible(machine: Machine, house: House, account_id: str) -> None:
    answer = machine.get("/billing/balance").json
    assert answer["balance"] == money(-10_000)
    house.top_up(account_id, 5_000)
    answer = machine.get("/billing/balance").json
    assert answer["balance"] == money(-5_000)
    (usd,) = answer["balances"]
    assert (usd["wallet"], usd["unbilled"], usd["receivable"], usd["available"]) == (
        money(5_000), money(-10_000), money(0), money(-6_900),  # the pending 100.00 will bear 19.00 of tax
    )  # fmt: skip
    assert answer["as_of"].endswith("Z")


def test_a_rated_line_has_its_evidence_from_usage_to_invoice(
    machine: Machine, account_id: str, database: Database
) -> None:
    (line,) = machine.get(LINES).json["data"]
    assert (line["quantity"], line["unit"], line["amount"]) == (
        "10000", "query", {"amount_minor": "10000.000000", "currency": "USD"},
    )  # fmt: skip
    before = machine.get(f"{LINES}/{line['id']}").json
    assert before["invoice"] is None
    invoice = operators.world.issued(database, account_id)
    detail = machine.get(f"{LINES}/{line['id']}").json
    assert detail["is_reproduced"] is True
    assert detail["usage"]["id"] == line["usage_id"]
    assert detail["pricing"]["parameters"] == {"unit_price": "0.01"}
    assert Fraction(detail["derivation"][-1]["exact"]) == 10_000 * 10**6
    assert detail["ledger"]["increment"] == money(10_000)
    assert re.fullmatch(r"[0-9a-f]{64}", detail["ledger"]["transaction_hash"])
    assert detail["invoice"]["number"] == invoice.number
    assert detail["invoice"]["content_hash"] == invoice.snapshot_hash


def test_pages_of_lines_hold_each_line_once_however_many_arrive_in_between(
    machine: Machine, account_id: str, database: Database
) -> None:
    operators.world.used(database, account_id, *(Use(number) for number in range(1, 8)))
    seen: list[int] = []
    query = {"limit": "3"}
    while True:
        page = machine.get(LINES, **query).json
        seen += [line["sequence"] for line in page["data"]]
        if page["next_cursor"] is None:
            break
        operators.world.used(database, account_id, Use(1)) if len(seen) < 6 else None
        query["cursor"] = page["next_cursor"]
    assert seen == list(range(1, len(seen) + 1))
    assert len(seen) == 9


def test_a_cursor_is_bound_to_its_list_its_account_and_its_filters(
    app: Flask, database: Database, house: House, machine: Machine, account_id: str
) -> None:
    operators.world.used(database, account_id, Use(1), Use(2))
    cursor = machine.get(LINES, limit="1").json["next_cursor"]
    assert machine.get(LINES, limit="1", cursor=cursor).status_code == 200
    assert problem(machine.get(LINES, cursor=cursor, meter="query"))[2] == "bad_cursor"
    assert problem(machine.get(INVOICES, cursor=cursor))[2] == "bad_cursor"
    assert problem(machine.get(LINES, cursor=("a" if cursor[0] != "a" else "b") + cursor[1:]))[2] == "bad_cursor"
    house.account("taifl", Use(1))
    assert problem(machine_of(app, database, "taifl").get(LINES, cursor=cursor))[2] == "bad_cursor"


def test_invoices_are_shown_once_issued_and_say_what_is_due(
    machine: Machine, account_id: str, database: Database
) -> None:
    draft_id = operators.world.draft(database, account_id)
    assert machine.get(INVOICES).json == {"data": [], "next_cursor": None}
    assert problem(machine.get(f"{INVOICES}/{draft_id}"))[0] == 404
    from billing.invoicing import drafts, issue

    with database.transaction() as session:
        drafts.approve(session, now=NOW, draft_id=draft_id, actor="usr_a")
        issue.issue(session, now=NOW, draft_id=draft_id, actor="usr_a")
    (row,) = machine.get(INVOICES).json["data"]
    assert (row["net"], row["tax"], row["total"], row["due"]) == (
        money(10_000),
        money(1_900),
        money(11_900),
        money(11_900),
    )
    assert (row["state"], row["kind"], row["issued_on"], row["due_on"]) == (
        "issued",
        "invoice",
        "2026-11-21",
        "2026-12-05",
    )
    by_id, by_number = machine.get(f"{INVOICES}/{row['id']}").json, machine.get(f"{INVOICES}/{row['number']}").json
    assert by_id == by_number
    assert by_id["document"]["buyer"]["name"] == "Calla Labs GmbH"
    assert sum(line["amount_minor"] for line in by_id["document"]["lines"]) == 10_000


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_pdf_is_the_stored_bytes_and_until_then_a_conflict(
    machine: Machine, account_id: str, database: Database
) -> None:
    invoice = operators.world.issued(database, account_id)
    waiting = machine.get(f"{INVOICES}/{invoice.number}.pdf")
    assert problem(waiting)[:2] == (409, "document_not_ready")
    assert waiting.headers["Retry-After"] == "5"
    assert render.render_pending(database, now=NOW) == 1
    answer = machine.get(f"{INVOICES}/{invoice.number}.pdf")
    assert (answer.status_code, answer.mimetype, answer.data[:5]) == (200, "application/pdf", b"%PDF-")
    stored = machine.get(f"{INVOICES}/{invoice.number}").json["pdf_sha256"]
    assert hashlib.sha256(answer.data).hexdigest() == stored
    for ending, mimetype in (("xml", "application/xml"), ("ubl", "application/xml"), ("csv", "text/csv")):
        file = machine.get(f"{INVOICES}/{invoice.number}.{ending}")
        assert (file.status_code, file.mimetype) == (200, mimetype)
        assert invoice.number.encode() in file.data


def test_a_checkout_session_is_one_under_its_key(machine: Machine, database: Database) -> None:
    body = {"purpose": "top_up", "amount": money(5_000)}
    first = machine.post(CHECKOUT, body, **keyed("k1"))
    assert (first.status_code, first.json["state"], first.json["amount"]) == (201, "open", money(5_000))
    assert first.json["redirect_url"].startswith("http://localhost/sandbox/checkout/")
    again = machine.post(CHECKOUT, body, **keyed("k1"))
    assert (again.status_code, again.data, again.headers["Idempotency-Replayed"]) == (201, first.data, "true")
    assert count(database, PaymentSession) == 1
    other = machine.post(CHECKOUT, {"purpose": "top_up", "amount": money(5_001)}, **keyed("k1"))
    assert problem(other)[:2] == (422, "idempotency_key_reused")
    assert machine.post(CHECKOUT, body, **keyed("k2")).json["id"] != first.json["id"]
    assert count(database, PaymentSession) == 2


@pytest.mark.parametrize("path", [CHECKOUT, REFUNDS])
@pytest.mark.parametrize("key", [None, "", "x" * 121, "a b", "caf\u00e9"])
def test_what_moves_money_needs_a_key(machine: Machine, path: str, key: str | None) -> None:
    body = (
        {"purpose": "top_up", "amount": money(5_000)}
        if path == CHECKOUT
        else {"mode": "card", "payment_id": "p", "amount": money(1), "reason": "x"}
    )
    answer = machine.post(path, body, **({} if key is None else {"Idempotency-Key": key}))
    assert problem(answer)[:2] == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"purpose": "top_up", "amount": money(99)}, (422, "amount_out_of_range")),
        ({"purpose": "top_up", "amount": money(10_000_001)}, (422, "amount_out_of_range")),
        ({"purpose": "top_up", "amount": money(-5)}, (422, "amount_out_of_range")),
        ({"purpose": "top_up", "amount": {"amount_minor": 5000, "currency": "EUR"}}, (422, "invalid")),
        ({"purpose": "top_up", "amount": {"amount_minor": "5000", "currency": "USD"}}, (422, "invalid_body")),
        ({"purpose": "top_up", "amount": {"amount_minor": 10**16, "currency": "USD"}}, (422, "invalid_body")),
        ({"purpose": "top_up", "amount": {"amount_minor": True, "currency": "USD"}}, (422, "invalid_body")),
        ({"purpose": "top_up"}, (422, "invalid_body")),
        ({"purpose": "invoice"}, (422, "invalid_body")),
        ({"purpose": "invoice", "invoice_id": "drf_x"}, (404, "not_found")),
        ({"purpose": "invoice", "invoice_id": "x\x00"}, (422, "invalid_body")),
        ({"purpose": "gift", "amount": money(5_000)}, (422, "invalid_body")),
    ],
)
def test_a_payment_that_cannot_be_is_refused_and_no_intent_is_left(
    machine: Machine, database: Database, body: dict[str, object], expected: tuple[int, str]
) -> None:
    answer = machine.post(CHECKOUT, body, **keyed("k"))
    if "amount" in body and expected[1] == "amount_out_of_range":
        assert problem(answer)[0] == 422
    else:
        assert problem(answer)[:2] == expected
    assert count(database, PaymentSession) == 0


def test_an_invoice_is_paid_for_what_is_left_of_it(machine: Machine, account_id: str, database: Database) -> None:
    invoice = operators.world.issued(database, account_id)
    answer = machine.post(CHECKOUT, {"purpose": "invoice", "invoice_id": invoice.id}, **keyed("k"))
    assert (answer.status_code, answer.json["amount"], answer.json["invoice_id"]) == (201, money(11_900), invoice.id)
    more = machine.post(
        CHECKOUT, {"purpose": "invoice", "invoice_id": invoice.id, "amount": money(11_901)}, **keyed("k2")
    )
    assert problem(more)[0] == 422


def test_a_refund_is_asked_for_once_and_only_a_person_decides(
    machine: Machine, house: House, account_id: str, database: Database
) -> None:
    payment = house.top_up(account_id, 50_000)
    body = {"mode": "card", "payment_id": payment.id, "amount": money(1_000), "reason": "Paid twice"}
    first = machine.post(REFUNDS, body, **keyed("r1"))
    assert (first.status_code, first.json["state"], first.json["amount"]) == (201, "requested", money(1_000))
    again = machine.post(REFUNDS, body, **keyed("r1"))
    assert (again.data, again.headers["Idempotency-Replayed"]) == (first.data, "true")
    assert problem(machine.post(REFUNDS, {**body, "reason": "Other"}, **keyed("r1")))[:2] == (
        422,
        "idempotency_key_reused",
    )
    assert count(database, RefundTable) == 1
    assert [one["id"] for one in machine.get(REFUNDS).json["data"]] == [first.json["id"]]
    assert machine.get(REFUNDS, state="approved").json["data"] == []


def test_a_refund_above_what_may_leave_is_refused_with_the_limit(
    machine: Machine, house: House, account_id: str, database: Database
) -> None:
    payment = house.top_up(account_id, 50_000)
    body = {"mode": "card", "payment_id": payment.id, "amount": money(50_001), "reason": "x"}
    answer = machine.post(REFUNDS, body, **keyed("r1"))
    assert problem(answer)[1:] == ("above_refundable", "above_rest")
    assert "500.00" in answer.json["detail"]
    assert count(database, RefundTable) == 0
    # Nothing was kept under the key either: the same key may now carry what is allowed.
    assert machine.post(REFUNDS, {**body, "amount": money(1)}, **keyed("r1")).status_code == 201


def test_pages_of_refunds_go_on_behind_their_cursor(machine: Machine, house: House, account_id: str) -> None:
    payment = house.top_up(account_id, 50_000)
    asked = [house.ask_refund(account_id, payment, 1, key=f"k{number}").id for number in range(5)]
    seen: list[str] = []
    query = {"limit": "2"}
    while True:
        page = machine.get(REFUNDS, **query).json
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert seen == asked[::-1]


def test_a_repeat_with_another_key_of_the_tenant_is_the_same_act_and_another_tenants_is_not(
    app: Flask, database: Database, machine: Machine, house: House
) -> None:
    body = {"purpose": "top_up", "amount": money(5_000)}
    first = machine.post(CHECKOUT, body, **keyed("k"))
    second = machine_of(app, database, "calla").post(CHECKOUT, body, **keyed("k"))
    assert (second.headers["Idempotency-Replayed"], second.data) == ("true", first.data)
    house.account("taifl")
    foreign = machine_of(app, database, "taifl").post(CHECKOUT, body, **keyed("k"))
    assert "Idempotency-Replayed" not in foreign.headers
    assert foreign.json["id"] != first.json["id"]
