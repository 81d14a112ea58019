"""Signing in through the pages: what the cookie is worth, when it ends, the second step, and what an onlooker may learn."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from billing.accounts import second_factor, users
from billing.accounts.access_tables import UserSession
from billing.accounts.sealing import Sealer
from billing.accounts.tables import User
from billing.storage.database import Database
from portal import create_app
from tests.web import conftest, operators
from tests.web.operators import NOW, act
from tests.web.pages import Page

ONE_ENGINE = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
pytestmark = ONE_ENGINE
LOGIN = "ann@example.com"
COOKIE = "plumbline"
SEALER = Sealer("totp", "k" * 40)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def ann(database: Database) -> str:
    conftest.ensure_person(database, LOGIN, account="calla")
    return id_of(database, LOGIN)


def id_of(database: Database, login: str) -> str:
    with database.reading() as session:
        return session.scalars(select(User.id).where(User.login == login)).one()


def enrol(database: Database, user_id: str) -> pyotp.TOTP:
    """The person's app; its first code was used a minute ago."""
    at = NOW - timedelta(minutes=1)
    with database.transaction() as session:
        second_factor.begin(session, user_id=user_id, sealer=SEALER, now=at)
        secret = second_factor.find_waiting_secret(session, user_id=user_id, sealer=SEALER)
        app = pyotp.TOTP(str(secret))
        assert second_factor.confirm(session, user_id=user_id, code=app.at(at), sealer=SEALER, now=at)
    return app


def send(client: FlaskClient, login: str = LOGIN, password: str = conftest.PASSWORD) -> TestResponse:
    return act(client, "/sign-in", login=login, password=password)


def cookie_of(client: FlaskClient) -> str:
    found = client.get_cookie(COOKIE)
    assert found is not None
    return found.value


def token_of(client: FlaskClient) -> str:
    with client.session_transaction() as held:
        return str(held.get("_user_id"))


def is_in(client: FlaskClient) -> bool:
    return client.get("/you").status_code == 200


def rows(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(UserSession)) or 0


def test_who_only_looks_gets_no_row_and_who_signs_in_one(database: Database, client: FlaskClient, ann: str) -> None:
    client.get("/sign-in")
    send(client, password="not the right one")
    assert rows(database) == 0
    assert send(client).status_code == 303
    assert rows(database) == 1


def test_the_cookie_says_nothing_but_the_token(client: FlaskClient, ann: str) -> None:
    send(client)
    with client.session_transaction() as held:
        assert not {ann, LOGIN} & {str(value) for value in held.values()}
        assert len(held["_user_id"]) == 43


def test_a_planted_token_is_replaced_at_sign_in_and_dies_with_the_one_before(
    app: Flask, database: Database, client: FlaskClient, ann: str
) -> None:
    conftest.ensure_person(database, "eve@example.com", account="brine")
    conftest.sign_in(client, "eve@example.com")
    planted = cookie_of(client)
    victim = app.test_client()
    victim.set_cookie(COOKIE, planted)
    victim.post("/sign-out", data={"csrf_token": "x"})  # refused: whatever the cookie, the way is the form's
    with victim.session_transaction() as held:
        before = held["_user_id"]
    form = Page(app.test_client().get("/sign-in"))
    assert form.h1 == "Sign in"
    client.get("/you")
    assert send_again(victim).status_code == 303
    assert token_of(victim) != before
    assert is_in(victim)
    assert not is_in(client), "the sign-in that was planted ended when its browser signed in as somebody else"


def send_again(client: FlaskClient) -> TestResponse:
    """Sign in over a sign-in in force: by the form of a page that was open before."""
    page = Page(client.get("/you"))
    token = next(field.get("value", "") for field in page.root.iter("input") if field.get("name") == "csrf_token")
    return client.post("/sign-in", data={"csrf_token": token, "login": LOGIN, "password": conftest.PASSWORD})


def test_an_old_cookie_is_worth_nothing_after_signing_out(app: Flask, client: FlaskClient, ann: str) -> None:
    send(client)
    old = cookie_of(client)
    page = Page(client.get("/"))
    token = next(field.get("value", "") for field in page.root.iter("input") if field.get("name") == "csrf_token")
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 303
    thief = app.test_client()
    thief.set_cookie(COOKIE, old)
    assert not is_in(thief)
    assert not is_in(client)


