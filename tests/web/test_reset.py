"""A forgotten password through the pages."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import links, resets, second_factor
from billing.accounts.access_tables import TotpDevice
from billing.storage.database import Database
from tests.web import access_links
from tests.web.conftest import CREATED_AT, PASSWORD, ensure_person
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
LOGIN = "calla.owner@example.com"
NEW = "five quiet words here now"


def ask(client: FlaskClient, login: str) -> Page:
    form = Page(client.get("/forgot")).form_values()
    return Page(client.post("/forgot", data={**form, "login": login}, follow_redirects=True))


def choose(client: FlaskClient, token: str, password: str) -> Page:
    form = Page(client.get(f"/reset/{token}")).form_values()
    return Page(client.post(f"/reset/{token}", data={**form, "password": password}, follow_redirects=True))


def sign_in(client: FlaskClient, password: str) -> str:
    form = Page(client.get("/sign-in")).form_values()
    answer = client.post("/sign-in", data={**form, "login": LOGIN, "password": password})
    return answer.headers.get("Location", str(answer.status_code))


def test_the_link_gives_a_new_password_and_ends_what_was_open(app: Flask, database: Database, browser: Browser) -> None:
    elsewhere = browser("calla")
    client = app.test_client()
    assert "Forgot your password?" in Page(client.get("/sign-in")).links()
    ask(client, LOGIN)
    token = access_links.newest(app, database, links.RESET)
    done = choose(client, token, NEW)
    assert (done.status, done.h1) == (200, "Sign in")
    assert "Your password is changed." in done.text
    assert elsewhere.get("/").status_code == 303
    assert sign_in(client, PASSWORD) == "422"
    assert sign_in(client, NEW) == "/"
    assert Page(client.get(f"/reset/{token}")).status == 404


def test_the_answer_is_the_same_for_anybody_and_for_nobody(app: Flask, database: Database) -> None:
    ensure_person(database, LOGIN, account="calla")
    pages = [ask(app.test_client(), login) for login in (LOGIN, "nobody@example.com", "no address at all")]
    assert len({page.text for page in pages}) == 1
    assert {page.status for page in pages} == {200}
    assert access_links.count(database, links.RESET) == 1


def test_one_address_is_not_flooded_and_unknown_ones_are_counted_alike(app: Flask, database: Database) -> None:
    ensure_person(database, LOGIN, account="calla")
    for login in (LOGIN, "nobody@example.com"):
        client = app.test_client()
        answers = [ask(client, login).status for _ in range(resets.PER_LOGIN.limit + 1)]
        assert answers == [200] * resets.PER_LOGIN.limit + [429]
    assert access_links.count(database, links.RESET) == resets.PER_LOGIN.limit
    assert ask(app.test_client(), LOGIN.upper()).status == 429


def test_a_weak_password_is_refused_and_the_link_stays_good(app: Flask, database: Database) -> None:
    ensure_person(database, LOGIN, account="calla")
    client = app.test_client()
    ask(client, LOGIN)
    token = access_links.newest(app, database, links.RESET)
    for password, sentence in (("", "Choose a new password."), ("short", "at least"), (LOGIN, "must differ")):
        page = choose(client, token, password)
        assert page.status == 422
        assert sentence in page.text
    assert choose(client, token, NEW).h1 == "Sign in"


def test_a_reset_does_not_pass_the_second_step(app: Flask, database: Database) -> None:
    ensure_person(database, LOGIN, account="calla")
    with database.transaction() as session:
        from billing.accounts import users

        user = users.find_user_by_login(session, LOGIN)
        assert user is not None
        session.add(TotpDevice(user_id=user.id, secret_sealed="s", created_at=CREATED_AT, confirmed_at=CREATED_AT))
        user_id = user.id
    client = app.test_client()
    ask(client, LOGIN)
    choose(client, access_links.newest(app, database, links.RESET), NEW)
    assert client.get("/").status_code == 303
    assert sign_in(client, NEW).startswith("/sign-in/code")
    assert client.get("/").status_code == 303
    with database.reading() as session:
        assert second_factor.is_enrolled(session, user_id)


def test_an_invitation_is_no_reset_and_a_reset_no_invitation(app: Flask, database: Database, browser: Browser) -> None:
    client = browser("calla")
    form = Page(client.get("/team/invite")).form_values()
    client.post("/team/invite", data={**form, "login": "bo@example.com", "role": "viewer"})
    ask(client, LOGIN)
    invitation, reset = access_links.newest(app, database), access_links.newest(app, database, links.RESET)
    assert app.test_client().get(f"/reset/{invitation}").status_code == 404
    assert app.test_client().get(f"/invitation/{reset}").status_code == 404
