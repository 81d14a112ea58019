"""Adding funds and paying invoices: checked before, once whatever is clicked, and believed only when the provider says so."""

import re
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.payments import sessions
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.web import operators, tenants
from tests.web.pages import Page
from tests.web.tenants import Lived

UNPAYABLE = [
    ("", "Enter an amount, such as 50.00."),
    ("0.50", "Enter an amount from USD 1.00 to USD 100,000.00."),
    ("100000.01", "Enter an amount from USD 1.00 to USD 100,000.00."),
    ("-5", "Enter an amount above zero."),
    ("1e3", "The amount cannot be read"),
    ("1_000", "The amount cannot be read"),
    ("٥٠", "The amount cannot be read"),
    ("1,5", "The amount cannot be read"),
    ("5.001", "more decimals than USD has"),
    ("<b>", "The amount cannot be read"),
]


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


@pytest.fixture
def client(calla: Lived, browser: Callable[..., FlaskClient]) -> FlaskClient:
    return browser("calla")


def begun(calla: Lived) -> list[sessions.SessionRow]:
    """The payment sessions beside the one that paid the 100.00."""
    with calla.database.reading() as session:
        rows = sessions.list_sessions(session, account_id=calla.account_id)
    return [row for row in rows if row.id != calla.payment.session_id]


def pay_at_provider(calla: Lived, session_id: str) -> None:
    """The person pays on the provider's page, and no webhook comes."""
    with calla.database.reading() as session:
        row = sessions.get_session(session, account_id=calla.account_id, session_id=session_id)
    assert row.redirect_url is not None
    calla.house.sandbox.pay(row.redirect_url.rpartition("/")[2], now=operators.NOW)


