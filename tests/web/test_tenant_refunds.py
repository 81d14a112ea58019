"""Asking for a refund: within what may be given back, looked at once more, sent once, and followed to its end."""

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from billing.controls import second_person
from billing.payments import acts, refunds
from billing.payments.refunds import RefundRow
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.web import operators, tenants
from tests.web.pages import Page, words
from tests.web.tenants import Lived

REASON = "Paid twice? مرحبا 🚀 <b>really</b>"

IMPOSSIBLE = [
    ({"amount": "100.01"}, "At most USD 100.00 can be asked back."),
    ({"amount": ""}, "Enter an amount, such as 50.00."),
    ({"amount": "1e2"}, "The amount cannot be read"),
    ({"reason": ""}, "Say why: the person who decides reads it."),
    ({"reason": "x" * 501}, "Use at most 500 characters."),
    ({"subject": ""}, "Choose a payment or an invoice."),
    ({"subject": "payment:pmt_of_someone_else"}, "Not a valid choice."),
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


def asked(calla: Lived) -> list[RefundRow]:
    with calla.database.reading() as session:
        return refunds.list_requests(session, account_id=calla.account_id)


def filled(client: FlaskClient, subject: str, amount: str = "40.00", reason: str = REASON) -> dict[str, str]:
    """The form's values as a person fills them in."""
    values = Page(client.get("/refunds/new")).form_values()
    return values | {"subject": subject, "amount": amount, "reason": reason}


def test_money_is_asked_back_to_the_card_once_and_followed_to_its_end(calla: Lived, client: FlaskClient) -> None:
    values = filled(client, f"payment:{calla.payment.id}")
    check = Page(client.post("/refunds/new", data=values | {"stage": "check"}))
    assert (check.status, "Ask for USD 40.00 back" in check.text, REASON in check.text) == (200, True, True)
    assert asked(calla) == []  # looking is not asking
    sent = client.post("/refunds/new", data=check.form_values() | {"stage": "send"})
    again = client.post("/refunds/new", data=check.form_values() | {"stage": "send"})
    rows = asked(calla)
    assert [(row.amount_minor, row.mode, row.state, row.reason) for row in rows] == [
        (4_000, "card", "requested", REASON)
    ]
    url = f"/refunds/{rows[0].id}"
    assert (sent.status_code, sent.headers["Location"], again.headers["Location"]) == (303, url, url)
    assert "Waiting for a decision" in Page(client.get(url)).text
    assert [row[1:] for row in Page(client.get("/refunds")).rows("refunds")] == [
        [REASON, "To the card", "Requested", "USD 40.00"]
    ]
    calla.house.approve_refund(rows[0])
    assert "On its way" in Page(client.get(url)).text
    assert "Refunds on their way" in operators.figures(Page(client.get("/balance")))
    acts.send_refund(calla.database, calla.house.services.providers, now=operators.NOW, refund_id=rows[0].id)
    page = Page(client.get(url))
    assert ("Refunded" in page.text, "expect it by 1 Dec 2026" in page.text) == (True, True)
    assert [words(item).split(" 21 Nov")[0] for item in page.root.iter("li") if "timeline-at" in "".join(p.get("class", "") for p in item)] == [
        "Refunded by the payment provider",
        "Sent to the payment provider",
        "Approved by a second person",
        f"Requested {REASON}",
    ]  # fmt: skip
    assert world.balance(calla.database, calla.account_id).wallet_minor == 6_000


def test_an_invoice_is_credited_and_the_request_leads_to_its_credit_note(calla: Lived, client: FlaskClient) -> None:
    form = Page(client.get(f"/refunds/new?invoice={calla.invoice.id}"))
    chosen = [option.get("value") for option in form.root.iter("option") if option.get("selected") is not None]
    assert chosen == [f"invoice:{calla.invoice.id}"]
    values = filled(client, f"invoice:{calla.invoice.id}", amount="10")
    answer = client.post("/refunds/new", data=values | {"stage": "send"})
    row = asked(calla)[0]
    assert (answer.status_code, row.mode, row.amount_minor) == (303, "credit", 1_000)
    calla.house.approve_refund(row)
    page = Page(client.get(f"/refunds/{row.id}"))
    assert "Credited" in page.text
    note = next(href for href in page.links().values() if "/drf_" in href)
    assert operators.figures(Page(client.get(note)))["Credited"] == "USD 10.00"
    invoice = Page(client.get(f"/invoices/{calla.invoice.number}"))
    assert operators.figures(invoice)["Left to pay"] == "USD 44.54"
    assert "Corrected by credit note CN-" in invoice.text


def test_a_rejection_says_why(calla: Lived, client: FlaskClient) -> None:
    client.post("/refunds/new", data=filled(client, f"payment:{calla.payment.id}") | {"stage": "send"})
    row = asked(calla)[0]
    calla.house.reject_refund(row, "It was used in <May>.")
    page = Page(client.get(f"/refunds/{row.id}"))
    assert ("The request was rejected" in page.text, "It was used in <May>." in page.text) == (True, True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_request_that_cannot_be_is_refused_and_what_was_typed_is_kept(calla: Lived, client: FlaskClient) -> None:
    for stage, (changes, sentence) in itertools.product(("check", "send"), IMPOSSIBLE):
        values = filled(client, f"payment:{calla.payment.id}") | changes | {"stage": stage}
        page = Page(client.post("/refunds/new", data=values))
        assert (page.status, sentence in page.text) == (422, True), changes
        assert page.form_values()["amount"] == values["amount"]
        assert asked(calla) == []


def test_two_requests_cannot_together_ask_for_more_than_was_paid(calla: Lived, client: FlaskClient) -> None:
    first, second = (filled(client, f"payment:{calla.payment.id}", amount="60") for _ in range(2))
    assert client.post("/refunds/new", data=first | {"stage": "send"}).status_code == 303
    refused = client.post("/refunds/new", data=second | {"stage": "send"})
    assert (refused.status_code, "At most USD 40.00 can be asked back." in Page(refused).text) == (422, True)
    assert [row.amount_minor for row in asked(calla)] == [6_000]


def test_another_tenants_request_and_payment_do_not_exist(
    calla: Lived, client: FlaskClient, browser: Callable[..., FlaskClient]
) -> None:
    client.post("/refunds/new", data=filled(client, f"payment:{calla.payment.id}") | {"stage": "send"})
    stranger = browser("stranger")
    assert stranger.get(f"/refunds/{asked(calla)[0].id}").status_code == 404
    assert calla.payment.id not in stranger.get(f"/refunds/new?payment={calla.payment.id}").get_data(as_text=True)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_request_that_was_withdrawn_or_never_decided_does_not_say_rejected(calla: Lived, client: FlaskClient) -> None:
    for withdraw, sentence in ((True, "The request was withdrawn"), (False, "not decided in time")):
        client.post("/refunds/new", data=filled(client, f"payment:{calla.payment.id}") | {"stage": "send"})
        row = asked(calla)[0]
        with calla.database.transaction() as session:
            if withdraw:
                second_person.withdraw(
                    session, now=operators.NOW, approval_id=str(row.approval_id), maker=row.requested_by
                )
            else:
                late = operators.NOW + timedelta(days=31)
                assert second_person.expire(session, now=late, approval_id=str(row.approval_id))
        page = Page(client.get(f"/refunds/{row.id}"))
        assert (sentence in page.text, "None" in page.text, "was rejected" in page.text) == (True, False, False)
