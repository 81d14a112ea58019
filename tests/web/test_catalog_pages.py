"""The catalog on pages: loading with a preview, the gate, an account's plan and its own prices, what a tenant sees of them."""

import io
from collections.abc import Callable, Iterator

import pytest
from flask.testing import FlaskClient

from billing.accounts import directory
from billing.catalog import books, overrides, subscriptions
from billing.storage.database import Database
from tests.service.catalog import world as catalog
from tests.service.rating import world
from tests.service.rating.world import Use
from tests.web import operators
from tests.web.pages import Page

BOOK = catalog.book("default", ("analytics/query", "0.02", "2030-01-01T00:00:00Z"))
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


def post(client: FlaskClient, url: str, **sent: object) -> Page:
    form = Page(client.get(url)).form_values()
    return Page(client.post(url, data=form | sent))


def send(client: FlaskClient, url: str, **sent: object) -> str:
    """The address that the act leads to."""
    form = Page(client.get(url)).form_values()
    answer = client.post(url, data=form | sent)
    assert answer.status_code == 303, Page(answer).text
    return str(answer.location)


def test_a_book_is_checked_loaded_and_let_in_by_a_second_person(
    database: Database, browser: Callable[..., FlaskClient]
) -> None:
    maker, approver = browser(staff="maker"), browser(staff="approver")
    shown = post(maker, "/operator/catalog/load", step="check", text=BOOK)
    assert shown.status == 200
    assert "USD 0.02 per query" in shown.text
    assert "+100%" in shown.text
    with database.reading("jobs") as session:
        assert len(books.list_books(session, "default")) == 1
    url = send(maker, "/operator/catalog/load", step="send", text=BOOK)
    page = Page(maker.get(url))
    assert page.h1 == "default, version 2"
    assert "No shadow rating of it was made." in page.text
    asked = send(maker, f"{url}/activate", step="ask", reason="Energy costs more")
    assert "A second person has been asked" in Page(maker.get(url)).text
    detail = Page(approver.get(asked))
    assert "default" in detail.text
    approved = send(approver, f"{asked}/approve")
    assert approver.get(approved).status_code == 200
    assert "In force" in Page(maker.get(url)).text
    assert maker.get(f"{url}/activate").status_code == 303


def test_the_gate_opens_by_a_fresh_trial_alone(database: Database, browser: Callable[..., FlaskClient]) -> None:
    maker, candidate = browser(staff="maker"), catalog.load(database, BOOK)
    url = f"/operator/catalog/books/{candidate.id}"
    refused = post(maker, f"{url}/activate", step="trial")
    assert refused.status == 409
    assert "stays a candidate: no shadow rating of it was made" in refused.text
    catalog.try_out(database, candidate, at=operators.NOW)
    page = Page(maker.get(f"{url}/activate"))
    assert "10 rows of past usage" in page.text
    assert send(maker, f"{url}/activate", step="trial") == url
    assert "by a shadow rating" in Page(maker.get("/operator/catalog")).text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Choose a file, or write the text."),
        ("x = [", "The text cannot be read as TOML"),
        (BOOK.replace("0.02", "-0.02"), "Unit price is below zero in price 1: nothing is sold for less than nothing."),
        (BOOK.replace("0.02", "0.0000000000001"), "Unit price has more than 12 digits after the point in price 1."),
        (BOOK.replace("2030", "1970"), "The book has another price from the same instant on"),
        (BOOK.replace("analytics/query", "gpu/nothing"), "There is no SKU gpu/nothing in price 1."),
    ],
)
def test_a_book_that_cannot_be_loaded_is_kept_in_the_form(
    browser: Callable[..., FlaskClient], text: str, sentence: str
) -> None:
    for step in ("check", "send"):
        page = post(browser(staff="maker", login=f"{step}@example.com"), "/operator/catalog/load", step=step, text=text)
        assert page.status in (409, 422)
        assert sentence in page.text
        assert text.partition("\n")[0] in page.html.replace("&#34;", '"')


def test_a_file_is_read_into_the_form(browser: Callable[..., FlaskClient]) -> None:
    maker, url = browser(staff="maker"), "/operator/catalog/load"
    sent = Page(maker.get(url)).form_values()
    upload = {**sent, "step": "check", "file": (io.BytesIO(BOOK.encode()), "book.toml")}
    page = Page(maker.post(url, data=upload, content_type="multipart/form-data"))
    assert "USD 0.02 per query" in page.text
    broken = {**sent, "step": "check", "file": (io.BytesIO(b"\xff\xfe"), "book.toml")}
    page = Page(maker.post(url, data=broken, content_type="multipart/form-data"))
    assert page.status == 422
    assert "not UTF-8" in page.text


def test_only_who_may_change_prices_sees_and_does_it(database: Database, browser: Callable[..., FlaskClient]) -> None:
    viewer, candidate = browser(staff="viewer"), catalog.load(database, BOOK)
    page = Page(viewer.get(f"/operator/catalog/books/{candidate.id}"))
    assert "Bring into force" not in page.links()
    for path in ("load", "plans/load", f"books/{candidate.id}/activate"):
        assert viewer.get(f"/operator/catalog/{path}").status_code == 403