def test_a_sign_in_ends_after_half_an_hour_without_a_request_and_after_twelve_hours(
    client: FlaskClient, ann: str
) -> None:
    send(client)
    with time_machine.travel(NOW, tick=False) as traveller:
        for _ in range(3):
            traveller.shift(timedelta(minutes=29))
            assert is_in(client)
        traveller.shift(timedelta(minutes=30))
        assert not is_in(client)
    with time_machine.travel(NOW, tick=False) as traveller:
        send(client)
        for _ in range(25):
            traveller.shift(timedelta(minutes=28))
            assert is_in(client)
        traveller.shift(timedelta(minutes=20))
        assert not is_in(client)


def test_looking_at_pages_writes_once_a_minute(database: Database, client: FlaskClient, ann: str) -> None:
    def seen() -> object:
        with database.reading() as session:
            return session.scalars(select(UserSession.last_seen_at)).one()

    with time_machine.travel(NOW, tick=False) as traveller:
        send(client)
        traveller.shift(timedelta(seconds=59))
        client.get("/")
        assert seen() == NOW
        traveller.shift(timedelta(seconds=1))
        client.get("/")
        client.get("/")
        assert seen() == NOW + timedelta(seconds=60)


def test_what_another_process_ends_is_ended_here_at_once(
    app: Flask, database: Database, client: FlaskClient, ann: str
) -> None:
    other_process = create_app(app.extensions["plumbline"].config)
    send(client)
    elsewhere = other_process.test_client()
    send(elsewhere)
    assert act(elsewhere, "/you/sessions", end="others").status_code in (303, 405)
    form = Page(elsewhere.get("/you/sessions")).form_values()
    assert elsewhere.post("/you/sessions/end", data={**form, "end": "others"}).status_code == 303
    assert is_in(elsewhere)
    assert not is_in(client)
    with database.transaction() as session:
        session.get_one(User, ann).is_disabled = True
    assert not is_in(elsewhere)
    other_process.extensions["plumbline"].database.dispose()


def test_a_changed_secret_key_signs_nobody_out_while_the_old_one_is_named(
    app: Flask, client: FlaskClient, ann: str
) -> None:
    send(client)
    config = app.extensions["plumbline"].config
    for old, stays in ((("k" * 40,), True), ((), False)):
        rotated = create_app(replace(config, secret_key="n" * 40, old_secret_keys=old))
        browser = rotated.test_client()
        browser.set_cookie(COOKIE, cookie_of(client))
        assert is_in(browser) == stays
        rotated.extensions["plumbline"].database.dispose()


def test_every_failure_says_the_same(database: Database, client: FlaskClient, ann: str) -> None:
    conftest.ensure_person(database, "off@example.com", account="calla")
    with database.transaction() as session:
        session.get_one(User, id_of_in(session, "off@example.com")).is_disabled = True
    told = set()
    for login, password in (
        (LOGIN, "not the right one"),
        ("nobody@example.com", "not the right one"),
        ("off@example.com", conftest.PASSWORD),
        ("no address", "x"),
    ):
        answer = send(client, login, password)
        told.add((answer.status_code, Page(answer).text.replace(login, "")))
    assert len(told) == 1
    assert next(iter(told))[0] == 422


def id_of_in(session: object, login: str) -> str:
    return session.scalars(select(User.id).where(User.login == login)).one()  # type: ignore[attr-defined]


def test_after_eight_failures_the_page_says_to_wait(client: FlaskClient, ann: str) -> None:
    for _ in range(8):
        assert send(client, password="not the right one").status_code == 422
    answer = send(client)
    assert answer.status_code == 429
    assert "Too many tries" in Page(answer).text


# ------------------------------------------------------------------ the second step


def test_between_the_steps_there_is_no_sign_in(database: Database, client: FlaskClient, ann: str) -> None:
    app = enrol(database, ann)
    answer = send(client)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in/code")
    assert rows(database) == 0
    assert not is_in(client)
    done = act(client, "/sign-in/code", code=app.at(NOW))
    assert (done.status_code, done.headers["Location"]) == (303, "/")
    assert is_in(client)
    with database.reading() as session:
        assert session.scalars(select(UserSession.method)).all() == ["password+totp"]


