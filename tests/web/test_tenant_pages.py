"""Every page of a tenant: with data, empty, for a stranger, for nobody, for a viewer, and its region alone for htmx."""

import itertools
import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit
from xml.etree.ElementTree import Element

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.accounts import users
from billing.catalog import onboarding
from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.conftest import CREATED_AT, PASSWORD, ensure_person, sign_in
from tests.web.pages import Page, words
from tests.web.tenants import Lived

HX = {"HX-Request": "true"}
EMPTY = {
    "/": "No usage yet",
    "/usage": "No usage yet",
    "/rated-lines": "No rated lines yet",
    "/balance": "No movement yet",
    "/balance/explain": "Nothing was ever recorded",
    "/invoices": "No invoices yet",
    "/add-funds": "No payments yet",
    "/refunds": "No refunds",
    "/refunds/new": "Nothing can be refunded",
    "/budgets": "No budgets yet",
}
# page -> the region that htmx replaces
REGIONS = {
    "/usage": "usage-report",
    "/rated-lines": "line-list",
    "/balance": "statement",
    "/balance/explain": "explanation",
    "/invoices": "invoice-list",
    "/refunds": "refund-list",
}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


def pages_of(calla: Lived) -> dict[str, str]:
    """{URL: what its heading says} of every page about something that exists."""
    line_id = calla.line_ids()[0]
    return {
        "/": "Overview",
        "/usage": "Usage",
        "/rated-lines": "Rated lines",
        f"/rated-lines/{line_id}": "CPU time, line 1",
        "/balance": "Balance",
        "/balance/explain": "Explain this balance",
        f"/balance/{calla.payment.transaction_id}": "Payment received, transaction 4",
        "/invoices": "Invoices",
        f"/invoices/{calla.invoice.number}": f"Invoice {calla.invoice.number}",
        f"/invoices/{calla.invoice.id}": f"Invoice {calla.invoice.number}",
        "/add-funds": "Add funds",
        "/add-funds/check?amount=50": "Check before you pay",
        f"/add-funds/check?invoice={calla.invoice.id}": "Check before you pay",
        f"/add-funds/{calla.payment.session_id}": "Payment of USD 100.00",
        "/refunds": "Refunds",
        "/refunds/new": "Ask for a refund",
        "/budgets": "Budgets",
        "/budgets/new": "Set a budget",
        f"/budgets/{calla.budget_id}": "Compute <i>all</i>",
        f"/budgets/{calla.budget_id}/edit": "Change the budget",
    }