def test_versions_stand_beside_each_other(database: Database, browser: Callable[..., FlaskClient]) -> None:
    maker, candidate = browser(staff="maker"), catalog.load(database, BOOK)
    page = Page(maker.get(f"/operator/catalog/books/{candidate.id}/compare"))
    assert "Changes 1" in page.text
    everything = Page(maker.get(f"/operator/catalog/books/{candidate.id}/compare?with=1&show=all"))
    assert "Not in it" in everything.text
    partial = maker.get(f"/operator/catalog/books/{candidate.id}/compare", headers={"HX-Request": "true"})
    assert "<html" not in partial.get_data(as_text=True)
    assert "was left out" in Page(maker.get(f"/operator/catalog/books/{candidate.id}/compare?with=9")).text


def test_a_plan_is_loaded_with_its_terms_in_words(browser: Callable[..., FlaskClient]) -> None:
    maker = browser(staff="maker")
    text = 'code = "gold"\nname = "Gold"\nbook = "gpu-cloud"\n[terms]\nfees = ["platform"]\nminimum = { USD = "500" }\n'
    shown = post(maker, "/operator/catalog/plans/load", step="check", text=text)
    assert "Platform fee: USD 249.00 per period, charged as each period opens." in shown.text
    assert "at least USD 500.00" in shown.text
    page = Page(maker.get(send(maker, "/operator/catalog/plans/load", step="send", text=text)))
    assert page.h1 == "Gold"
    refused = post(maker, "/operator/catalog/plans/load", step="send", text=text.replace("platform", "desk"))
    assert refused.status == 422
    assert "has no price for the fee desk" in refused.text


def test_an_account_changes_its_plan_but_not_behind_usage_that_was_rated(
    database: Database, browser: Callable[..., FlaskClient]
) -> None:
    account_id = world.open_account(database)
    world.use(database, account_id, Use(600))
    world.rate(database, account_id)
    maker, url = browser(staff="maker"), f"/operator/accounts/{account_id}/plan"
    refused = post(maker, f"{url}/change", plan="gpu-cloud", from_at="2026-10-01")
    assert refused.status == 409
    assert "rated" in refused.text
    unreadable = post(maker, f"{url}/change", plan="gpu-cloud", from_at="soon")
    assert unreadable.status == 422
    assert send(maker, f"{url}/change", plan="gpu-cloud", from_at="2030-01-01") == url
    page = Page(maker.get(url))
    assert "Coming" in page.text
    with database.reading("jobs") as session:
        assert [row.plan_code for row in subscriptions.list_subscriptions(session, account_id)] == [
            "default",
            "gpu-cloud",
        ]


def test_an_own_price_is_asked_for_allowed_and_shown_to_the_tenant(
    database: Database, browser: Callable[..., FlaskClient]
) -> None:
    owner, maker, approver = browser("calla"), browser(staff="maker"), browser(staff="approver")
    with database.reading("jobs") as session:
        account_id = directory.get_account_by_code(session, "calla").id
    before = Page(owner.get("/plan"))
    assert before.h1 == "Plan and prices"
    assert "There is no recurring fee and no minimum." in before.text
    assert "Your price" not in before.text
    url = f"/operator/accounts/{account_id}/plan/price"
    wrong = post(maker, url, sku="analytics/query", kind="unit", unit_price="-1", from_at="2026-10-01", reason="Why")
    assert wrong.status == 422
    assert "Unit price is below zero" in wrong.text
    written = 'model = "allowance"\nfree = 100\nunit_price = 0.004\n'
    sent = {"sku": "analytics/query", "kind": "written", "written": written, "from_at": "2026-10-01"}
    asked = send(maker, url, **sent, reason="Contract 7")
    assert "Allowance: free 100, unit price 0.004" in Page(approver.get(asked)).text
    send(approver, f"{asked}/approve")
    with database.reading("jobs") as session:
        assert len(overrides.list_overrides(session, account_id)) == 1
    after = Page(owner.get("/plan"))
    assert "first 100 queries free above USD 0.004 per query instead of USD 0.01 per query" in after.text
    assert "Contract 7" in Page(maker.get(f"/operator/accounts/{account_id}/plan")).text


def test_what_is_coming_is_told_and_an_account_without_prices_is_not_left_alone(
    database: Database, browser: Callable[..., FlaskClient]
) -> None:
    owner = browser("calla")
    candidate = catalog.load(database, BOOK.replace("2030-01-01", "2027-03-01"))
    catalog.try_out(database, candidate, at=operators.NOW)
    url = f"/operator/catalog/books/{candidate.id}/activate"
    send(browser(staff="maker"), url, step="trial")
    page = Page(owner.get("/plan"))
    assert "What is coming" in page.text
    assert "1 Mar 2027" in page.text
    catalog.open_account(database, "yen", currency="JPY")
    assert "Your plan has no prices in JPY yet." in Page(browser("yen").get("/plan")).text
