"""The team page: who sees what, inviting, changing, removing, leaving."""

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
from tests.web.conftest import ensure_person
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


def user_id(database: Database, login: str) -> str:
    with database.reading() as session:
        user = users.find_user_by_login(session, login)
    assert user is not None
    return user.id


def send(client: FlaskClient, path: str, at: str | None = None, **fields: str) -> Page:
    form = Page(client.get(at or path)).form_values()
    return Page(client.post(path, data={**form, **fields}, follow_redirects=True))


@ONE_ENGINE
def test_owners_see_how_people_sign_in_and_others_only_who_they_are(database: Database, browser: Browser) -> None:
    owner, viewer = Page(browser("calla").get("/team")), Page(browser("calla", role="viewer").get("/team"))
    for page in (owner, viewer):
        assert page.h1 == "Team"
        assert "calla.owner@example.com" in page.text
        assert "Make and revoke API keys" in page.text
    assert "Two-step sign-in" in owner.text
    assert "Open invitations" in owner.text
    assert "Invite somebody" in owner.links()
    for absent in ("Two-step sign-in", "Last seen", "Open invitations"):
        assert absent not in viewer.text
    assert not {"Invite somebody", "Remove"} & viewer.links().keys()


@ONE_ENGINE
def test_only_owners_manage(database: Database, browser: Browser) -> None:
    other = browser("calla") and user_id(database, "calla.owner@example.com")
    for role in ("billing", "viewer"):
        client = browser("calla", role=role)
        for path in ("/team/invite", f"/team/{other}/role", f"/team/{other}/remove", "/api-keys", "/api-keys/new"):
            assert client.get(path).status_code == 403, (role, path)


def test_an_invitation_is_listed_sent_again_and_withdrawn(app: Flask, database: Database, browser: Browser) -> None:
    client = browser("calla")
    page = send(client, "/team/invite", login="Bo@Example.com ", role="billing")
    assert "The invitation is on its way." in page.text
    assert "bo@example.com" in page.text
    first = access_links.newest(app, database)
    path = f"/team/invitations/{first.partition('.')[0]}"
    assert "A new link is on its way." in send(client, f"{path}/again", at="/team").text
    assert app.test_client().get(f"/invitation/{first}").status_code == 404
    second = access_links.newest(app, database)
    assert app.test_client().get(f"/invitation/{second}").status_code == 200
    page = send(client, f"/team/invitations/{second.partition('.')[0]}/withdraw", at="/team")
    assert "withdrawn" in page.text
    assert "No open invitations" in page.text
    assert app.test_client().get(f"/invitation/{second}").status_code == 404


@ONE_ENGINE
def test_an_invitation_that_cannot_be_keeps_the_form(database: Database, browser: Browser) -> None:
    client = browser("calla")
    browser("calla", role="viewer")
    send(client, "/team/invite", login="cy@example.com", role="viewer")
    for fields, status, sentence in (
        ({"login": "", "role": "viewer"}, 422, "Enter an e-mail address."),
        ({"login": "nobody", "role": "viewer"}, 422, "cannot be read"),
        ({"login": "a@b.example\nBcc: x@y.example", "role": "viewer"}, 422, "control characters"),
        ({"login": "bo@example.com", "role": "admin"}, 422, "There is no role admin."),
        ({"login": "CALLA.viewer@EXAMPLE.com", "role": "viewer"}, 409, "has a role here already"),
        ({"login": "cy@example.com", "role": "owner"}, 409, "is open already"),
        ({"login": "x" * 5_000, "role": "viewer"}, 422, "too long"),
    ):
        page = send(client, "/team/invite", **fields)
        assert (page.status, sentence in page.text) == (status, True), fields
        assert page.h1 == "Invite somebody"
    assert access_links.count(database) == 1


@ONE_ENGINE
def test_the_same_form_sent_twice_is_one_invitation(database: Database, browser: Browser) -> None:
    client = browser("calla")
    form = Page(client.get("/team/invite")).form_values() | {"login": "bo@example.com", "role": "viewer"}
    assert [client.post("/team/invite", data=form).status_code for _ in range(2)] == [303, 303]
    assert access_links.count(database) == 1


def test_a_role_is_changed_and_the_last_owner_stays(database: Database, browser: Browser) -> None:
    client, other = browser("calla"), browser("calla", role="viewer")
    own, theirs = (user_id(database, f"calla.{role}@example.com") for role in ("owner", "viewer"))
    page = send(client, f"/team/{own}/role", role="viewer")
    assert page.status == 409
    assert "keeps at least one owner" in page.text
    assert send(client, f"/team/{theirs}/role", role="root").status == 422
    assert "has the role Owner now" in send(client, f"/team/{theirs}/role", role="owner").text
    assert other.get("/team/invite").status_code == 200
    assert send(client, f"/team/{own}/role", role="viewer").status == 200
    assert client.get("/team/invite").status_code == 403


@ONE_ENGINE
def test_a_removed_member_is_out_at_the_next_request(database: Database, browser: Browser) -> None:
    client, other = browser("calla"), browser("calla", role="viewer")
    theirs = user_id(database, "calla.viewer@example.com")
    assert other.get("/usage").status_code == 200
    assert "no longer part of the team" in send(client, f"/team/{theirs}/remove").text
    assert other.get("/usage").status_code == 404
    assert client.get(f"/team/{theirs}/remove").status_code == 404


@ONE_ENGINE
def test_leaving_asks_and_the_last_owner_cannot(database: Database, browser: Browser) -> None:
    client, other = browser("calla"), browser("calla", role="viewer")
    page = send(client, "/team/leave")
    assert page.status == 409
    assert "keeps at least one owner" in page.text
    page = send(other, "/team/leave")
    assert page.status == 200
    assert "You have left the team." in page.text
    assert other.get("/usage").status_code == 404
    own = user_id(database, "calla.owner@example.com")
    assert client.get(f"/team/{own}/remove").headers["Location"] == "/team/leave"


def test_people_and_invitations_of_another_tenant_do_not_exist(
    app: Flask, database: Database, browser: Browser
) -> None:
    send(browser("dahlia"), "/team/invite", login="bo@example.com", role="viewer")
    foreign_link = access_links.newest(app, database).partition(".")[0]
    foreign = user_id(database, "dahlia.owner@example.com")
    client = browser("calla")
    token = Page(client.get("/team/invite")).form_values()["csrf_token"]
    for path in (f"/team/{foreign}/role", f"/team/{foreign}/remove", "/team/usr_none/role", "/team/%00/role"):
        assert client.get(path).status_code == 404, path
        assert client.post(path, data={"csrf_token": token, "role": "viewer"}).status_code == 404, path
    for act in ("again", "withdraw"):
        path = f"/team/invitations/{foreign_link}/{act}"
        assert client.post(path, data={"csrf_token": token}).status_code == 404
    assert access_links.count(database) == 1


@ONE_ENGINE
def test_who_may_what_is_asked_for_again_after_ten_minutes(database: Database, browser: Browser) -> None:
    client = browser("calla")
    ensure_person(database, "cy@example.com", account="calla", role="viewer")
    theirs = user_id(database, "cy@example.com")
    with time_machine.travel(clock.utc_now() + timedelta(minutes=11)):
        for path in ("/team/invite", f"/team/{theirs}/role", f"/team/{theirs}/remove", "/api-keys/new"):
            assert client.get(path).headers["Location"].startswith("/verify"), path
        assert client.get("/team").status_code == 200
