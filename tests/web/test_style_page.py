"""The style page draws every macro; what holds there holds for the look: valid pages, nonces, nothing inline, whole words."""

from pathlib import Path

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined

from portal import filters, navigation, styleguide
from tests.web.pages import Page

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client() -> FlaskClient:
    """A browser on an application that has only the look and the style page."""
    app = Flask("look", root_path=str(ROOT), template_folder="templates", static_folder="static")
    app.config["SECRET_KEY"] = "k" * 40
    app.jinja_env.undefined = StrictUndefined
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals["csp_nonce"] = lambda: "the-nonce"
    CSRFProtect(app)
    filters.register_filters(app)
    navigation.register_frame(app, _viewer)
    app.register_blueprint(styleguide.blueprint)
    app.add_url_rule("/sign-out", "auth.sign_out", lambda: "", methods=["POST"])
    app.add_url_rule("/overview", "tenant.overview", lambda: "")
    app.add_url_rule("/error", "error", lambda: (render_template("errors/page.html", **_ERROR), 404))
    app.add_url_rule("/error-part", "error_part", lambda: render_template("errors/_page.html", **_ERROR))
    return app.test_client()


_ERROR = {
    "status": 404,
    "title": "This page does not exist",
    "text": "The address may be mistyped.",
    "request_id": "req_1",
    "action_label": "Go to your first page",
    "action_url": "/",
}


def _viewer() -> navigation.Viewer:
    return navigation.Viewer(
        label="mara@calla.example",
        account_name="<b>Calla</b> & معهد",
        is_operator=False,
        may=lambda _: True,
        notice="Read only",
    )


def test_the_style_page_is_a_valid_page(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    assert page.h1 == "Overview"
    assert "<b>Calla</b> & معهد" in page.text
    assert page.rows("invoices")[0] == [
        "INV-2026-000131",
        "Calla Labs",
        "5 Dec 2026",
        "Issued",
        "26,233.15",
        "4,984.29",
        "31,217.44",
    ]


def test_its_region_alone_is_a_valid_part_with_one_root(client: FlaskClient) -> None:
    part = Page(client.get("/style", headers={"HX-Request": "true"}), is_partial=True)
    assert [root.get("id") for root in part.root] == ["sample-lines"]


def test_every_htmx_element_carries_the_nonce_and_its_own_target(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    asking = [e for e in page.root.iter() if e.get("hx-get") or e.get("hx-post")]
    assert len(asking) > 10
    assert {(e.get("hx-nonce"), e.get("hx-target"), e.get("hx-swap")) for e in asking} == {
        ("the-nonce", "#sample-lines", "outerHTML")
    }


@pytest.mark.parametrize("path", ["/style", "/error"])
def test_nothing_stands_inline_that_the_policy_would_stop(client: FlaskClient, path: str) -> None:
    page = Page(client.get(path))
    scripts = list(page.root.iter("script"))
    assert len(scripts) == 3
    assert all(script.get("src") and script.get("nonce") == "the-nonce" and not script.text for script in scripts)
    assert not list(page.root.iter("style"))
    assert not [e for e in page.root.iter() for name in e.attrib if name == "style" or name.startswith(("on", "hx-on"))]


def test_links_without_htmx_lead_to_the_same_place(client: FlaskClient) -> None:
    page = Page(client.get("/style?project=x"))
    for link in page.root.iter("a"):
        if link.get("hx-get"):
            assert link.get("href") == link.get("hx-get")


def test_a_refused_field_is_tied_to_its_error_and_the_summary_leads_to_it(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    by_id = {e.get("id"): e for e in page.root.iter() if e.get("id")}
    amount = by_id["amount"]
    assert amount.get("aria-invalid") == "true"
    assert amount.get("aria-describedby") == "amount-hint amount-error"
    assert "Enter an amount" in "".join(by_id["amount-error"].itertext())
    assert page.links()["Enter an amount, such as 50.00"] == "#amount"


def test_signing_out_is_a_post_with_a_token(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    form = next(form for form in page.root.iter("form") if form.get("action") == "/sign-out")
    assert form.get("method") == "post"
    assert next(field for field in form.iter("input") if field.get("name") == "csrf_token").get("value")


def test_error_pages_are_valid_whole_and_inline(client: FlaskClient) -> None:
    assert Page(client.get("/error")).h1 == "This page does not exist"
    assert "req_1" in Page(client.get("/error-part"), is_partial=True).text
