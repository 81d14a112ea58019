"""Billing details: what the next invoice says, the addresses that get it, and the link that lets whoever reads them decide."""

from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts.tables import BillingProfile, DocumentRecipient
from billing.storage.database import Database
from tests.web import access_links
from tests.web.pages import Page

DETAILS = {
    "legal_name": "Calla Labs GmbH",
    "street": "Hafenstraße 2",
    "postcode": "20457",
    "city": "Hamburg",
    "country": "DE",
    "email": "books@calla.example.com",
    "purchase_order": "PO-77",
    "buyer_reference": "04011000-12345-67",
    "language": "de",
    "page_size": "A4",
}


def post(client: FlaskClient, page: str, data: dict[str, str], url: str | None = None) -> Page:
    token = next(
        field.get("value", "")
        for field in Page(client.get(page)).root.iter("input")
        if field.get("name") == "csrf_token"
    )
    return Page(client.post(url or page, data={"csrf_token": token, **data}, follow_redirects=True))


def test_the_details_are_changed_and_shown(browser: Callable[..., FlaskClient]) -> None:
    page = post(browser("calla"), "/settings/billing/edit", DETAILS)
    assert page.status == 200
    for words in ("Hafenstraße 2, 20457 Hamburg, Germany", "PO-77", "04011000-12345-67", "German", "A4"):
        assert words in page.text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("legal_name", "", "Enter the name of the company."),
        ("legal_name", "Evil\u202egpj", "turn the direction"),
        ("email", "nobody", "cannot be read"),
        ("country", "ZZ", "not an ISO 3166 code"),
        ("language", "tlh", "English, German or French"),
        ("page_size", "A0", "A4 or US letter"),
        ("postcode", "1" * 21, "20"),
    ],
)
def test_a_detail_that_cannot_stand_keeps_the_form(
    browser: Callable[..., FlaskClient], database: Database, field: str, value: str, sentence: str
) -> None:
    page = post(browser("calla"), "/settings/billing/edit", {**DETAILS, field: value})
    assert page.status == 422
    assert sentence in page.text
    assert "PO-77" in page.html
    with database.reading("jobs") as session:
        assert "PO-77" not in session.scalars(select(BillingProfile.purchase_order)).all()


def test_a_viewer_sees_the_details_and_changes_nothing(browser: Callable[..., FlaskClient]) -> None:
    client = browser("calla", role="viewer")
    page = Page(client.get("/settings/billing"))
    assert page.status == 200
    assert "Change the details" not in page.text
    assert "Add an address" not in page.text
    assert client.get("/settings/billing/edit").status_code == 403


def test_an_address_is_added_confirmed_and_removed(
    browser: Callable[..., FlaskClient], client: FlaskClient, database: Database, app: Flask
) -> None:
    owner = browser("calla")
    added = post(owner, "/settings/billing", {"email": "books@calla.example.com"}, "/settings/billing/recipients")
    assert "Waits for confirmation" in added.text
    twice = post(owner, "/settings/billing", {"email": "BOOKS@calla.example.com"}, "/settings/billing/recipients")
    assert (twice.status, "This address is on the list already." in twice.text) == (409, True)
    with database.reading("jobs") as session:
        made = session.scalars(select(DocumentRecipient.id)).one()
    token = access_links.token_of(app, made)
    asked = Page(client.get(f"/recipients/{token}"))
    assert "Do you want these documents?" in asked.text
    assert "Waits for confirmation" in Page(owner.get("/settings/billing")).text  # looking confirms nothing
    done = post(client, f"/recipients/{token}", {"act": "confirm"})
    assert "You get the documents now" in done.text
    assert "Confirmed" in Page(owner.get("/settings/billing")).text
    removed = post(owner, f"/settings/billing/recipients/{made}/remove", {})
    assert "Nothing more is sent to books@calla.example.com." in removed.text
    assert client.get(f"/recipients/{token}").status_code == 404


def test_whoever_reads_the_address_ends_it_alone(
    browser: Callable[..., FlaskClient], client: FlaskClient, database: Database, app: Flask
) -> None:
    post(browser("calla"), "/settings/billing", {"email": "books@calla.example.com"}, "/settings/billing/recipients")
    with database.reading("jobs") as session:
        made = session.scalars(select(DocumentRecipient.id)).one()
    token = access_links.token_of(app, made)
    assert "Nothing more is sent" in post(client, f"/recipients/{token}", {"act": "decline"}).text
    assert client.get(f"/recipients/{token[:-1]}x").status_code == 404
    assert client.get("/recipients/%00").status_code == 404
