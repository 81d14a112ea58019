"""Booking a bank transfer on its pages: form, check, booking, taking back; and how an invoice says to pay by one."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.accounts.tables import BillingAccount
from billing.invoicing.tables import InvoiceHeader
from billing.payments.bank.tables import BankTransfer
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.web.pages import Page

Browser = Callable[..., FlaskClient]
pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)  # the services are proved on both
IBAN = "DE89370400440532013000"


def url_of(invoice: InvoiceHeader) -> str:
    return f"/operator/accounts/{invoice.billing_account_id}/bank-transfer"


def values(client: FlaskClient, url: str, **more: str) -> dict[str, str]:
    today = datetime.now(UTC).date().isoformat()
    facts = {"amount": "150.00", "value_on": today, "bank_account": IBAN, "bank_reference": "S-1", "payer": "Calla"}
    return {**Page(client.get(url)).form_values(), "currency_code": "USD", "way": "oldest", **facts, **more}


def booked(database: Database) -> list[BankTransfer]:
    with database.reading("jobs") as session:
        return list(session.scalars(select(BankTransfer)))


def test_a_transfer_is_checked_booked_once_and_taken_back_by_two(browser: Browser, database: Database) -> None:
    invoice = world.invoice_of(database, 10_000, code="dahlia")
    client, url = browser(staff="maker"), url_of(invoice)
    page = Page(client.post(url, data=values(client, url, step="check")))
    assert (page.status, page.h1) == (200, "Check the bank transfer")
    assert str(invoice.number) in page.text
    assert "USD 31.00" in page.text  # 150.00 - 119.00
    assert booked(database) == []
    changed = Page(client.post(url, data={**page.form_values(), "step": "change"}))
    assert (changed.status, changed.h1) == (200, "Book a bank transfer")
    assert changed.form_values()[f"share-{invoice.id}"] == "119.00"
    sent = {**page.form_values(), "step": "book"}
    done = Page(client.post(url, data=sent, follow_redirects=True))
    assert (done.status, done.h1) == (200, "Bank transfer S-1")
    again = Page(client.post(url, data=sent, follow_redirects=True))
    assert (again.status, len(booked(database))) == (200, 1)
    [row] = booked(database)
    back = f"/operator/bank-transfers/{row.id}/reverse"
    form = Page(client.get(back)).form_values()
    assert Page(client.post(back, data={**form, "reason": ""})).status == 422
    asked = client.post(back, data={**form, "reason": "Of another customer"})
    assert asked.status_code == 303
    approver = browser(staff="approver")
    approval = asked.headers["Location"]
    assert "Bank transfer taken back" in Page(approver.get(approval)).text
    confirm = Page(approver.get(f"{approval}/approve"))
    decided = Page(approver.post(f"{approval}/approve", data=confirm.form_values(), follow_redirects=True))
    assert decided.status == 200
    assert "This booking was taken back" in Page(client.get(f"/operator/bank-transfers/{row.id}")).text
    assert "Taken back" in Page(client.get("/operator/bank-transfers")).text


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"amount": "1,5"}, "amount"),
        ({"amount": "-5"}, "above zero"),
        ({"value_on": "soon"}, "Enter a day"),
        ({"value_on": "2099-01-01"}, "still to come"),
        ({"bank_reference": ""}, "own reference"),
        ({"payer": "x" * 200}, "140"),
        ({"currency_code": "EUR"}, "valid choice"),
    ],
)
def test_a_line_that_cannot_be_meant_keeps_the_form(
    browser: Browser, database: Database, wrong: dict[str, str], said: str
) -> None:
    invoice = world.invoice_of(database, 10_000, code="dahlia")
    client, url = browser(staff="maker"), url_of(invoice)
    page = Page(client.post(url, data=values(client, url, step="book", **wrong)))
    assert (page.status, page.h1) == (422, "Book a bank transfer")
    assert said in page.text
    assert booked(database) == []


def test_what_is_entered_for_an_invoice_is_read_and_bounded(browser: Browser, database: Database) -> None:
    invoice = world.invoice_of(database, 10_000, code="dahlia")
    client, url = browser(staff="maker"), url_of(invoice)
    for text in ("119.01", "abc", "0", "1.234"):
        sent = values(client, url, step="book", way="chosen", **{f"share-{invoice.id}": text})
        assert Page(client.post(url, data=sent)).status == 422
    sent = values(client, url, step="book", way="chosen", **{f"share-{invoice.id}": "19.00"})
    assert "USD 131.00" in Page(client.post(url, data=sent, follow_redirects=True)).text
    viewer = browser(staff="viewer")
    assert viewer.get(url).status_code == 403
    with database.reading() as session:
        assert session.get_one(BillingAccount, invoice.billing_account_id).code == "dahlia"


def test_an_invoice_says_how_to_pay_it_by_transfer_until_nothing_is_open(browser: Browser, database: Database) -> None:
    world.open_account(database, "dahlia")
    world.move_seller(database, bank_account=IBAN, bic="COBADEFFXXX")
    invoice = world.invoice_of(database, 10_000, code="calla")
    client = browser("calla")
    page = Page(client.get(f"/invoices/{invoice.number}"))
    assert "Pay by bank transfer" in page.text
    assert all(said in page.text for said in (IBAN, "COBADEFFXXX", "USD 119.00", str(invoice.number)))
    world.pay(database, invoice, 1_900)
    assert "USD 100.00" in Page(client.get(f"/invoices/{invoice.number}")).text
    world.pay(database, invoice, 10_000)
    assert "Pay by bank transfer" not in Page(client.get(f"/invoices/{invoice.number}")).text
