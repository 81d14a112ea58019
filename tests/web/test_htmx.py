"""Partial answers, redirects and the frame, on an application with nothing but the parts of the look."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from jinja2 import StrictUndefined

from portal import filters, htmx, navigation

ROOT = Path(__file__).resolve().parents[2]
HX = {"HX-Request": "true"}


@pytest.fixture
def app() -> Flask:
    app = Flask("look", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.jinja_env.undefined = StrictUndefined
    filters.register_filters(app)

    @app.get("/list")
    def lines() -> Response:
        return htmx.render("macros/icons.html", "macros/hx.html")

    @app.post("/act")
    def act() -> Response:
        return htmx.redirect("/done")

    @app.get("/closed")
    def closed() -> Response:
        return htmx.unauthorised("/sign-in?next=x")

    @app.get("/broken")
    def broken() -> Response:
        return htmx.error(Response("no", status=500))

    @app.get("/state")
    def state() -> dict[str, str]:
        return {
            "with": navigation.url_with(sort="-due", page=None),
            "without": navigation.url_with(sort=None, tag=None, page=None, q=None),
        }

    return app


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as client:
        yield client


@pytest.mark.parametrize(
    ("headers", "is_partial"),
    [
        ({}, False),
        (HX, True),
        (HX | {"HX-Request-Type": "partial"}, True),
        (HX | {"HX-Request-Type": "full"}, False),
        (HX | {"HX-Boosted": "true"}, False),
        (HX | {"HX-History-Restore-Request": "true"}, False),
        ({"HX-Request": "false"}, False),
    ],
)
def test_only_a_targeted_htmx_request_gets_a_partial(app: Flask, headers: dict[str, str], is_partial: bool) -> None:
    with app.test_request_context("/list", headers=headers):
        assert htmx.is_partial_request() is is_partial


def test_whole_and_partial_answers_vary_by_the_htmx_header(client: FlaskClient) -> None:
    for headers in ({}, HX):
        assert "HX-Request" in client.get("/list", headers=headers).headers["Vary"]


def test_after_a_post_a_browser_gets_303_and_htmx_a_whole_page_load(client: FlaskClient) -> None:
    plain, asked = client.post("/act"), client.post("/act", headers=HX)
    assert (plain.status_code, plain.headers["Location"]) == (303, "/done")
    assert (asked.status_code, asked.headers["HX-Redirect"], asked.data) == (200, "/done", b"")


def test_an_ended_session_leads_to_sign_in_either_way(client: FlaskClient) -> None:
    plain, asked = client.get("/closed"), client.get("/closed", headers=HX)
    assert (plain.status_code, plain.headers["Location"]) == (303, "/sign-in?next=x")
    assert (asked.status_code, asked.headers["HX-Redirect"]) == (401, "/sign-in?next=x")


def test_an_error_for_htmx_does_not_replace_the_page(client: FlaskClient) -> None:
    assert "HX-Retarget" not in client.get("/broken").headers
    answer = client.get("/broken", headers=HX)
    assert (answer.status_code, answer.headers["HX-Retarget"], answer.headers["HX-Reswap"]) == (
        500,
        "#page-error",
        "innerHTML",
    )


def test_links_keep_the_state_of_the_page_and_change_one_part(client: FlaskClient) -> None:
    answer = client.get("/state?q=a%26b&tag=x&tag=y&page=3&sort=due").json
    assert answer == {"with": "/state?q=a%26b&tag=x&tag=y&sort=-due", "without": "/state"}


@pytest.mark.parametrize(
    ("page", "last", "shown"),
    [
        (1, 1, [1]),
        (1, 3, [1, 2, 3]),
        (4, 235, [1, 2, 3, 4, 5, None, 235]),
        (100, 235, [1, None, 99, 100, 101, None, 235]),
        (235, 235, [1, None, 234, 235]),
    ],
)
def test_page_numbers_leave_gaps_but_never_hide_a_single_page(page: int, last: int, shown: list[int | None]) -> None:
    assert navigation.page_numbers(page, last) == shown


def test_the_menu_shows_what_the_viewer_may_open_and_marks_where_they_are(app: Flask) -> None:
    for entry in ("overview", "invoices", "invoices_detail", "add_funds"):
        app.add_url_rule(f"/{entry}", f"tenant.{entry}", lambda: "")
    viewer = navigation.Viewer(
        label="mara", account_name="Calla", is_operator=False, may=lambda permission: permission == "billing.read"
    )
    with app.test_request_context("/invoices_detail"):
        menu = navigation.frame_of(viewer).menu
    assert [(item.label, item.is_current) for group in menu for item in group.items] == [
        ("Overview", False),
        ("Invoices", True),
    ]


def test_nobody_signed_in_gets_a_frame_without_menu(app: Flask) -> None:
    with app.test_request_context("/"):
        assert navigation.frame_of(None) == navigation.Frame()


def test_static_urls_change_with_their_content(app: Flask) -> None:
    with app.test_request_context("/"):
        first, again = filters.asset("plumbline.css"), filters.asset("plumbline.css")
        other = filters.asset("plumbline.js")
    assert first == again
    assert first.startswith("/static/plumbline.css?v=")
    assert first.split("v=")[1] != other.split("v=")[1]
