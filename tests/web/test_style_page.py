"""The style page draws every macro; what holds there holds for the look: valid pages, nonces, nothing inline, whole words."""

import re
from pathlib import Path

import pytest
from flask import Flask, render_template
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from jinja2 import StrictUndefined
from markupsafe import Markup

from portal import filters, navigation, styleguide
from tests.web.pages import Page, words

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
    app.add_url_rule("/account", "auth.choose_account", lambda: "", methods=["POST"])
    app.add_url_rule("/you", "you.profile", lambda: "")
    app.add_url_rule("/error", "error", lambda: (render_template("errors/page.html", **_ERROR), 404))
    app.add_url_rule("/error-part", "error_part", lambda: render_template("errors/_page.html", **_ERROR))
    return app.test_client()


_ERROR = {
    "status": 404,
    "title": "This page does not exist",
    "text": "The address may be mistyped.",
    "request_id": "req_1",
    "next_step": ("Go to your first page", "/"),
    "again": None,
}


def _viewer() -> navigation.Viewer:
    return navigation.Viewer(
        label="mara@calla.example",
        account_name="<b>Calla</b> & معهد",
        is_operator=False,
        may=lambda _: True,
        notice="Read only",
        accounts=(
            navigation.AccountChoice(id="bac_1", name="<b>Calla</b> & معهد", is_current=True),
            navigation.AccountChoice(id="bac_2", name="Field", is_current=False),
        ),
    )


def test_the_style_page_is_a_valid_page(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    assert page.h1 == "Style"
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


def test_every_macro_is_shown_here_and_the_guide_says_when_to_use_it(client: FlaskClient) -> None:
    written = {
        (name, file.stem)
        for file in (ROOT / "templates" / "macros").glob("*.html")
        for name in re.findall(r"{%-? macro (\w+)\(", file.read_text(encoding="utf-8"))
    }
    assert {(name, file) for name, file, *_ in styleguide.GUIDE} == written
    shown = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "templates").rglob("style/*.html"))
    inside = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "templates" / "macros").glob("*.html"))
    assert [
        name for name, _ in written if not re.search(rf"\b{name}\(", shown + inside.replace(f"macro {name}(", ""))
    ] == []
    assert len(Page(client.get("/style")).rows("guide-table")) == len(written)


def test_a_stacked_row_says_what_each_of_its_figures_is(client: FlaskClient) -> None:
    table = next(t for t in Page(client.get("/style")).root.iter("table") if t.get("id") == "invoices")
    rows = [[cell.get("data-label") for cell in row] for row in table.iter("tr")]
    assert rows[1] == [None, "Billed to", "Due", "State", "Net, USD", "Tax, USD", "Total, USD"]
    assert rows[-1] == [None, "Net, USD", "Tax, USD", "Total, USD"]


def test_labels_of_stacked_cells_are_escaped_and_own_ones_kept() -> None:
    rows = Markup(
        '<tr><td>1</td><td data-label="Own">2</td><td colspan="2">3</td><td class="num">4</td><td>5</td></tr>'
    )
    columns = [
        {"label": 'a"<b>'},
        {"label": "b"},
        {"label": "c"},
        {"label": "d"},
        {"label": "e"},
        {"label": "f", "hidden": True},
    ]
    assert filters.cell_labels(rows, columns) == (
        '<tr><td data-label="a&#34;&lt;b&gt;">1</td><td data-label="Own">2</td><td data-label="c" colspan="2">3</td>'
        '<td data-label="e" class="num">4</td><td>5</td></tr>'
    )


def test_every_sortable_heading_says_how_it_is_sorted(client: FlaskClient) -> None:
    table = next(t for t in Page(client.get("/style?sort=-net")).root.iter("table") if t.get("id") == "invoices")
    found = {words(head).strip(): head.get("aria-sort") for head in table.iter("th") if head.get("scope") == "col"}
    assert found["Net, USD"] == "descending"
    assert found["Due"] == found["Total, USD"] == "none"
    assert found["State"] is None


def test_the_menu_of_the_person_switches_accounts_and_leads_to_their_own_pages(client: FlaskClient) -> None:
    page = Page(client.get("/style"))
    form = next(form for form in page.root.iter("form") if form.get("action") == "/account")
    buttons = [(words(b), b.get("value"), b.get("aria-current")) for b in form.iter("button")]
    assert buttons == [("<b>Calla</b> & معهد", "bac_1", "true"), ("Field", "bac_2", None)]
    assert page.links()["Your account"] == "/you"


@pytest.mark.parametrize(
    ("asked", "figure", "due", "lang"),
    [
        ("de-CH,de;q=0.9", "2.535.841,12", "05.12.2026", "de"),
        ("fr", "2\u202f535\u202f841,12", "5 déc. 2026", "fr"),
        ("ja;q=0.9,ko", "2,535,841.12", "2026/12/05", "ja"),
        ("ko", "2,535,841.12", "5 Dec 2026", None),
        ("", "2,535,841.12", "5 Dec 2026", None),
    ],
)
def test_figures_follow_the_browser_and_the_page_stays_english(
    client: FlaskClient, asked: str, figure: str, due: str, lang: str | None
) -> None:
    page = Page(client.get("/style", headers={"Accept-Language": asked}))
    row = next(row for row in page.rows("invoices") if row[0] == "INV-2026-000130")
    assert (row[4], row[2]) == (words_of_text(figure), due)
    assert page.root.get("lang") == "en"
    dates = [e for e in page.root.iter("time") if "".join(e.itertext()) == due]
    assert {e.get("lang") for e in dates} == {lang}


def words_of_text(text: str) -> str:
    """White space as `Page.rows` folds it."""
    return re.sub(r"\s+", " ", text)
