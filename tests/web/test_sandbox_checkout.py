"""The sandbox provider's page: pay, decline, abandon, each by the signed webhook's way, and each once."""

from dataclasses import replace

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.payments import sessions
from billing.payments.sessions import SessionRow
from billing.storage.database import Database
from portal import create_app
from tests.web.pages import Page
from tests.web.test_webhook import account_id, payments, start, stored

__all__ = ["account_id"]


@pytest.fixture
def row(app: Flask, account_id: str) -> SessionRow:
    return start(app, account_id)


def path(row: SessionRow) -> str:
    assert row.redirect_url is not None
    return row.redirect_url.removeprefix("http://localhost")


def press(client: FlaskClient, row: SessionRow, act: str, **more: str) -> tuple[int, str]:
    form = Page(client.get(path(row))).form_values()
    answer = client.post(path(row), data={**form, "card": "4242", "act": act, **more})
    return answer.status_code, answer.headers.get("Location", "")


def state(database: Database, row: SessionRow) -> str:
    with database.reading() as session:
        return sessions.get_session(session, account_id=row.billing_account_id, session_id=row.id).state


def test_page_says_what_is_paid_and_that_it_is_a_test(client: FlaskClient, row: SessionRow) -> None:
    page = Page(client.get(path(row)))
    assert page.h1 == "Sandbox checkout"
    assert "$50.00" in page.text or "USD 50.00" in page.text
    assert "no card is charged" in page.text


def test_paying_credits_and_leads_back(client: FlaskClient, database: Database, row: SessionRow) -> None:
    assert press(client, row, "pay") == (303, f"http://localhost/add-funds/{row.id}")
    assert state(database, row) == "paid"
    assert payments(database, row.billing_account_id) == [5000]
    assert stored(database) == [("processed", "checkout.session.completed")]


def test_second_click_on_pay_changes_nothing(client: FlaskClient, database: Database, row: SessionRow) -> None:
    form = Page(client.get(path(row))).form_values()
    for _ in range(2):
        answer = client.post(path(row), data={**form, "card": "4242", "act": "pay"})
        assert (answer.status_code, answer.headers["Location"]) == (303, f"http://localhost/add-funds/{row.id}")
    assert payments(database, row.billing_account_id) == [5000]
    assert len(stored(database)) == 1


def test_declined_card_may_be_tried_again(client: FlaskClient, database: Database, row: SessionRow) -> None:
    status, location = press(client, row, "decline")
    assert (status, location.removeprefix("http://localhost")) == (303, path(row))
    assert "declined" in Page(client.get(path(row))).text
    assert state(database, row) == "open"
    press(client, row, "pay")
    assert state(database, row) == "paid"


def test_abandoned_checkout_is_over(client: FlaskClient, database: Database, row: SessionRow) -> None:
    assert press(client, row, "abandon") == (303, f"http://localhost/add-funds/{row.id}")
    assert state(database, row) == "expired"
    assert client.get(path(row)).status_code == 303
    assert payments(database, row.billing_account_id) == []


@pytest.mark.parametrize("changes", [{"act": "steal"}, {"act": ""}, {"card": "1111"}, {"csrf_token": "forged"}])
def test_form_that_was_not_ours_is_refused(
    client: FlaskClient, database: Database, row: SessionRow, changes: dict[str, str]
) -> None:
    form = Page(client.get(path(row))).form_values()
    answer = client.post(path(row), data={**form, "card": "4242", "act": "pay", **changes})
    assert answer.status_code == 400
    assert state(database, row) == "open"


def test_unknown_checkout_does_not_exist(client: FlaskClient) -> None:
    assert client.get("/sandbox/checkout/cs_test_nothing").status_code == 404


def test_without_the_sandbox_its_page_and_its_webhook_do_not_exist(app: Flask) -> None:
    other = create_app(replace(app.extensions["plumbline"].config, has_sandbox=False))
    client = other.test_client()
    assert client.get("/sandbox/checkout/cs_test_1").status_code == 404
    assert client.post("/api/v1/payments/webhook/sandbox", data=b"{}").status_code == 404
    other.extensions["plumbline"].database.dispose()
