"""Passwords and the proof of oneself, through the pages."""

from datetime import timedelta

import time_machine

from billing.accounts import passwords
from tests.gates import world
from tests.gates.walk import Walk, login_of_person
from tests.web import conftest as web
from tests.web.pages import Page, elements

NEW = "nine lanterns over Reykjavík at noon"


def test_password_fields_are_masked_and_managers_may_fill_them(walk: Walk) -> None:
    seen = 0
    for stop in walk.pages():
        for control in elements(walk.page(stop).root):
            if control.tag != "input" or not (
                "password" in (control.get("name") or "") or control.get("type") == "password"
            ):
                continue
            assert control.get("type") == "password", str(stop)
            assert control.get("autocomplete") in ("current-password", "new-password"), (str(stop), control.get("name"))
            assert not any(name.startswith("on") for name in control.attrib)
            seen += 1
    assert seen >= 3


def test_a_long_password_of_any_composition_is_taken_as_it_is() -> None:
    for password in (
        "x y" * 30,
        "只有汉字的密码也可以用的",
        "1234 5678 9012 3456 7890 3141",
        "ALL UPPER CASE AND SPACES",
        "z" * 64 + "é🚀",
    ):
        assert passwords.require_password(password, login="ann@example.com") == password
        kept = passwords.make_hash(password, passwords.Cost(memory_kib=8, passes=1))
        assert passwords.is_match(kept, password)
        assert not passwords.is_match(kept, password.swapcase() + " ")
        assert not passwords.is_match(kept, password[:-1])


def test_a_password_stays_good_for_years(own_walk: Walk) -> None:
    with time_machine.travel(world.NOW + timedelta(days=5 * 365), tick=True):
        client = own_walk.app.test_client()
        web.sign_in(client, login_of_person("owner"))
        assert client.get("/invoices").status_code == 200


def test_changing_the_password_takes_the_current_one(own_walk: Walk) -> None:
    client = own_walk.client("owner")
    form = Page(client.get("/you/password")).form_values()
    wrong = client.post("/you/password", data={**form, "current": "not the current one", "password": NEW})
    assert wrong.status_code == 422
    assert client.post("/you/password", data={**form, "password": NEW}).status_code == 422
    done = client.post("/you/password", data={**form, "current": web.PASSWORD, "password": NEW})
    assert done.status_code == 303
    fresh = own_walk.app.test_client()
    again = Page(fresh.get("/sign-in")).form_values()
    assert (
        fresh.post("/sign-in", data={**again, "login": login_of_person("owner"), "password": web.PASSWORD}).status_code
        == 422
    )
    assert fresh.post("/sign-in", data={**again, "login": login_of_person("owner"), "password": NEW}).status_code == 303


def test_changing_how_one_signs_in_takes_a_fresh_proof(own_walk: Walk) -> None:
    """A sign-in that is not fresh is asked for the password again before any page that changes how one signs in."""
    client = own_walk.client("owner")
    token = own_walk.token("owner")
    guarded = ("/you/password", "/you/two-step/set-up")
    assert client.get(guarded[0]).status_code == 200
    for minutes in (25, 50, 75):  # somebody who stays, so that only the freshness ends
        with time_machine.travel(world.NOW + timedelta(minutes=minutes), tick=True):
            assert client.get("/invoices").status_code == 200
    with time_machine.travel(world.NOW + timedelta(minutes=76), tick=True):
        assert client.get("/invoices").status_code == 200
        assert client.get(guarded[0]).headers.get("Location", "").startswith("/verify")
        begun = client.post("/you/two-step/begin", data={"csrf_token": token})
        assert begun.status_code == 401 or begun.headers.get("Location", "").startswith("/verify")
