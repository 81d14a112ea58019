"""Taking up an invitation through the pages: new, known, somebody else, and links that cannot be used."""

import logging
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import users
from billing.kernel import clock
from billing.storage.database import Database
from tests.web import access_links
from tests.web.conftest import PASSWORD, ensure_person
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NEW = "bo@example.com"


def send(client: FlaskClient, path: str, **fields: str) -> Page:
    form = Page(client.get(path)).form_values()
    return Page(client.post(path, data={**form, **fields}, follow_redirects=True))


@pytest.fixture
def token(app: Flask, database: Database, browser: Browser) -> str:
    """An open invitation of bo@example.com to calla's team, as billing."""
    send(browser("calla"), "/team/invite", login=NEW, role="billing")
    return access_links.newest(app, database)


def test_a_new_person_joins_and_is_signed_in_with_the_role(app: Flask, token: str) -> None:
    client = app.test_client()
    page = Page(client.get(f"/invitation/{token}"))
    assert page.h1 == "Join calla"
    assert "Add funds, pay invoices and set budgets" in page.text
    assert "Make and revoke API keys" not in page.text
    joined = send(client, f"/invitation/{token}", name="Bo", password=PASSWORD)
    assert (joined.status, joined.h1) == (200, "Overview")
    assert "You are part of calla now." in joined.text
    assert client.get("/add-funds").status_code == 200
    assert client.get("/team/invite").status_code == 403


@ONE_ENGINE
def test_what_cannot_be_is_said_at_the_field_and_the_link_stays_good(app: Flask, token: str) -> None:
    client = app.test_client()
    for fields, sentence in (
        ({"name": "", "password": PASSWORD}, "Enter your name."),
        ({"name": "Bo", "password": "short"}, "at least"),
        ({"name": "Bo", "password": NEW}, "must differ"),
        ({"name": "\u202eoB", "password": PASSWORD}, "direction of writing"),
        ({"name": "x" * 5_000, "password": PASSWORD}, "longer than"),
    ):
        page = send(client, f"/invitation/{token}", **fields)
        assert page.status == 422
        assert sentence in page.text
        assert PASSWORD not in page.html
    assert Page(client.get(f"/invitation/{token}")).status == 200


@ONE_ENGINE
def test_nothing_but_name_and_password_is_taken_from_the_form(app: Flask, database: Database, token: str) -> None:
    client = app.test_client()
    extra = {"role": "owner", "staff_role": "admin", "login": "root@example.com", "tenant_id": "ten_x", "user_id": "x"}
    assert send(client, f"/invitation/{token}", name="Bo", password=PASSWORD, **extra).status == 200
    with database.reading() as session:
        assert users.find_user_by_login(session, "root@example.com") is None
        made = users.find_user_by_login(session, NEW)
        assert made is not None
        assert made.staff_role is None
    assert client.get("/team/invite").status_code == 403


@ONE_ENGINE
def test_a_hostile_name_is_shown_as_text(app: Flask, token: str, browser: Browser) -> None:
    name = '<img src=x onerror=alert(1)>{{ 7*7 }}"'
    send(app.test_client(), f"/invitation/{token}", name=name, password=PASSWORD)
    page = Page(browser("calla", login="second@example.com").get("/team"))
    assert name in page.text
    assert "<img src=x" not in page.html


def test_a_known_person_signs_in_first_and_then_only_accepts(app: Flask, database: Database, token: str) -> None:
    ensure_person(database, NEW, account="dahlia", role="owner")
    client = app.test_client()
    page = Page(client.get(f"/invitation/{token}"))
    assert "You have an account here already" in page.text
    sign_in = page.links()["Sign in to join"]
    assert client.post(f"/invitation/{token}", data={"csrf_token": "x"}).status_code == 400
    form = Page(client.get(sign_in)).form_values()
    back = client.post(sign_in, data={**form, "login": NEW, "password": PASSWORD})
    assert back.headers["Location"].endswith(f"/invitation/{token}")
    joined = send(client, f"/invitation/{token}")
    assert "You are part of calla now." in joined.text
    assert {"calla", "dahlia"} <= set(joined.text.split())


@ONE_ENGINE
def test_somebody_else_is_told_whose_it_is_and_gets_nothing(browser: Browser, token: str) -> None:
    client = browser("dahlia")
    page = Page(client.get(f"/invitation/{token}"))
    assert (page.status, page.h1) == (403, "This invitation is for somebody else")
    assert NEW in page.text
    form = page.form_values()
    assert client.post(f"/invitation/{token}", data=form).status_code == 403
    assert "calla" not in Page(client.get("/")).text


@ONE_ENGINE
def test_links_that_cannot_be_used_have_one_page_whatever_the_cause(
    app: Flask, database: Database, token: str, browser: Browser
) -> None:
    client = app.test_client()
    head, _, mac = token.partition(".")
    send(browser("calla", login="second@example.com"), "/team/invite", login="cy@example.com", role="viewer")
    used = access_links.newest(app, database)
    send(app.test_client(), f"/invitation/{used}", name="Cy", password=PASSWORD)
    causes = [used, f"{head}.{'A' * 43}", head, "x", f"{head}.{mac[:-1]}", "a" * 3_000, "%F0%9F%92%A9"]
    pages = [Page(client.get(f"/invitation/{cause}")) for cause in causes]
    with time_machine.travel(clock.utc_now() + timedelta(days=8)):
        pages.append(Page(client.get(f"/invitation/{token}")))
    assert {(page.status, page.h1) for page in pages} == {(404, "This link cannot be used")}
    assert len({page.text for page in pages}) == 1
    assert Page(client.get("/invitation/%00")).status == 404  # such a path is no address at all


@ONE_ENGINE
def test_the_log_holds_no_token(app: Flask, token: str, capsys: pytest.CaptureFixture[str]) -> None:
    from portal import logs

    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        logs.configure()
        app.test_client().get(f"/invitation/{token}")
        logged = capsys.readouterr().err
    finally:
        root.handlers, root.level = handlers, level
    head, _, mac = token.partition(".")
    assert head in logged
    assert mac not in logged
