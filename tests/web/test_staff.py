"""Staff and access: who may open it, inviting, roles, disabling, ending sign-ins."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import permissions
from billing.storage.database import Database
from tests.web import access_links
from tests.web.conftest import PASSWORD
from tests.web.pages import Page
from tests.web.test_team import send, user_id

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both


def test_the_page_shows_the_table_that_decides(browser: Browser) -> None:
    browser(staff="maker")
    page = Page(browser(staff="admin").get("/operator/staff"))
    assert page.h1 == "Staff and access"
    assert "maker.owner@example.com" in page.text
    for permission in (*permissions.STAFF_PERMISSIONS, *permissions.MEMBER_PERMISSIONS):
        assert permission.words in page.text
    for role in (*permissions.STAFF_TABLE, *permissions.MEMBER_TABLE):
        assert role.label in page.text


def test_an_invited_operator_joins_the_staff(app: Flask, database: Database, browser: Browser) -> None:
    page = send(browser(staff="admin"), "/operator/staff/invite", login="mo@example.com", role="maker")
    assert "mo@example.com" in page.text
    token, client = access_links.newest(app, database), app.test_client()
    page = Page(client.get(f"/invitation/{token}"))
    assert page.h1 == "Join the staff of Plumbline"
    assert "Ask for refunds of any account" in page.text
    joined = send(client, f"/invitation/{token}", name="Mo", password=PASSWORD)
    assert joined.h1 == "Workbench"
    assert client.get("/operator/staff").status_code == 403


def test_an_invitation_to_the_staff_is_sent_again_and_withdrawn(
    app: Flask, database: Database, browser: Browser
) -> None:
    client = browser(staff="admin")
    send(client, "/operator/staff/invite", login="mo@example.com", role="maker")
    first = access_links.newest(app, database).partition(".")[0]
    send(client, f"/operator/staff/invitations/{first}/again", at="/operator/staff")
    second = access_links.newest(app, database).partition(".")[0]
    assert first != second
    page = send(client, f"/operator/staff/invitations/{second}/withdraw", at="/operator/staff")
    assert "No open invitations" in page.text
    again = send(client, f"/operator/staff/invitations/{second}/withdraw", at="/operator/staff/invite")
    assert again.status == 404


def test_an_invitation_that_cannot_be_keeps_the_form(database: Database, browser: Browser) -> None:
    client = browser(staff="admin")
    for fields, status, sentence in (
        ({"login": "nobody", "role": "viewer"}, 422, "cannot be read"),
        ({"login": "bo@example.com", "role": "owner"}, 422, "There is no role owner."),
        ({"login": "ADMIN.owner@example.com", "role": "viewer"}, 409, "has a role here already"),
    ):
        page = send(client, "/operator/staff/invite", **fields)
        assert (page.status, sentence in page.text) == (status, True), fields
    assert access_links.count(database) == 0


def test_another_role_signs_a_person_out_and_none_takes_them_off(database: Database, browser: Browser) -> None:
    client, mia = browser(staff="admin"), browser(staff="maker")
    theirs = user_id(database, "maker.owner@example.com")
    assert mia.get("/operator").status_code == 200
    page = send(client, f"/operator/staff/{theirs}/role", role="approver")
    assert "has the role Approver now" in page.text
    assert mia.get("/operator").status_code == 303
    assert send(client, f"/operator/staff/{theirs}/role", role="emperor").status == 422
    page = send(client, f"/operator/staff/{theirs}/role", role="none")
    assert "no longer on the staff" in page.text
    assert client.get(f"/operator/staff/{theirs}").status_code == 404


def test_a_disabled_operator_cannot_sign_in_until_enabled(app: Flask, database: Database, browser: Browser) -> None:
    client, mia = browser(staff="admin"), browser(staff="maker")
    theirs = user_id(database, "maker.owner@example.com")
    page = send(client, f"/operator/staff/{theirs}/disable")
    assert "Disabled" in page.text
    assert mia.get("/operator").status_code == 303

    def status() -> int:
        fresh = app.test_client()
        form = Page(fresh.get("/sign-in")).form_values()
        sent = {**form, "login": "maker.owner@example.com", "password": PASSWORD}
        return fresh.post("/sign-in", data=sent).status_code

    assert status() == 422
    send(client, f"/operator/staff/{theirs}/enable")
    assert status() == 303


def test_sign_ins_are_ended_from_the_page(database: Database, browser: Browser) -> None:
    client, mia = browser(staff="admin"), browser(staff="maker")
    theirs = user_id(database, "maker.owner@example.com")
    assert "signed out everywhere" in send(client, f"/operator/staff/{theirs}/sign-out").text
    assert mia.get("/operator").status_code == 303


def test_nobody_changes_their_own_access(database: Database, browser: Browser) -> None:
    client = browser(staff="admin")
    browser(staff="admin", login="second@example.com")
    own = user_id(database, "admin.owner@example.com")
    page = Page(client.get(f"/operator/staff/{own}"))
    assert "Another administrator changes your access." in page.text
    assert not {"Disable", "Change role"} & page.links().keys()
    for path, fields in (
        (f"/operator/staff/{own}/role", {"role": "viewer"}),
        (f"/operator/staff/{own}/disable", {}),
    ):
        refused = send(client, path, **fields)
        assert refused.status == 409
        assert "Another administrator" in refused.text


def test_a_tenants_person_is_no_staff(database: Database, browser: Browser) -> None:
    browser("calla")
    client, theirs = browser(staff="admin"), user_id(database, "calla.owner@example.com")
    for path in (theirs, f"{theirs}/role", f"{theirs}/disable", "usr_none", "%00"):
        assert client.get(f"/operator/staff/{path}").status_code == 404, path