def test_the_way_back_goes_through_both_steps(database: Database, client: FlaskClient, ann: str) -> None:
    app = enrol(database, ann)
    location = client.get("/invoices?state=open").headers["Location"]
    step = act(client, location, login=LOGIN, password=conftest.PASSWORD).headers["Location"]
    assert act(client, step, code=app.at(NOW)).headers["Location"] == "/invoices?state=open"


def test_a_wrong_or_used_code_lets_nobody_in(app: Flask, database: Database, client: FlaskClient, ann: str) -> None:
    code = enrol(database, ann).at(NOW)
    send(client)
    for typed in ("000000", "", "x" * 61):
        answer = act(client, "/sign-in/code", code=typed)
        assert answer.status_code == 422
        assert Page(answer).h1 == "Enter your code"
    watcher = app.test_client()
    send(watcher)
    assert act(client, "/sign-in/code", code=code).status_code == 303
    assert act(watcher, "/sign-in/code", code=code).status_code == 422
    assert not is_in(watcher)
    for _ in range(7):
        act(watcher, "/sign-in/code", code="000000")
    assert act(watcher, "/sign-in/code", code="000000").status_code == 429


def test_a_recovery_code_lets_in_once(app: Flask, database: Database, client: FlaskClient, ann: str) -> None:
    enrol(database, ann)
    with database.transaction() as session:
        codes = second_factor.renew_codes(session, user_id=ann, now=NOW)
    send(client)
    page = Page(client.get("/sign-in/code?recovery=1"))
    assert page.h1 == "Use a recovery code"
    assert act(client, "/sign-in/code?recovery=1", code=codes[0]).status_code == 303
    again = app.test_client()
    send(again)
    assert act(again, "/sign-in/code?recovery=1", code=codes[0]).status_code == 422


def test_the_second_step_waits_five_minutes(database: Database, client: FlaskClient, ann: str) -> None:
    app = enrol(database, ann)
    with time_machine.travel(NOW, tick=False) as traveller:
        send(client)
        form = Page(client.get("/sign-in/code")).form_values()
        traveller.shift(timedelta(minutes=5, seconds=1))
        late = client.post("/sign-in/code", data={**form, "code": app.at(NOW + timedelta(minutes=5))})
        assert late.status_code == 422
        assert Page(late).h1 == "Sign in"
        assert Page(client.get("/sign-in/code")).h1 == "Sign in"
    assert not is_in(client)


def test_the_second_step_is_void_once_the_password_was_changed(
    database: Database, client: FlaskClient, ann: str
) -> None:
    app = enrol(database, ann)
    send(client)
    form = Page(client.get("/sign-in/code")).form_values()
    with database.transaction() as session:
        users.change_password(session, user_id=ann, password="four unrelated words here", now=NOW)
    assert client.post("/sign-in/code", data={**form, "code": app.at(NOW)}).status_code == 422
    assert not is_in(client)


def test_a_second_step_that_nobody_began_leads_to_the_first(client: FlaskClient) -> None:
    with client.session_transaction() as held:
        held["pending"] = "WyJ1c3JfeCIsIngiXQ.aaaa.bbbb"
    assert Page(client.get("/sign-in/code")).h1 == "Sign in"


# ------------------------------------------------------------------ what was typed is kept


def typed_late(client: FlaskClient) -> tuple[TestResponse, str]:
    """A budget sent after the sign-in has ended, and the token in which its entries are kept."""
    form = Page(client.get("/budgets/new")).form_values()
    with time_machine.travel(NOW + timedelta(minutes=31), tick=True):
        answer = client.post(
            "/budgets/new", data={**form, "name": "Spring", "amount": "500.00", "thresholds": "50, 80"}
        )
    return answer, Page(answer).form_values().get("kept", "")


