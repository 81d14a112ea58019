"""Automatic payments on pages: nothing is agreed to unread, each figure is checked, and a try says why it failed."""

from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from billing.payments.charges import acts as charge_acts
from billing.payments.charges import agreements
from billing.payments.customers import saving
from billing.payments.tables import SandboxObject
from billing.storage.database import Database
from tests.web import operators, tenants
from tests.web.pages import Page
from tests.web.tenants import Lived

Browser = Callable[..., FlaskClient]
FIGURES = {"is_topping_up": "y", "threshold": "20.00", "amount": "100.00", "cap": "250.00"}


@pytest.fixture(autouse=True)
def clock() -> Iterator[None]:
    yield from operators.standing_at()


@pytest.fixture
def calla(app: Flask, database: Database) -> Lived:
    return tenants.lived(app, database)


@pytest.fixture
def client(calla: Lived, browser: Browser) -> FlaskClient:
    return browser("calla")


def save(calla: Lived, last4: str = "4242") -> None:
    """Save a card on the sandbox's page; the bank behind it answers as that test card's does from then on."""
    services = calla.house.services
    row = saving.start_setup(
        services.database, calla.house.sandbox, now=operators.NOW, account_id=calla.account_id, form_key=f"save-{last4}",
        actor="usr_x", return_url_of=lambda setup_id: f"http://localhost/payment-methods/setups/{setup_id}",
    )  # fmt: skip
    calla.house.sandbox.save(str(row.provider_session_id), now=operators.NOW, last4="4242")
    saving.look_up(services.database, calla.house.sandbox, row, now=operators.NOW)
    with services.database.transaction() as session:
        for item in session.scalars(select(SandboxObject).where(SandboxObject.kind == "payment_method")):
            item.body = item.body | {"card": item.body["card"] | {"last4": last4}}


def agreement(calla: Lived) -> agreements.Agreement:
    with calla.database.reading() as session:
        return agreements.get(session, calla.account_id)


def send(client: FlaskClient, **values: str) -> Page:
    """Fill the form in and press its button; the page that comes."""
    form = Page(client.get("/automatic-payments/change")).form_values()
    for name in ("is_paying", "is_topping_up"):
        form.pop(name, None)
    return Page(client.post("/automatic-payments/change", data=form | values))


def test_words_are_read_before_anything_is_agreed_to(calla: Lived, client: FlaskClient) -> None:
    save(calla)
    check = send(client, is_paying="y", **FIGURES)
    assert check.h1 == "Check before you agree"
    assert "What it would have done in October 2026" in check.text
    assert "I authorise" in check.text
    assert "at most USD 250.00 in a calendar month" in check.text
    assert agreement(calla).version == 0, "nothing is in force before the words were read"
    answer = client.post("/automatic-payments/change", data=check.form_values())
    assert (answer.status_code, answer.headers["Location"]) == (303, "/automatic-payments")
    stored = agreement(calla)
    assert (stored.is_paying, stored.is_topping_up, stored.version) == (True, True, 1)
    assert stored.top_up is not None
    assert [money.minor for money in (stored.top_up.threshold, stored.top_up.amount, stored.top_up.cap)] == [
        2_000, 10_000, 25_000,
    ]  # fmt: skip
    page = Page(client.get("/automatic-payments"))
    assert "Automatic payment agreed to" in page.text
    assert "Visa ending 4242" in page.text
    assert client.post("/automatic-payments/change", data=check.form_values()).status_code == 409
    assert agreement(calla).version == 1


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"amount": ""}, "Enter an amount, such as 50.00."), ({"amount": "0.10"}, "The amount is too small"),
        ({"cap": "99.99"}, "The cap is less than one top-up of USD 100.00."), ({"threshold": "1e3"}, "cannot be read"),
        ({"cap": "٥٠"}, "cannot be read"), ({"threshold": "999999999"}, "The threshold is too large"),
    ],
)  # fmt: skip
def test_figures_that_make_no_sense_keep_the_form(
    calla: Lived, client: FlaskClient, wrong: dict[str, str], sentence: str
) -> None:
    save(calla)
    page = send(client, **(FIGURES | wrong))
    assert page.status == 422
    assert sentence in page.text
    assert page.form_values()["amount"] == (FIGURES | wrong)["amount"]
    assert agreement(calla).version == 0


def test_nothing_can_be_turned_on_without_a_method(calla: Lived, client: FlaskClient) -> None:
    page = send(client, is_paying="y")
    assert page.status == 422
    assert "Save a payment method as default first" in page.text


def test_declined_try_says_why_and_leads_to_paying_by_hand(calla: Lived, client: FlaskClient, browser: Browser) -> None:
    save(calla, "3184")
    form = send(client, **FIGURES | {"threshold": "90000.00"}).form_values()
    client.post("/automatic-payments/change", data=form)
    services = calla.house.services
    state = charge_acts.top_up(services.database, services.providers, now=operators.NOW, account_id=calla.account_id)
    assert state == "failed"
    listed = Page(client.get("/automatic-payments"))
    [row] = listed.rows("attempts-table")
    assert "Waits for you" in " ".join(row)
    page = Page(client.get(listed.links()[row[0]]))
    assert page.h1 == "Charge of USD 100.00"
    assert "The bank wants you to confirm this payment" in page.text
    assert "/add-funds/check?amount=100.00" in page.links().values()
    stranger = browser("brine")
    assert stranger.get(listed.links()[row[0]]).status_code == 404


def test_operator_changes_a_calendar_by_a_version_and_sees_what_it_does(calla: Lived, browser: Browser) -> None:
    maker, viewer = browser(staff="maker"), browser(staff="viewer")
    page = Page(viewer.get("/operator/dunning"))
    assert "On the due date, and again 1, 3, 7 and 14 days after it is due while it is declined" in page.text
    assert "no invoice is open for which the calendar has a day left this month" in page.text
    assert "Change the calendar" not in page.links()
    url = Page(maker.get("/operator/dunning")).links()["Change the calendar"]
    assert viewer.get(url).status_code == 403
    form = Page(maker.get(url)).form_values() | {"charges_at": "due"}
    for wrong, sentence in (
        ({"retry_days": "0"}, "after the due date only"), ({"retry_days": "1, x"}, "is not a number of days"),
        ({"reminder_days": "500"}, "Days are from 30 before to 120 after"), ({"reason": " "}, "Give a reason"),
        ({"charges_at": "never"}, "leave the days empty"), ({"retry_days": "1, 1"}, "stands twice"),
    ):  # fmt: skip
        refused = Page(maker.post(url, data=form | {"reason": "x"} | wrong))
        assert refused.status == 422
        assert sentence in refused.text
    changed = form | {"retry_days": "2, 5", "charges_at": "issue", "reason": "As agreed"}
    assert maker.post(url, data=changed).status_code == 303
    assert maker.post(url, data=changed).status_code == 409, "the same form again was made for an older version"
    shown = Page(viewer.get("/operator/dunning")).text
    assert "When it is issued, and again 2 and 5 days after it is due while it is declined" in shown
    invoice = Page(viewer.get(f"/operator/dunning/invoices/{calla.invoice.id}"))
    assert "Automatic payment is off for this account" in invoice.text or "No payment method" in invoice.text
    assert len(invoice.rows("days-table")) == 8
    assert "Invoices are paid by hand." in Page(viewer.get(f"/operator/accounts/{calla.account_id}")).text
