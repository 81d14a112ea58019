"""Finance's machines over invoices: drafting a month, closing, voiding, crediting; approving stays a person's."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask

from billing.invoicing import drafts, invoices
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.terms_world import gift
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.api.machines import Machine, problem, staff_machine
from tests.web.api.machines import machine as machine_of
from tests.web.operators import NOW, House

INVOICES = "/billing/invoices"


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def account_id(app: Flask, database: Database) -> str:
    return House(app, database).account("calla", Use(10_000))


@pytest.fixture
def ops(app: Flask, database: Database, account_id: str) -> Machine:
    return staff_machine(app, database, "finance.run")


def test_a_month_is_drafted_approved_by_a_person_closed_and_credited(ops: Machine, database: Database) -> None:
    made = ops.post(f"{INVOICES}:generate", {"period": "2026-10"}, Idempotency_Key="g1")
    assert made.status_code == 200, made.text
    (row,) = made.json["data"]
    assert (row["account"], row["refused"], made.json["waiting"]) == ("calla", None, 0)
    assert ops.post(f"{INVOICES}:generate", {"period": "2026-10"}, Idempotency_Key="g1").json == made.json
    named = {"period": "2026-10", "accounts": ["calla"]}
    again = ops.post(f"{INVOICES}:generate", named, Idempotency_Key="g2").json
    assert again["data"][0]["draft"] == row["draft"]
    url = f"{INVOICES}/{row['draft']}"
    assert problem(ops.post(f"{url}:close", None, Idempotency_Key="c1"))[:2] == (409, "invoice_not_approved")
    with database.transaction() as session:
        drafts.approve(session, now=NOW, draft_id=row["draft"], actor="usr_ann")
    closed = ops.post(f"{url}:close", None, Idempotency_Key="c2")
    assert (closed.status_code, closed.json["number"], closed.json["state"]) == (200, "INV-2026-000001", "issued")
    refused = ops.post(f"{url}:void", None, Idempotency_Key="v1")
    assert problem(refused)[:2] == (409, "invoice_not_a_draft")
    assert "/api/v1/billing/invoices/INV-2026-000001/credit-notes" in refused.json["detail"]
    body = {"reason": "Outage", "amount": {"amount_minor": 1_190, "currency": "USD"}}
    note = ops.post(f"{url}/credit-notes", body, Idempotency_Key="n1")
    assert (note.status_code, note.json["number"], note.json["credited"]["amount_minor"]) == (
        201,
        "CN-2026-000001",
        1_190,
    )
    assert ops.post(f"{url}/credit-notes", body, Idempotency_Key="n1").json == note.json
    by_line = {"reason": "Outage", "lines": [{"line": 1, "amount_minor": 1_000}]}
    assert ops.post(f"{url}/credit-notes", by_line, Idempotency_Key="n2").json["credited"]["amount_minor"] == 1_190
    rest = ops.post(f"{url}/credit-notes", {"reason": "Outage", "full": True}, Idempotency_Key="n3")
    assert rest.json["credited"]["amount_minor"] == 11_900 - 2 * 1_190
    above = ops.post(f"{url}/credit-notes", body, Idempotency_Key="n4")
    assert problem(above)[:2] == (409, "credit_above_invoice")


def test_a_draft_that_became_dearer_since_it_was_approved_is_refused_and_a_draft_again_with_its_new_total(
    ops: Machine, database: Database, account_id: str
) -> None:
    """100.00 net less a gift of 20.00 that has expired: 95.20 were approved, 119.00 would be asked for."""
    gift(database, account_id, 2_000, expires_at=NOW + timedelta(minutes=1))
    draft_id = world.approved(database, account_id)
    with time_machine.travel(NOW + timedelta(minutes=2)):
        refused = ops.post(f"{INVOICES}/{draft_id}:close", None, Idempotency_Key="c1")
    assert problem(refused)[:2] == (409, "draft_dearer")
    with database.reading() as session:
        row = invoices.get_invoice(session, now=NOW, key=draft_id).row
    assert (row.state, row.total_minor) == ("draft", 11_900)


def test_a_draft_is_voided_and_its_charges_can_be_drafted_again(
    ops: Machine, database: Database, account_id: str
) -> None:
    draft_id = world.draft(database, account_id)
    voided = ops.post(f"{INVOICES}/{draft_id}:void", None, Idempotency_Key="v1")
    assert (voided.status_code, voided.json["state"]) == (200, "void")
    made = ops.post(f"{INVOICES}:generate", {"period": "2026-10"}, Idempotency_Key="g1").json["data"]
    assert made[0]["draft"] not in (None, draft_id)


@pytest.mark.parametrize(
    "body",
    [
        {"reason": "r"},
        {"reason": "", "full": True},
        {"reason": "r", "full": True, "amount": {"amount_minor": 1, "currency": "USD"}},
        {"reason": "r", "amount": {"amount_minor": 100, "currency": "EUR"}},
        {"reason": "r", "lines": [{"line": 9}]},
        {"reason": "r", "lines": []},
    ],
)
def test_a_credit_note_that_cannot_be_meant_is_refused(
    ops: Machine, database: Database, account_id: str, body: dict[str, object]
) -> None:
    header = world.issued(database, account_id)
    answer = ops.post(f"{INVOICES}/{header.id}/credit-notes", body, Idempotency_Key="n1")
    assert problem(answer)[0] == 422
    with database.reading() as session:
        assert invoices.count_invoices(session, now=NOW, kind="credit_note") == 0


def test_only_finances_machines_may_and_a_wrong_month_or_account_is_refused(
    app: Flask, database: Database, ops: Machine, account_id: str
) -> None:
    for path in (f"{INVOICES}:generate", f"{INVOICES}/x:close", f"{INVOICES}/x:void", f"{INVOICES}/x/credit-notes"):
        refused = machine_of(app, database, "calla").post(path, {"period": "2026-10"}, Idempotency_Key="k")
        assert problem(refused)[:2] == (403, "insufficient_scope"), path
    assert problem(ops.post(f"{INVOICES}:generate", {"period": "2026-13"}, Idempotency_Key="a"))[0] == 422
    unknown = {"period": "2026-10", "accounts": ["nobody"]}
    assert problem(ops.post(f"{INVOICES}:generate", unknown, Idempotency_Key="b"))[0] == 404
    for act in ("close", "void"):
        assert problem(ops.post(f"{INVOICES}/drf_none:{act}", None, Idempotency_Key=act))[0] == 404
    assert problem(ops.post(f"{INVOICES}:generate", {"period": "2026-10"}))[1] == "idempotency_key_missing"
