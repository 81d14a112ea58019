"""Operators find anything by any id, read the log of acts, follow one request through, and have the books proven."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text as sql

from billing.assurance import audit_log
from billing.assurance import search as finding
from billing.jobs import runner
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.operators import House
from tests.web.pages import Page
from tests.web.tenants import Lived, lived

NOW = operators.NOW


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def tenant(app: Flask, database: Database) -> Lived:
    return lived(app, database, "calla")


def find(database: Database, text: str) -> list[tuple[str, str, str]]:
    with database.reading("jobs") as session:
        return [(hit.kind, hit.id, hit.by) for hit in finding.find(session, text)]


def test_everything_is_found_by_each_of_its_names(tenant: Lived, database: Database) -> None:
    refund = tenant.house.ask_refund(tenant.account_id, tenant.payment, 1_000)
    line_id = tenant.line_ids()[0]
    for text, kind, thing, by in (
        (tenant.account_id, "billing_account", tenant.account_id, "id"),
        ("calla", "billing_account", tenant.account_id, "code"),
        ("ALLA", "billing_account", tenant.account_id, "name"),
        (tenant.invoice.id, "invoice", tenant.invoice.id, "id"),
        (str(tenant.invoice.number), "invoice", tenant.invoice.id, "number"),
        (f"  {tenant.invoice.number}  ", "invoice", tenant.invoice.id, "number"),
        (tenant.payment.id, "payment", tenant.payment.id, "id"),
        (refund.id, "refund", refund.id, "id"),
        (line_id, "rated_line", line_id, "id"),
        ("usg" + line_id[3:], "usage_record", "usg" + line_id[3:], "id"),
        (tenant.budget_id, "budget", tenant.budget_id, "id"),
    ):
        assert (kind, thing, by) in find(database, text), text
    assert find(database, str(tenant.invoice.number))[0][0] == "invoice"


def test_a_providers_id_and_a_sources_id_lead_to_ours(tenant: Lived, database: Database) -> None:
    from sqlalchemy import select

    from billing.metering.tables import UsageRecord
    from billing.payments.tables import Payment

    with database.reading("jobs") as session:
        payment = session.scalars(select(Payment)).first()
        usage = session.scalars(select(UsageRecord)).first()
    assert payment is not None
    assert usage is not None
    assert ("payment", payment.id, "provider's id") in find(database, payment.provider_payment_id)
    assert ("usage_record", usage.id, "source's id") in find(database, usage.source_id)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_disputes_payouts_and_charges_are_found_by_their_names_at_the_provider(database: Database) -> None:
    rows = {
        "payment_disputes": "id, provider, provider_dispute_id, is_inquiry, amount_minor, currency, reason, provider_state,"
        " state, funds, finding, submission_count, version, opened_at, recorded_at, updated_at, looked_up_at)"
        " VALUES ('dsp_1', 'stripe', 'dp_1', 0, 500, 'USD', 'fraudulent', 'needs_response', 'opened', 'none',"
        " 'payment_unknown', 0, 1, 1, 1, 1, 1",
        "provider_payouts": "id, provider, provider_id, state, amount_minor, currency, is_automatic, created_at, updated_at)"
        " VALUES ('ppo_1', 'stripe', 'po_1', 'paid', 500, 'USD', 1, 1, 1",
    }
    with database.transaction("jobs") as session:
        for table, values in rows.items():
            session.execute(sql(f"INSERT INTO {table} ({values})"))
    assert find(database, "dsp_1") == [("payment_dispute", "dsp_1", "id")]
    assert find(database, "dp_1") == [("payment_dispute", "dsp_1", "provider's id")]
    assert find(database, "po_1") == [("payout", "ppo_1", "provider's id")]


def test_what_names_nothing_finds_nothing(tenant: Lived, database: Database) -> None:
    for text in ("", "   ", "zzz_none", "%", "_", "\\", "' OR 1=1 --", "a" * 5_000, "\x00", "bac_", "🚀"):
        assert find(database, text) == [], text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_one_exact_match_opens_its_page_and_a_list_stays(tenant: Lived, browser: Callable[..., FlaskClient]) -> None:
    client = browser(staff="viewer")
    answer = client.get("/operator/search", query_string={"q": tenant.invoice.number})
    assert answer.status_code == 303
    assert tenant.invoice.id in answer.headers["Location"]
    listed = Page(client.get("/operator/search", query_string={"q": "call"}))
    assert "calla" in listed.text
    nothing = Page(client.get("/operator/search?q=none-such"))
    assert "Nothing has this id or name" in nothing.text
    unreadable = Page(client.get("/operator/search?q=%00"))
    assert "cannot be an id" in unreadable.text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_search_is_in_the_frame_of_operators_alone(tenant: Lived, browser: Callable[..., FlaskClient]) -> None:
    assert 'action="/operator/search"' in browser(staff="viewer").get("/operator").text
    owner = browser("calla")
    assert "/operator/search" not in owner.get("/").text
    assert owner.get("/operator/search?q=calla").status_code == 404


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_audit_log_is_filtered_paged_and_shows_the_chain(
    tenant: Lived, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    client = browser(staff="approver")
    assert "Waiting" in Page(client.get("/operator/audit-log")).text
    runner.run_job(database, {}, "seal-audit", now=NOW)
    page = Page(client.get("/operator/audit-log?act=invoice"))
    assert "Invoice issued" in page.text
    assert "Account opened" not in page.text
    with database.reading() as session:
        (row, *_) = audit_log.list_rows(session, act="invoice.issued", account_id=tenant.account_id)
        assert audit_log.list_rows(session, act="invoice.iss") == []  # a part of a name is no name
    one = Page(client.get(f"/operator/audit-log/{row.id}"))
    assert str(row.subject_id) in one.text
    assert client.get("/operator/audit-log/aud_none").status_code == 404
    assert browser(staff="maker").get("/operator/audit-log").status_code == 403
    assert "older" not in client.get("/operator/audit-log?act=account").text.lower().split("<main")[1]


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_one_id_shows_all_that_a_request_set_in_motion(
    app: Flask, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    house = House(app, database)
    house.account("calla", Use(10_000))
    owner = browser("calla")
    form = Page(owner.get("/budgets/new")).form_values()
    sent = owner.post(
        "/budgets/new",
        data={**form, "name": "Team", "amount": "100.00", "thresholds": "80"},
        headers={"X-Request-ID": "req-of-a-budget"},
    )
    assert sent.status_code == 303, sent.text
    viewer = browser(staff="viewer")
    page = Page(viewer.get("/operator/diagnostics?id=req-of-a-budget"))
    assert "Budget set" in page.text
    hits = find(database, "req-of-a-budget")
    assert hits == [("request", "req-of-a-budget", "correlation id")]
    assert "Nothing carries this id" in Page(viewer.get("/operator/diagnostics?id=nothing")).text


def test_a_proof_is_asked_for_once_done_by_the_scheduler_and_kept(
    tenant: Lived, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    client = browser(staff="maker")
    page = Page(client.get("/operator/integrity"))
    sent = {**page.form_values(), "kind": "self-check"}
    asked = client.post("/operator/integrity/works", data=sent)
    assert asked.status_code == 303, asked.text
    where = asked.headers["Location"]
    assert client.post("/operator/integrity/works", data=sent).headers["Location"] == where
    assert "Waiting" in Page(client.get(where)).text
    runner.run_job(database, {}, "works", now=NOW)
    done = Page(client.get(where))
    assert "Nothing contradicts anything else" in done.text
    assert "Rows looked at" in done.text


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_month_that_is_none_is_refused_with_what_to_write(app: Flask, browser: Callable[..., FlaskClient]) -> None:
    client = browser(staff="maker")
    sent = Page(client.get("/operator/integrity")).form_values()
    refused = client.post("/operator/integrity/works", data={**sent, "kind": "replay", "period": "13-2026"})
    assert refused.status_code == 422
    assert "2026-11" in Page(refused).text
    viewer = browser(staff="viewer")
    assert "/operator/integrity/works" not in viewer.get("/operator/integrity").text
    token = re.search(r'name="csrf_token" value="([^"]+)"', viewer.get("/operator/integrity").text)
    assert token is not None
    refused = viewer.post("/operator/integrity/works", data={**sent, "csrf_token": token[1]})
    assert refused.status_code == 403
