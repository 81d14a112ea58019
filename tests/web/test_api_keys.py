"""API keys of a tenant: made once, shown once, revoked."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import keys
from billing.kernel import clock
from billing.storage.database import Database
from tests.web.pages import Page
from tests.web.test_team import send

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
FIELDS = {"label": "Importer", "scopes": ["billing.read", "usage.write"], "expiry": "30"}
_KEY = re.compile(r"plk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")


def make(client: FlaskClient, path: str = "/api-keys/new", **changes: object) -> Page:
    form = Page(client.get(path)).form_values()
    return Page(client.post(path, data={**form, **FIELDS, **changes}))


def calls(app: Flask, key: str) -> int:
    answer = app.test_client().get("/api/v1/billing/balance", headers={"Authorization": f"Bearer {key}"})
    return answer.status_code


def test_a_key_is_shown_once_works_and_is_listed_by_its_beginning(app: Flask, browser: Browser) -> None:
    client = browser("calla")
    page = make(client)
    (key,) = set(_KEY.findall(page.html))
    assert page.response.headers["Cache-Control"] == "no-store"
    assert calls(app, key) == 200
    listed = Page(client.get("/api-keys"))
    assert not _KEY.search(listed.html)
    assert key[:16] in listed.text
    for words in ("Importer", "Report usage and allocations", "calla.owner", "Active"):
        assert words in listed.text


def test_the_same_form_sent_again_makes_no_second_key_and_shows_none(database: Database, browser: Browser) -> None:
    client = browser("calla")
    form = Page(client.get("/api-keys/new")).form_values() | FIELDS
    first, second = (Page(client.post("/api-keys/new", data=form)) for _ in range(2))
    assert _KEY.search(first.html)
    assert (second.status, second.h1) == (409, "This key was made already")
    assert not _KEY.search(second.html)
    assert Page(client.get("/api-keys")).text.count("Active") == 1


def test_a_key_ends_when_it_should(app: Flask, browser: Browser) -> None:
    client = browser("calla")
    (key,) = set(_KEY.findall(make(client).html))
    with time_machine.travel(clock.utc_now() + timedelta(days=30, minutes=1)):
        assert calls(app, key) == 401
    (lasting,) = set(_KEY.findall(make(client, expiry="0").html))
    with time_machine.travel(clock.utc_now() + timedelta(days=2_000)):
        assert calls(app, lasting) == 200


def test_a_revoked_key_is_refused_from_then_on(app: Flask, browser: Browser) -> None:
    client = browser("calla")
    (key,) = set(_KEY.findall(make(client).html))
    revoke = Page(client.get("/api-keys")).links()["Revoke Importer"]
    assert "cannot be taken back" in Page(client.get(revoke)).text
    assert calls(app, key) == 200
    assert "is revoked" in send(client, revoke).text
    assert calls(app, key) == 401


def test_what_cannot_be_is_said_at_the_field(browser: Browser) -> None:
    client = browser("calla")
    for changes, sentence in (
        ({"label": ""}, "Say what the key is for"),
        ({"label": "x" * 81}, "at most 80"),
        ({"label": "\u202eoB"}, "direction of writing"),
        ({"scopes": []}, "Choose at least one thing"),
        ({"scopes": ["billing.read", "invoice.issue"]}, "not a valid choice"),
        ({"scopes": ["admin"]}, "not a valid choice"),
        ({"expiry": "9999"}, "Not a valid choice"),
        ({"expiry": "-1"}, "Not a valid choice"),
    ):
        page = make(client, **changes)
        assert page.status == 422, changes
        assert sentence.lower() in page.text.lower(), changes
        assert not _KEY.search(page.html)
    assert "No API keys yet" in Page(client.get("/api-keys")).text


def test_fields_that_are_not_offered_change_nothing(database: Database, browser: Browser) -> None:
    client = browser("calla")
    make(client, tenant_id="", tenants="calla", key_hash="x", created_by="usr_x", revoked_at="")
    with database.reading() as session:
        assert keys.list_keys(session, now=clock.utc_now(), tenant_id=None) == []


def test_another_tenants_key_does_not_exist(app: Flask, browser: Browser) -> None:
    other = browser("dahlia")
    (key,) = set(_KEY.findall(make(other).html))
    revoke = Page(other.get("/api-keys")).links()["Revoke Importer"]
    client = browser("calla")
    assert "Importer" not in Page(client.get("/api-keys")).text
    assert client.get(revoke).status_code == 404
    token = Page(client.get("/api-keys/new")).form_values()["csrf_token"]
    assert client.post(revoke, data={"csrf_token": token}).status_code == 404
    assert calls(app, key) == 200
