"""What goes wrong says what happened, what to do, and its request id; nothing that was typed is lost with it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask, abort
from flask.testing import FlaskClient
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import TooManyRequests

from billing.kernel.errors import Conflict
from billing.storage.database import DatabaseUrls
from portal import access, create_app, kept, services
from portal.config import PortalConfig
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
HX = {"HX-Request": "true"}
OURS = {"Sec-Fetch-Site": "same-origin"}
STATUSES = (400, 401, 403, 404, 405, 409, 413, 422, 429, 500, 503)


@pytest.fixture
def failing(app: Flask) -> Flask:
    """The application with pages that fail in each way."""

    @access.public
    def fail(status: int) -> str:
        if status == 500:
            raise RuntimeError("a secret of the inside")
        if status == 503:
            raise OperationalError("select 1", {}, ConnectionRefusedError("10.0.0.7"), connection_invalidated=True)
        if status == 429:
            raise TooManyRequests(retry_after=40)
        abort(status)

    app.add_url_rule("/fails/<int:status>", "fails", fail, methods=["GET", "POST"])
    app.add_url_rule("/api/v1/fails/<int:status>", "api_fails", fail)
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def test_an_error_page_says_what_happened_what_to_do_and_its_request(failing: Flask) -> None:
    client, titles = failing.test_client(), set()
    for status in STATUSES:
        answer = client.get(f"/fails/{status}")
        page = Page(answer)
        assert answer.status_code == status
        assert answer.headers["X-Request-ID"] in page.text
        assert "secret of the inside" not in page.text
        assert "10.0.0.7" not in page.text
        steps = [label for label in page.links() if label in ("Sign in", "Try again", "Look at it again")]
        assert len(steps) == 1, status
        titles.add(page.h1)
    assert len(titles) == len(STATUSES)


def test_for_htmx_the_same_stands_above_a_page_that_stays(failing: Flask) -> None:
    client = failing.test_client()
    for status in STATUSES:
        answer = client.get(f"/fails/{status}", headers=HX)
        part = Page(answer, is_partial=True)
        assert (answer.status_code, answer.headers["HX-Retarget"]) == (status, "#page-error")
        assert answer.headers["X-Request-ID"] in part.text
        assert [root.get("role") for root in part.root] == ["alert"]


def test_for_a_machine_it_is_problem_details(failing: Flask) -> None:
    client = failing.test_client()
    for status in STATUSES:
        answer = client.get(f"/api/v1/fails/{status}")
        assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
        assert answer.get_json()["request_id"] == answer.headers["X-Request-ID"]
        assert "10.0.0.7" not in answer.get_data(as_text=True)


def test_too_many_tries_say_when_to_come_back_and_a_wrong_method_what_is_allowed(failing: Flask) -> None:
    client = failing.test_client()
    assert client.get("/fails/429").headers["Retry-After"] == "40"
    assert "POST" in client.get("/sign-out").headers["Allow"]


def test_a_form_that_met_a_failure_is_sent_again_with_one_click(failing: Flask, browser: Browser) -> None:
    client = browser("calla")
    token = next(iter(Page(client.get("/refunds")).root.iter("form")))
    csrf = next(field.get("value") for field in token.iter("input") if field.get("name") == "csrf_token")
    sent = {"csrf_token": csrf or "", "reason": "größer <b>", "form_key": "k1", "password": "hunter2"}
    page = Page(client.post("/fails/503", data=sent))
    assert page.status == 503
    values = page.form_values()
    assert {name: values[name] for name in values if name != "csrf_token"} == {"reason": "größer <b>", "form_key": "k1"}
    assert "hunter2" not in page.html


def test_without_a_database_a_signed_in_person_still_gets_a_page(app: Flask, browser: Browser, tmp_path: Path) -> None:
    client = browser("calla")
    cookie = client.get_cookie("plumbline")
    assert cookie is not None
    settings = PortalConfig(
        database=DatabaseUrls(web="postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"),
        secret_key="k" * 40, base_url="http://localhost", is_testing=True, has_sandbox=True,
    )  # fmt: skip
    other = create_app(settings)
    other.config["PROPAGATE_EXCEPTIONS"] = False
    lost = other.test_client()
    lost.set_cookie("plumbline", cookie.value)
    answer = lost.get("/invoices")
    assert (answer.status_code, Page(answer).h1) == (503, "The portal cannot reach its database")
    assert Page(answer).links()["Try again"] == "/invoices"


def test_a_form_from_before_another_sign_in_waits_for_one_click(app: Flask, browser: Browser) -> None:
    client = browser("calla")
    sent = {"csrf_token": "of-the-session-before", "name": "Cluster", "amount": "250", "password": "hunter2"}
    page = Page(client.post("/budgets/new", data=sent, headers=OURS))
    assert (page.status, page.h1) == (400, "Your entries are kept")
    assert "hunter2" not in page.html
    values = page.form_values()
    assert (values["name"], values["amount"]) == ("Cluster", "250")
    assert values["csrf_token"] != "of-the-session-before"
    assert client.post("/budgets/new", data=values | {"threshold": "80"}, headers=OURS).status_code != 400


def test_a_form_that_the_browser_does_not_vouch_for_is_never_offered_again(app: Flask, browser: Browser) -> None:
    page = Page(browser("calla").post("/budgets/new", data={"csrf_token": "x", "name": "Cluster"}))
    assert (page.status, page.h1) == (400, "This form is no longer valid")
    assert "Cluster" not in page.html


def test_a_refusal_has_the_status_of_its_kind(app: Flask) -> None:
    app.add_url_rule("/refuses", "refuses", access.public(_refuse))
    answer = app.test_client().get("/refuses")
    assert (answer.status_code, Page(answer).h1) == (409, "This was changed in the meantime")


def _refuse() -> str:
    raise Conflict()


def test_entries_come_back_only_to_their_person_within_the_hour(app: Flask) -> None:
    now = services.now
    with app.test_request_context("/"):
        from datetime import timedelta

        at = now()
        form = {
            "amount": "12.50",
            "note": "für 研究所 🚀",
            "password": "p",
            "csrf_token": "c",
            "recovery_code": "r",
            "card": "4",
        }
        token = kept.pack(form, "/refunds/new?payment=1", "usr_1", now=at)
        assert token is not None
        assert "12.50" not in token
        found = kept.unpack(token, "usr_1", now=at + timedelta(minutes=59))
        assert found == kept.Kept(
            path="/refunds/new?payment=1", fields=(("amount", "12.50"), ("note", "für 研究所 🚀"))
        )
        assert kept.unpack(token, "usr_2", now=at) is None
        assert kept.unpack(token, "usr_1", now=at + timedelta(hours=1, seconds=2)) is None
        assert kept.unpack(token[:-4] + "AAA=", "usr_1", now=at) is None
        assert kept.unpack(None, "usr_1", now=at) is None


def test_entries_are_kept_only_for_a_path_of_ours(app: Flask) -> None:
    with app.test_request_context("/"):
        for path in ("//evil.example/x", "/\\evil.example", "https://evil.example/", "", "/a\nb"):
            assert kept.pack({"a": "1"}, path, "usr_1", now=services.now()) is None


def test_too_much_nothing_and_nobodys_entries_are_not_kept(app: Flask) -> None:
    with app.test_request_context("/"):
        now = services.now()
        assert kept.pack({"note": "x" * 70_000}, "/a", "usr_1", now=now) is None
        assert kept.pack({"csrf_token": "x"}, "/a", "usr_1", now=now) is None
        assert kept.pack({"note": "x"}, "/a", None, now=now) is None
        assert len(kept.pack({"note": "x" * 60_000}, "/a", "usr_1", now=now) or "") < 1000


def test_what_a_key_before_sealed_is_still_opened(app: Flask) -> None:
    with app.test_request_context("/"):
        now = services.now()
        token = kept.pack({"note": "x"}, "/a", "usr_1", now=now)
        old, app.config["SECRET_KEY"] = app.config["SECRET_KEY"], "n" * 40
        assert kept.unpack(token, "usr_1", now=now) is None
        app.config["SECRET_KEY_FALLBACKS"] = [old]
        assert kept.unpack(token, "usr_1", now=now) is not None