def test_each_page_opens_for_its_owner_and_says_what_it_is(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    client = browser("calla")
    for url, heading in pages_of(calla).items():
        page = Page(client.get(url))
        assert (page.status, page.h1) == (200, heading), url
        assert page.response.headers["Cache-Control"] == "no-store"


def kind_of(url: str) -> tuple[str, frozenset[str]]:
    """A page's path without ids, and the names of its parameters: one of each kind is enough to follow."""
    parts = urlsplit(url)
    return re.sub(r"[a-z]{3}_[0-9a-z]{26}", "", parts.path), frozenset(dict(parse_qsl(parts.query)))


def test_every_link_of_a_tenants_pages_leads_somewhere(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    client, seen, todo = browser("calla"), set(), list(pages_of(calla))
    while todo:
        url = todo.pop(0).partition("#")[0]
        kind = kind_of(url)
        if kind in seen or len(kind[1]) > 2:
            continue
        seen.add(kind)
        answer = client.get(url)
        assert answer.status_code in (200, 202), url
        if answer.mimetype == "text/html":
            todo += [href for href in Page(answer).links().values() if href.startswith("/") and "sandbox" not in href]
    assert len(seen) > 40


def test_an_account_without_anything_is_told_the_next_step(browser: Callable[..., FlaskClient]) -> None:
    client = browser("quiet")
    for url, sentence in EMPTY.items():
        page = Page(client.get(url))
        assert (page.status, sentence in page.text) == (200, True), url


def test_another_tenants_objects_do_not_exist(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    stranger = browser("stranger")
    for url in pages_of(calla):
        if calla.line_ids()[0] in url or re.search(r"(drf|bud|pay|txn|rtl|rfd)_", url) or "INV-" in url:
            answer = stranger.get(url)
            assert answer.status_code == 404, url
            assert b"54.54" not in answer.data
    assert stranger.get(f"/invoices/{calla.invoice.number}.pdf").status_code == 404
    for url in ("/", "/usage", "/rated-lines", "/balance", "/invoices", "/add-funds"):
        assert "54.54" not in Page(stranger.get(url)).text


def test_nobody_is_led_to_sign_in_and_back_to_the_page(calla: Lived, client: FlaskClient) -> None:
    for url in pages_of(calla):
        plain = client.get(url)
        assert plain.status_code == 303, url
        assert re.match(r"/sign-in\?next=[\w.\-]+$", plain.headers["Location"]), plain.headers["Location"]
        asked = client.get(url, headers=HX)
        assert (asked.status_code, asked.headers["HX-Redirect"][:14]) == (401, "/sign-in?next="), url
    form = Page(client.get(client.get("/usage?by=month").headers["Location"])).form_values()
    ensure_person(calla.database, "later@example.com", account="calla")
    location = client.get("/usage?by=month").headers["Location"]
    answer = client.post(location, data={**form, "login": "later@example.com", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/usage?by=month")


def test_a_viewer_reads_everything_and_writes_nothing(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    viewer = browser("calla", role="viewer")
    for url in pages_of(calla):
        is_writing = url.startswith(
            ("/add-funds?", "/add-funds/check", "/refunds/new", "/budgets/new")
        ) or url.endswith("/edit")
        assert viewer.get(url).status_code == (403 if is_writing or url == "/add-funds" else 200), url
    token = re.search(r'name="csrf_token" value="([^"]+)"', viewer.get("/").text)
    assert token is not None
    for url in (
        "/add-funds",
        "/add-funds/check?amount=50",
        "/refunds/new",
        "/budgets/new",
        f"/budgets/{calla.budget_id}/edit",
    ):
        assert viewer.post(url, data={"csrf_token": token[1], "amount": "50"}).status_code == 403, url
    text = Page(viewer.get("/")).text
    assert "Add funds" not in text


def region_of(root: Element, region: str) -> Element:
    return next(element for element in root.iter() if element.get("id") == region)


def without_nonces(element: Element) -> list[tuple[str, str | None, dict[str, str]]]:
    return [
        (part.tag, part.text, {name: value for name, value in part.attrib.items() if name != "hx-nonce"})
        for part in element.iter()
    ]


def test_htmx_gets_exactly_the_region_that_stands_in_the_whole_page(
    calla: Lived, browser: Callable[..., FlaskClient]
) -> None:
    clients = browser("calla"), browser("quiet")
    for client, (url, region) in itertools.product(clients, REGIONS.items()):
        whole, answer = Page(client.get(url)), client.get(url, headers=HX)
        part = Page(answer, is_partial=True)
        assert "HX-Request" in answer.headers["Vary"]
        assert without_nonces(region_of(part.root, region)) == without_nonces(region_of(whole.root, region)), url
        assert len([child for child in part.root if isinstance(child.tag, str)]) == 1, url


def test_names_that_people_typed_stand_as_text(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    client = browser("calla")
    overview = client.get("/")
    assert tenants.RUNNING in Page(overview).text
    assert b"<b>run</b>" not in overview.data
    assert "&lt;i&gt;all&lt;/i&gt;" in client.get("/budgets").text
    hostile = "<script>alert(1)</script>"
    for url in (
        f"/usage?item={hostile}",
        f"/usage?resource={hostile}",
        f"/rated-lines?charge={hostile}",
        f"/balance?currency={hostile}",
    ):
        answer = client.get(url)
        assert (answer.status_code, b"<script>alert" in answer.data) == (200, False), url
        Page(answer)


def test_ids_that_no_database_can_hold_are_not_found(browser: Callable[..., FlaskClient]) -> None:
    client = browser("quiet")
    for path in ("rated-lines", "balance", "invoices", "add-funds", "refunds", "budgets"):
        for key in ("%00", "x" * 300, "%F0%9F%9A%80", "..%2F.."):
            assert client.get(f"/{path}/{key}").status_code == 404, (path, key)


def test_who_has_several_accounts_chooses_one_in_the_menu_under_their_name(app: Flask, database: Database) -> None:
    ensure_person(database, "two@example.com", account="alpha")
    with database.transaction("jobs") as session:
        person = users.find_user_by_login(session, "two@example.com")
        beta = onboarding.open_account(session, now=CREATED_AT, code="beta", name="Beta & söhne")
        assert person is not None
        users.grant_membership(session, user_id=person.id, tenant_id=str(beta.tenant_id), role="viewer", now=CREATED_AT)
    client = app.test_client()
    sign_in(client, "two@example.com")
    page = Page(client.get("/"))
    choices = {words(button) for button in page.root.iter("button") if button.get("name") == "account_id"}
    assert choices == {"alpha", "Beta & söhne"}
    token = next(field.get("value") for field in page.root.iter("input") if field.get("name") == "csrf_token")
    answer = client.post("/account", data={"csrf_token": token, "account_id": beta.id})
    assert answer.status_code == 303
    page = Page(client.get("/"))
    assert page.text.count("Beta & söhne") >= 2
    assert client.post("/account", data={"csrf_token": token, "account_id": "bac_stranger"}).status_code == 404