def test_funds_are_added_by_amount_check_provider_and_confirmation(calla: Lived, client: FlaskClient) -> None:
    asked = operators.act(client, "/add-funds", amount="1,234.50")
    assert (asked.status_code, asked.headers["Location"]) == (303, "/add-funds/check?amount=1234.50")
    check = Page(client.get("/add-funds/check?amount=1234.50"))
    assert "Pay USD 1,234.50" in check.text
    assert begun(calla) == []  # looking is not paying
    sent = client.post("/add-funds/check?amount=1234.50", data=check.form_values())
    again = client.post("/add-funds/check?amount=1234.50", data=check.form_values())
    rows = begun(calla)
    assert [(row.amount_minor, row.purpose, row.state) for row in rows] == [(123_450, "top_up", "open")]
    assert sent.status_code == again.status_code == 303
    assert sent.headers["Location"] == again.headers["Location"] == rows[0].redirect_url
    url = f"/add-funds/{rows[0].id}"
    waiting = client.get(url, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert ("Waiting for your payment" in waiting, 'hx-trigger="every 2s"' in waiting) == (True, True)
    pay_at_provider(calla, rows[0].id)
    done = client.get(url, headers={"HX-Request": "true"}).get_data(as_text=True)
    assert ("Payment received" in done, "hx-trigger" in done) == (True, False)
    assert world.balance(calla.database, calla.account_id).wallet_minor == 10_000 + 123_450
    assert "USD 1,334.50" in Page(client.get(url)).text
    paid = re.search(r'href="(/payments/pmt_[^"]+)"', client.get("/balance").text)
    assert paid is not None
    assert "USD 1,234.50" in Page(client.get(paid[1])).text
    assert world.balance(calla.database, calla.account_id).wallet_minor == 133_450


def test_an_address_that_claims_success_credits_nothing(calla: Lived, client: FlaskClient) -> None:
    check = Page(client.get("/add-funds/check?amount=50"))
    client.post("/add-funds/check?amount=50", data=check.form_values())
    page = Page(client.get(f"/add-funds/{begun(calla)[0].id}?success=true&payment_status=paid&paid=1"))
    assert "Waiting for your payment" in page.text
    assert world.balance(calla.database, calla.account_id).wallet_minor == 10_000


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_an_amount_that_cannot_be_paid_is_refused_beside_its_field_and_kept(
    browser: Callable[..., FlaskClient],
) -> None:
    client = browser("quiet")
    for typed, sentence in UNPAYABLE:
        answer = operators.act(client, "/add-funds", amount=typed)
        page = Page(answer)
        assert (page.status, sentence in page.text) == (422, True), typed
        field = next(field for field in page.root.iter("input") if field.get("name") == "amount")
        assert (field.get("value"), field.get("aria-invalid")) == (typed, "true")


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_check_page_of_a_wrong_amount_leads_back_to_the_form(browser: Callable[..., FlaskClient]) -> None:
    client = browser("quiet")
    for amount in ("", "0", "999999999", "x"):
        answer = client.get(f"/add-funds/check?amount={amount}")
        assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/add-funds")
    assert "too large: at most USD 100,000.00" in Page(client.get("/add-funds")).text


def test_an_invoice_is_paid_and_says_so(calla: Lived, client: FlaskClient) -> None:
    invoice = Page(client.get(f"/invoices/{calla.invoice.number}"))
    url = invoice.links()["Pay USD 54.54"]
    check = Page(client.get(url))
    assert ("Pay USD 54.54" in check.text, str(calla.invoice.number) in check.text) == (True, True)
    assert client.post(url, data=check.form_values()).status_code == 303
    row = begun(calla)[0]
    assert (row.purpose, row.invoice_id, row.amount_minor) == ("invoice", calla.invoice.id, 5_454)
    pay_at_provider(calla, row.id)
    assert "Payment received" in Page(client.get(f"/add-funds/{row.id}")).text
    page = Page(client.get(f"/invoices/{calla.invoice.number}"))
    assert operators.figures(page)["Left to pay"] == "USD 0.00"
    assert [(line[0], line[-1]) for line in page.rows("settlements")] == [("Payment", "54.54"), ("Left to pay", "0.00")]
    assert "Paid in full" in page.text
    # Paid in another tab meanwhile: there is nothing left to do twice.
    late = client.get(url)
    assert (late.status_code, late.headers["Location"].partition("?")[0]) == (303, "/add-funds")
    assert "Nothing is open on this invoice." in Page(client.get("/add-funds")).text


def test_a_second_tab_of_the_same_invoice_cannot_pay_more_than_is_open(calla: Lived, client: FlaskClient) -> None:
    url = f"/add-funds/check?invoice={calla.invoice.id}"
    first, second = Page(client.get(url)), Page(client.get(url))
    client.post(url, data=first.form_values())
    pay_at_provider(calla, begun(calla)[0].id)
    client.get(f"/add-funds/{begun(calla)[0].id}")
    answer = client.post(url, data=second.form_values())
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (303, "/add-funds")
    assert len(begun(calla)) == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_form_without_its_key_or_token_pays_nothing(calla: Lived, client: FlaskClient) -> None:
    url = "/add-funds/check?amount=50"
    values = Page(client.get(url)).form_values()
    refused = client.post(url, data=values | {"form_key": ""})
    assert (refused.status_code, "sent without its key" in Page(refused).text) == (422, True)
    stale = client.post(url, data={"form_key": values["form_key"]})
    assert (stale.status_code, "no longer valid" in Page(stale).text) == (400, True)
    assert begun(calla) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_key_of_a_form_pays_no_other_amount(calla: Lived, client: FlaskClient) -> None:
    values = Page(client.get("/add-funds/check?amount=50")).form_values()
    client.post("/add-funds/check?amount=50", data=values)
    answer = client.post("/add-funds/check?amount=70", data=values)
    assert (answer.status_code, "sent before with other content" in Page(answer).text) == (409, True)
    assert [row.amount_minor for row in begun(calla)] == [5_000]


def test_another_tenants_payment_and_invoice_do_not_exist(calla: Lived, browser: Callable[..., FlaskClient]) -> None:
    stranger = browser("stranger")
    assert stranger.get(f"/add-funds/{calla.payment.session_id}").status_code == 404
    assert stranger.get(f"/add-funds/check?invoice={calla.invoice.id}").status_code == 404
