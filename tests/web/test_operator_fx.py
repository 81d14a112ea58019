"""Exchange rates: imported by hand, shown with their age, and the currencies of sellers and accounts."""

import io
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts import currencies
from billing.rating.tables import RatedLine
from billing.reference import fx_rates
from billing.storage.database import Database
from tests.service.invoicing import test_conversion, world
from tests.service.rating.world import Use
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
TABLE = "Date,USD,JPY,\n2026-10-30,1.1172,175.68,\n2026-10-29,1.113,175.92,\n"


def send(client: FlaskClient, text: str, source: str = "ECB") -> Page:
    form = Page(client.get("/operator/fx/import")).form_values()
    data = {**form, "source": source, "file": (io.BytesIO(text.encode()), "eurofxref.csv")}
    return Page(
        client.post("/operator/fx/import", data=data, content_type="multipart/form-data", follow_redirects=True)
    )


def test_rates_are_imported_and_shown_with_their_age(browser: Browser) -> None:
    client = browser(staff="maker")
    assert "No rates are held yet" in Page(client.get("/operator/fx")).text
    page = send(client, TABLE)
    assert (page.status, page.h1) == (200, "Exchange rates")
    assert "ECB: 2 days are new." in page.text
    assert "All rates are out of date" in page.text  # today is 21 November or later
    assert "175.68" in Page(client.get("/operator/fx?currency=JPY")).text
    assert "ECB: 0 days are new, 2 were held already." in send(client, TABLE).text


def test_bad_rows_are_named_and_the_rest_is_kept(browser: Browser, database: Database) -> None:
    client = browser(staff="maker")
    send(client, TABLE)
    page = send(client, TABLE.replace("175.68", "175.69") + "2026-10-28,-1,170,\n2026-10-27,1.1,170,\n")
    assert page.status == 200
    assert "1 day is new, 1 was held already, 2 rows were refused" in page.text
    assert "snapshots never change: JPY 175.69, held 175.68" in page.text
    assert "USD -1 is no rate" in page.text
    with database.reading() as session:
        assert fx_rates.list_snapshots(session)[1] == 3


def test_a_file_that_is_none_and_no_file_keep_the_form(browser: Browser) -> None:
    client = browser(staff="maker")
    assert send(client, "<html>").status == 422
    form = Page(client.get("/operator/fx/import")).form_values()
    page = Page(client.post("/operator/fx/import", data=form))
    assert (page.status, "Choose the file" in page.text) == (422, True)


def test_a_snapshot_says_where_it_was_used(browser: Browser, database: Database) -> None:
    test_conversion.load(database)
    header = world.issued(database, test_conversion.account_in(database, "EUR", Use(333)))
    with database.reading() as session:
        (row,), _ = fx_rates.list_snapshots(session)
    client = browser(staff="viewer")
    page = Page(client.get(f"/operator/fx/snapshots/{row.id}"))
    assert (page.status, page.h1) == (200, "Rates of 30 Oct 2026")
    for words in (str(header.number), "Charges", "VAT for the tax office", "3.87"):
        assert words in page.text
    assert client.get("/operator/fx/snapshots/none").status_code == 404


def test_currencies_are_changed_by_who_may(browser: Browser, database: Database) -> None:
    world.open_account(database)
    client = browser(staff="maker")
    form = Page(client.get("/operator/fx")).form_values()
    done = Page(
        client.post(
            "/operator/fx/accounts", data={**form, "account": "calla", "currency": "eur"}, follow_redirects=True
        )
    )
    assert "is invoiced in EUR from the next draft on" in done.text
    wrong = Page(client.post("/operator/fx/accounts", data={**form, "account": "calla", "currency": "XYZ"}))
    assert (wrong.status, "not an ISO 4217 code" in wrong.text) == (422, True)
    nobody = client.post("/operator/fx/accounts", data={**form, "account": "nobody", "currency": "EUR"})
    assert nobody.status_code == 404
    assert browser(staff="viewer").post("/operator/fx/accounts", data=form).status_code in (400, 403)


def test_a_rated_line_says_on_which_invoice_and_at_which_rate_it_was_converted(
    browser: Browser, database: Database
) -> None:
    test_conversion.load(database)
    tenant = browser("calla")
    with database.transaction() as session:
        currencies.set_invoice_currency(session, now=world.NOW, account_code="calla", currency="EUR", actor="usr_ann")
    account_id = world.account(database, "calla").id
    world.used(database, account_id, Use(333))
    header = world.issued(database, account_id)
    with database.reading() as session:
        line_id = session.scalars(select(RatedLine.id)).one()
    page = Page(tenant.get(f"/rated-lines/{line_id}"))
    assert page.status == 200
    for words in ("Converted", str(header.number), "0.895", "30 Oct 2026", "2.98"):
        assert words in page.text, words
    settings = Page(tenant.get(f"/invoices/{header.number}"))
    assert (settings.status, "EUR" in settings.text) == (200, True)
