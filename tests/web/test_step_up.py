"""Step-up: every act over money or over how one signs in asks again, ten minutes after the person last proved who they are."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.routing import Rule

from billing.accounts.tables import User
from billing.storage.database import Database
from tests.service.rating.world import Use
from tests.web import conftest, operators
from tests.web.operators import NOW, House, act
from tests.web.pages import Page
from tests.web.test_sign_in import cookie_of, enrol, token_of

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
LATER = NOW + timedelta(minutes=11)  # the sign-in itself took some seconds
# Acts that must ask again. Whatever else declares fresh=True is walked too.
MUST = {
    "operator.refunds_approve", "operator.refunds_reject", "operator.accounts_refund", "operator.invoice_runs_act",
    "operator.invoice_runs_decide", "you.password", "you.two_step_begin", "you.two_step_set_up", "you.two_step_codes",
    "you.two_step_off", "you.sessions_end",
}  # fmt: skip
MONEY = {
    "staff:refund.approve",
    "staff:refund.request",
    "staff:invoice.issue",
    "staff:seller.manage",
    "staff:ledger.approve",
    "staff:ledger.correct",
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def client(browser: Callable[..., FlaskClient]) -> FlaskClient:
    """Somebody who may everything: owner of a tenant and admin of the house."""
    return browser("calla", staff="admin", login="both@example.com")


def fresh_rules(app: Flask) -> list[Rule]:
    return [rule for rule in app.url_map.iter_rules() if getattr(app.view_functions[rule.endpoint], "is_fresh", False)]


def url_of(app: Flask, rule: Rule) -> str:
    values = {name: _one_of(rule, name) for name in rule.arguments}
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values)


def _one_of(rule: Rule, name: str) -> str:
    return min(getattr(rule._converters[name], "items", None) or {"x"})


def form_token(page: Page) -> str:
    return next(field.get("value", "") for field in page.root.iter("input") if field.get("name") == "csrf_token")


def test_every_act_over_money_or_access_declares_that_it_asks_again(app: Flask) -> None:
    assert {rule.endpoint for rule in fresh_rules(app)} >= MUST
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        if getattr(view, "access", "") in MONEY and "POST" in (rule.methods or ()):
            assert getattr(view, "is_fresh", False), f"{rule.endpoint} moves money: requires_staff(..., fresh=True)"


def test_after_ten_minutes_each_of_them_asks_on_its_page_and_on_its_button(app: Flask, client: FlaskClient) -> None:
    token = form_token(Page(client.get("/you")))
    asked = 0
    with time_machine.travel(LATER, tick=True):
        for rule in fresh_rules(app):
            url = url_of(app, rule)
            if "GET" in (rule.methods or ()):
                led = client.get(url)
                assert (led.status_code, led.headers["Location"].partition("?")[0]) == (303, "/verify"), rule.rule
                part = client.get(url, headers={"HX-Request": "true"})
                assert (part.status_code, part.headers["HX-Redirect"].partition("?")[0]) == (401, "/verify"), rule.rule
            if "POST" in (rule.methods or ()):
                refused = client.post(url, data={"csrf_token": token, "note": "as agreed"})
                page = Page(refused)
                assert (refused.status_code, page.h1) == (401, "Is it still you?"), rule.rule
                assert page.form_values()["kept"]
            asked += 1
    assert asked >= len(MUST)


def test_within_ten_minutes_of_signing_in_nothing_is_asked(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(NOW + timedelta(minutes=9, seconds=59), tick=False):
        for rule in fresh_rules(app):
            if "GET" in (rule.methods or ()):
                answer = client.get(url_of(app, rule))
                assert not answer.headers.get("Location", "").startswith("/verify"), rule.rule


def test_answered_it_leads_back_and_the_token_is_a_new_one(app: Flask, client: FlaskClient) -> None:
    with time_machine.travel(LATER, tick=True):
        url = client.get("/you/password").headers["Location"]
        before, old = token_of(client), cookie_of(client)
        page = Page(client.get(url))
        wrong = client.post(url, data={**page.form_values(), "password": "not the right one"})
        assert (wrong.status_code, token_of(client)) == (422, before)
        done = client.post(url, data={**page.form_values(), "password": conftest.PASSWORD})
        assert (done.status_code, done.headers["Location"]) == (303, "/you/password")
        assert token_of(client) != before
        assert client.get("/you/password").status_code == 200
        thief = app.test_client()
        thief.set_cookie("plumbline", old)
        assert thief.get("/you").status_code == 303
        assert client.get(url).headers["Location"] == "/you/password"


def test_with_a_second_factor_the_password_is_not_enough(database: Database, client: FlaskClient) -> None:
    with database.reading() as session:
        user_id = session.scalars(select(User.id).where(User.login == "both@example.com")).one()
    totp = enrol(database, user_id)
    act(client, "/sign-in", login="both@example.com", password=conftest.PASSWORD)
    assert act(client, "/sign-in/code", code=totp.at(NOW)).status_code == 303
    with time_machine.travel(LATER, tick=False):
        url = client.get("/you/password").headers["Location"]
        page = Page(client.get(url))
        assert "code" in page.form_values()
        assert client.post(url, data={**page.form_values(), "password": conftest.PASSWORD}).status_code == 422
        wrong = client.post(url, data={**page.form_values(), "code": conftest.PASSWORD})
        assert wrong.status_code == 422
        right = client.post(url, data={**page.form_values(), "code": totp.at(LATER)})
        assert right.status_code == 303


def test_guessing_is_slowed(client: FlaskClient) -> None:
    with time_machine.travel(LATER, tick=True):
        url = client.get("/you/password").headers["Location"]
        page = Page(client.get(url))
        statuses = [
            client.post(url, data={**page.form_values(), "password": "not the right one"}).status_code for _ in range(9)
        ]
        assert statuses == [422] * 8 + [429]
        assert client.post(url, data={**page.form_values(), "password": conftest.PASSWORD}).status_code == 429


def test_a_decision_over_a_refund_is_kept_while_it_asks_and_sent_by_the_person(
    app: Flask, database: Database, browser: Callable[..., FlaskClient]
) -> None:
    house = House(app, database)
    account_id = house.account("calla", Use(10_000))
    payment = house.top_up(account_id, 50_000)
    refund = house.ask_refund(account_id, payment, 1_000)
    approver = browser(staff="approver")
    url = f"/operator/refunds/{refund.id}/reject"
    form = Page(approver.get(url)).form_values()
    with time_machine.travel(LATER, tick=True):
        asked = Page(approver.post(url, data={**form, "note": "Paid only once"}))
        assert (asked.status, house.refund(refund.id).state) == (401, "requested")
        assert "Paid only once" not in asked.html
        offered = Page(
            approver.post(
                asked.forms()[-1].get("action", ""), data={**asked.form_values(), "password": conftest.PASSWORD}
            )
        )
        assert (offered.h1, house.refund(refund.id).state) == ("Your entries are kept", "requested")
        assert "Paid only once" in offered.text
        sent = offered.forms()[-1]
        assert sent.get("action") == url
        assert approver.post(url, data=offered.form_values()).status_code == 303
    assert house.refund(refund.id).state == "rejected"


@pytest.mark.parametrize(
    "referrer", ["http://evil.example/x", "http://localhost//evil.example", "http://localhost/\\evil", "nonsense", ""]
)
def test_a_buttons_way_back_is_a_page_of_ours(client: FlaskClient, referrer: str) -> None:
    token = form_token(Page(client.get("/you")))
    with time_machine.travel(LATER, tick=True):
        page = Page(client.post("/you/two-step/begin", data={"csrf_token": token}, headers={"Referer": referrer}))
        url = page.forms()[-1].get("action", "")
        done = client.post(url, data={**page.form_values(), "password": conftest.PASSWORD})
    assert (done.status_code, done.headers["Location"]) == (303, "/")


def test_a_button_without_anything_typed_leads_back_to_its_page(client: FlaskClient) -> None:
    token = form_token(Page(client.get("/you")))
    with time_machine.travel(LATER, tick=True):
        page = Page(
            client.post(
                "/you/two-step/begin", data={"csrf_token": token}, headers={"Referer": "http://localhost/you/two-step"}
            )
        )
        url = page.forms()[-1].get("action", "")
        done = client.post(url, data={**page.form_values(), "password": conftest.PASSWORD})
    assert done.headers["Location"] == "/you/two-step"