@pytest.mark.parametrize("has_second_step", [False, True])
def test_what_was_typed_when_the_sign_in_ended_comes_back_to_the_same_person(
    database: Database, client: FlaskClient, ann: str, has_second_step: bool
) -> None:
    app = enrol(database, ann) if has_second_step else None
    send(client)
    if app:
        act(client, "/sign-in/code", code=app.at(NOW))
    answer, kept = typed_late(client)
    assert answer.status_code == 401
    page = Page(answer)
    assert page.h1 == "You were signed out"
    assert kept
    assert "Spring" not in page.html
    later = NOW + timedelta(minutes=31)
    with time_machine.travel(later, tick=False):
        url = page.forms()[-1].get("action", "")
        back = client.post(url, data={**page.form_values(), "login": LOGIN, "password": "wrong"})
        assert Page(back).form_values()["kept"] == kept
        back = client.post(url, data={**Page(back).form_values(), "login": LOGIN, "password": conftest.PASSWORD})
        if app:
            step = Page(back)
            back = client.post(step.forms()[-1].get("action", ""), data={**step.form_values(), "code": app.at(later)})
        offered = Page(back)
        assert (offered.status, offered.h1) == (200, "Your entries are kept")
        assert "Spring" in offered.text
        form = offered.forms()[-1]
        assert client.post(form.get("action", ""), data=offered.form_values()).status_code == 303
        assert "Spring" in Page(client.get("/budgets")).text


def test_what_somebody_else_typed_is_dropped(database: Database, client: FlaskClient, ann: str) -> None:
    conftest.ensure_person(database, "eve@example.com", account="brine")
    send(client)
    _, kept = typed_late(client)
    form = Page(client.get("/sign-in")).form_values() if not is_in(client) else {}
    with time_machine.travel(NOW + timedelta(minutes=31), tick=True):
        form = Page(client.get("/sign-in")).form_values()
        answer = client.post(
            "/sign-in", data={**form, "kept": kept, "login": "eve@example.com", "password": conftest.PASSWORD}
        )
    assert answer.status_code == 303


def test_htmx_gets_the_sign_in_form_into_the_page_that_stays(client: FlaskClient, ann: str) -> None:
    send(client)
    form = Page(client.get("/budgets/new")).form_values()
    with time_machine.travel(NOW + timedelta(minutes=31), tick=True):
        answer = client.post("/budgets/new", data={**form, "name": "Spring"}, headers={"HX-Request": "true"})
        led = client.get("/budgets", headers={"HX-Request": "true"})
    assert answer.status_code == 401
    assert (answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == ("#page-error", "innerHTML")
    assert Page(answer, is_partial=True).form_values(0) if answer.data.startswith(b"<main") else b"kept" in answer.data
    assert (led.status_code, led.headers["HX-Redirect"].partition("?")[0]) == (401, "/sign-in")


# ------------------------------------------------------------------ staff and the second factor


def test_staff_who_must_have_a_second_factor_can_set_one_up_and_nothing_else(app: Flask, database: Database) -> None:
    strict = create_app(replace(app.extensions["plumbline"].config, is_staff_mfa_required=True))
    conftest.ensure_person(database, "mia@example.com", account=None, staff="admin")
    client = strict.test_client()
    conftest.sign_in(client, "mia@example.com")
    walked = 0
    for rule in strict.url_map.iter_rules():
        access = getattr(strict.view_functions[rule.endpoint], "access", "")
        if not access.startswith(("staff:", "signed_in")) or "GET" not in (rule.methods or ()) or rule.arguments:
            continue
        answer = client.get(rule.rule)
        if rule.endpoint == "you.two_step":
            assert "Set this up before you go on" in Page(answer).text
        elif rule.endpoint not in ("you.two_step_set_up", "auth.verify"):
            assert (answer.status_code, answer.headers["Location"]) == (303, "/you/two-step"), rule.rule
            walked += 1
    assert walked > 8
    form = Page(client.get("/you/two-step")).form_values()
    assert client.post("/you/two-step/begin", data=form).headers["Location"] == "/you/two-step/set-up"
    page = Page(client.get("/you/two-step/set-up"))
    secret = "".join(next(e for e in page.root.iter("code") if e.get("id") == "secret").itertext()).replace(" ", "")
    done = client.post("/you/two-step/set-up", data={**page.form_values(), "code": pyotp.TOTP(secret).at(NOW)})
    assert Page(done).h1 == "Recovery codes"
    assert client.get("/operator").status_code == 200
    strict.extensions["plumbline"].database.dispose()
