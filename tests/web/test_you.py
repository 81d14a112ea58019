"""Your account: profile, password, two-step sign-in and sign-ins, for tenants and staff alike."""

from collections.abc import Callable, Iterator

import pyotp
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts.tables import User
from billing.storage.database import Database
from billing.storage.tables import OutboxMessage
from tests.web import conftest, operators
from tests.web.operators import NOW, act
from tests.web.pages import Page

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
NEW = "four unrelated words here"
PAGES = ("/you", "/you/password", "/you/two-step", "/you/sessions")


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def client(browser: Callable[..., FlaskClient]) -> FlaskClient:
    return browser("calla", login="ann@example.com")


def told(database: Database) -> list[str]:
    with database.reading() as session:
        rows = session.scalars(
            select(OutboxMessage.payload).where(OutboxMessage.topic == "access.changed").order_by(OutboxMessage.id)
        ).all()
    return [row["what"] for row in rows]


def set_up(client: FlaskClient) -> tuple[pyotp.TOTP, Page]:
    """The person's app, and the page with the recovery codes."""
    form = Page(client.get("/you/two-step")).form_values()
    assert client.post("/you/two-step/begin", data=form).status_code == 303
    page = Page(client.get("/you/two-step/set-up"))
    key = page.find("secret")
    assert key is not None
    totp = pyotp.TOTP("".join(key.itertext()).replace(" ", ""))
    return totp, Page(client.post("/you/two-step/set-up", data={**page.form_values(), "code": totp.at(NOW)}))


def codes_of(page: Page) -> list[str]:
    return page.form_values()["codes"].split()


@pytest.mark.parametrize("staff", [None, "viewer"])
def test_the_pages_stand_in_the_persons_own_frame(browser: Callable[..., FlaskClient], staff: str | None) -> None:
    client = browser(None if staff else "calla", staff=staff)
    for path in PAGES:
        page = Page(client.get(path))
        assert page.status == 200
        assert ("Workbench" in page.links()) == (staff is not None)
        assert page.links()["Your account"] == "/you"


def test_a_person_without_any_account_still_has_their_own_pages(
    app: Flask, database: Database, client: FlaskClient
) -> None:
    conftest.ensure_person(database, "nobody@example.com", account=None)
    alone = app.test_client()
    conftest.sign_in(alone, "nobody@example.com")
    assert Page(alone.get("/you")).status == 200
    assert alone.get("/").status_code == 404


def test_a_name_and_a_way_of_writing_numbers_are_kept(client: FlaskClient) -> None:
    assert act(client, "/you", name="Ann Müller", locale="de").status_code == 303
    page = Page(client.get("/you"))
    assert "Ann Müller" in page.text
    assert client.get("/", headers={"Accept-Language": "fr"}).status_code == 200
    assert "21.11.2026" in Page(client.get("/you/sessions")).text
    assert page.root.get("lang") == "en"
    act(client, "/you", name="Ann", locale="browser")
    assert "nov. 2026" in Page(client.get("/you/sessions", headers={"Accept-Language": "fr"})).text


@pytest.mark.parametrize(
    ("name", "locale"), [("", "en"), ("\u202eevil", "en"), ("x" * 1_000, "en"), ("Ann", "xx"), ("Ann", "")]
)
def test_a_profile_that_cannot_be_keeps_what_was_typed(client: FlaskClient, name: str, locale: str) -> None:
    answer = act(client, "/you", name=name, locale=locale)
    page = Page(answer)
    assert page.status == 422
    assert "There is a problem" in page.text


def test_a_new_password_needs_the_old_one_and_ends_the_other_sign_ins(
    app: Flask, database: Database, client: FlaskClient
) -> None:
    elsewhere = app.test_client()
    conftest.sign_in(elsewhere, "ann@example.com")
    wrong = Page(act(client, "/you/password", current="not the right one", password=NEW))
    assert (wrong.status, told(database)) == (422, [])
    assert "This is not the password you have now." in wrong.text
    assert elsewhere.get("/you").status_code == 200
    with client.session_transaction() as held:
        before = held["_user_id"]
    assert act(client, "/you/password", current=conftest.PASSWORD, password=NEW).status_code == 303
    with client.session_transaction() as held:
        assert held["_user_id"] != before
    assert client.get("/you").status_code == 200
    assert elsewhere.get("/you").status_code == 303
    assert told(database) == ["password"]
    again = app.test_client()
    assert act(again, "/sign-in", login="ann@example.com", password=conftest.PASSWORD).status_code == 422
    assert act(again, "/sign-in", login="ann@example.com", password=NEW).status_code == 303


@pytest.mark.parametrize("password", ["short", "password123", "ann@example.com", "x" * 201])
def test_a_new_password_that_cannot_be_is_said_beside_its_field(client: FlaskClient, password: str) -> None:
    page = Page(act(client, "/you/password", current=conftest.PASSWORD, password=password))
    assert page.status == 422
    assert page.find("password-error") is not None
    assert page.form_values()["password"] == ""


def test_the_secret_is_shown_as_a_picture_and_as_text_and_never_again(client: FlaskClient) -> None:
    _, codes = set_up(client)
    assert codes.h1 == "Recovery codes"
    assert len(codes_of(codes)) == 10
    assert Page(client.get("/you/two-step/set-up")).h1 == "Two-step sign-in"
    page = Page(client.get("/you/two-step"))
    assert "Recovery codes left" in page.text
    assert not any(code in page.html for code in codes_of(codes))


def test_the_picture_is_part_of_the_page(client: FlaskClient) -> None:
    client.post("/you/two-step/begin", data=Page(client.get("/you/two-step")).form_values())
    page = Page(client.get("/you/two-step/set-up"))
    picture = next(page.root.iter("img"))
    assert picture.get("src", "").startswith("data:image/svg+xml")
    assert picture.get("alt")


def test_two_steps_are_on_only_after_a_right_code(database: Database, client: FlaskClient) -> None:
    client.post("/you/two-step/begin", data=Page(client.get("/you/two-step")).form_values())
    for typed in ("", "123", "abcdef"):
        page = Page(act(client, "/you/two-step/set-up", code=typed))
        assert (page.status, page.h1) == (422, "Set up two-step sign-in")
    assert told(database) == []


def test_the_codes_can_be_had_as_a_file_while_they_are_in_force(client: FlaskClient) -> None:
    _, page = set_up(client)
    codes, form = codes_of(page), page.form_values()
    answer = client.post("/you/two-step/codes.txt", data=form)
    assert answer.headers["Content-Disposition"] == "attachment; filename=plumbline-recovery-codes.txt"
    assert answer.text.split()[-10:] == codes
    assert answer.headers["Cache-Control"] == "no-store"
    assert client.post("/you/two-step/codes.txt", data={**form, "codes": "echo this"}).status_code == 409
    renewed = Page(act(client, "/you/two-step/codes"))
    assert not set(codes_of(renewed)) & set(codes)
    assert client.post("/you/two-step/codes.txt", data=form).status_code == 409


def test_turning_it_off_is_a_page_of_its_own(database: Database, client: FlaskClient) -> None:
    assert Page(client.get("/you/two-step/off")).h1 == "Two-step sign-in"
    set_up(client)
    assert act(client, "/you/two-step/off").status_code == 303
    assert told(database) == ["totp_on", "totp_off"]
    assert "Set up two-step sign-in" in Page(client.get("/you/two-step")).text


def test_a_second_app_is_refused_while_the_first_is_on(client: FlaskClient) -> None:
    form = Page(client.get("/you/two-step")).form_values()
    set_up(client)
    answer = client.post("/you/two-step/begin", data=form)
    assert answer.status_code == 409
    assert "Two-step sign-in is on already" in Page(answer).text


def test_the_list_marks_this_sign_in_and_ends_others(app: Flask, client: FlaskClient) -> None:
    elsewhere = app.test_client()
    elsewhere.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0) Version/19.0 Safari/604.1"
    conftest.sign_in(elsewhere, "ann@example.com")
    page = Page(client.get("/you/sessions"))
    first, second = page.rows("sessions")
    assert "This one" in first[0]
    assert "Safari on iPhone" in second[0]
    assert client.post("/you/sessions/end", data=page.form_values()).status_code == 303
    assert elsewhere.get("/you").status_code == 303
    assert len(Page(client.get("/you/sessions")).rows("sessions")) == 1


def test_somebody_elses_sign_in_cannot_be_ended(client: FlaskClient, browser: Callable[..., FlaskClient]) -> None:
    browser("brine", login="eve@example.com")
    token = Page(client.get("/you")).form_values()["csrf_token"]
    for wanted in ("ses_00000000000000000000000000", "x" * 200, "\x00", ""):
        assert client.post("/you/sessions/end", data={"csrf_token": token, "end": wanted}).status_code == 404


def test_an_operator_can_let_somebody_in_who_lost_telephone_and_codes(
    app: Flask, database: Database, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    from click.testing import CliRunner

    from portal.cli import context, main

    set_up(client)
    monkeypatch.setattr(context, "database", lambda: database)
    runner = CliRunner()
    assert "two-step sign-in is off" in runner.invoke(main, ["user", "reset-mfa", "ann@example.com"]).output
    assert client.get("/you").status_code == 303
    assert told(database) == ["totp_on", "totp_off"]
    again = runner.invoke(main, ["user", "reset-mfa", "ann@example.com"])
    assert "off already" in again.output
    missing = runner.invoke(main, ["user", "reset-mfa", "nobody@example.com"])
    assert missing.exit_code == 1
    with database.reading() as session:
        assert session.scalars(select(User).where(User.login == "nobody@example.com")).first() is None
