"""The hosted pages of the peer, as forms: what is typed, what is answered, where it leads."""

from collections.abc import Iterator
from typing import Any

import html5lib
import pytest
import requests

from tests.peers.drive import RETURN_URL, checkout_params, client_of, refused
from tests.peers.stripe.server import StripeServer

CARD = {"email": "ada@example.com", "number": "4242 4242 4242 4242", "expiry": "12 / 34", "cvc": "123", "name": "Ada"}


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


def open_session(peer: StripeServer, **more: Any) -> Any:
    return client_of(peer).v1.checkout.sessions.create(checkout_params(**more))


def submit(url: str, **fields: str) -> requests.Response:
    return requests.post(url, data=CARD | fields, timeout=5, allow_redirects=False)


def read(peer: StripeServer, session: Any) -> Any:
    return client_of(peer).v1.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})


def heading(answer: requests.Response) -> str:
    """The one h1 of a page that a strict parser takes."""
    found = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(answer.text).findall(".//h1")
    assert len(found) == 1
    return "".join(found[0].itertext())


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(5000, "usd", "USD 50.00"), (5000, "jpy", "JPY 5,000"), (5010, "kwd", "KWD 5.010"), (500, "isk", "ISK 5.00")],
)
def test_page_shows_the_amount_as_stripe_counts_it(peer: StripeServer, amount: int, currency: str, shown: str) -> None:
    answer = requests.get(open_session(peer, unit_amount=amount, currency=currency).url, timeout=5)
    assert (answer.status_code, heading(answer)) == (200, shown)


def test_what_the_merchant_wrote_is_escaped(peer: StripeServer) -> None:
    params = checkout_params()
    params["line_items"][0]["price_data"]["product_data"]["name"] = "<script>alert(1)</script>"
    session = client_of(peer).v1.checkout.sessions.create(params)
    page = submit(session.url, email='"><script>', number="1")
    assert page.status_code == 422
    assert heading(page)
    assert "<script>" not in page.text


def test_payment_leads_to_the_success_url_with_the_sessions_id(peer: StripeServer) -> None:
    session = open_session(peer)
    answer = submit(session.url)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{RETURN_URL}?session={session.id}")
    paid = read(peer, session)
    assert (paid.status, paid.payment_status, paid.payment_intent.status) == ("complete", "paid", "succeeded")
    assert (paid.customer_details.email, paid.customer_details.name) == ("ada@example.com", "Ada")
    assert submit(session.url).status_code == 200  # once more: the page says that it is done
    assert len(client_of(peer).v1.charges.list().data) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"number": "4242 4242 4242 4241"}, "card number is invalid"),
        ({"expiry": "13 / 34"}, "expiration date"),
        ({"cvc": "12"}, "security code"),
        ({"email": "nobody"}, "email"),
        ({"method": "sepa_debit", "iban": "DE"}, "IBAN"),
    ],
)
def test_incomplete_form_is_422_with_what_was_typed(peer: StripeServer, fields: dict[str, str], message: str) -> None:
    session = open_session(peer)
    answer = submit(session.url, **fields)
    assert answer.status_code == 422
    assert message in answer.text
    assert all(value in answer.text for name, value in fields.items() if name not in ("method", "iban"))
    assert read(peer, session).payment_intent is None


def test_declined_card_is_402_and_the_session_stays_open(peer: StripeServer) -> None:
    session = open_session(peer)
    answer = submit(session.url, number="4000000000000002")
    assert answer.status_code == 402
    assert "Your card was declined." in answer.text
    left = read(peer, session)
    assert (left.status, left.payment_intent.last_payment_error.code) == ("open", "card_declined")
    assert submit(session.url).status_code == 303
    assert read(peer, session).payment_intent.id == left.payment_intent.id


def test_debit_completes_the_session_unpaid(peer: StripeServer) -> None:
    session = open_session(peer, currency="eur", allowed_payment_method_types=["card", "sepa_debit"])
    assert submit(session.url, method="sepa_debit", iban="DE89 3704 0044 0532 0130 00").status_code == 303
    late = read(peer, session)
    assert (late.status, late.payment_status, late.payment_intent.status) == ("complete", "unpaid", "processing")


def test_expired_session_is_gone(peer: StripeServer) -> None:
    session = open_session(peer)
    client_of(peer).v1.checkout.sessions.expire(session.id)
    assert requests.get(session.url, timeout=5).status_code == 410
    assert submit(session.url).status_code == 410


def test_unknown_session_is_404(peer: StripeServer) -> None:
    assert requests.get(peer.url + "/c/pay/cs_test_nobody", timeout=5).status_code == 404


@pytest.mark.parametrize("answer", ["complete", "fail"])
def test_bank_leads_back_to_the_caller_with_the_outcome(peer: StripeServer, answer: str) -> None:
    v1 = client_of(peer).v1
    intent = v1.payment_intents.create(
        {
            "amount": 900,
            "currency": "usd",
            "payment_method": "pm_card_authenticationRequired",
            "confirm": True,
            "return_url": "http://127.0.0.1:9/back?order=7",
        }
    )
    page = requests.get(intent.next_action.redirect_to_url.url, timeout=5)
    assert heading(page) == "3-D Secure"
    back = requests.post(page.url, data={"answer": answer}, timeout=5, allow_redirects=False)
    status = "succeeded" if answer == "complete" else "requires_payment_method"
    assert back.headers["Location"] == (
        f"http://127.0.0.1:9/back?order=7&payment_intent={intent.id}"
        f"&payment_intent_client_secret={intent.client_secret}&redirect_status={status}"
    )
    assert v1.payment_intents.retrieve(intent.id).status == status
    assert requests.get(page.url, timeout=5).status_code == 410


def test_setup_keeps_the_card_for_the_customer(peer: StripeServer) -> None:
    v1 = client_of(peer).v1
    customer = v1.customers.create().id
    params: Any = {"mode": "setup", "currency": "usd", "customer": customer, "success_url": RETURN_URL}
    session = v1.checkout.sessions.create(params)
    assert submit(session.url).headers["Location"] == RETURN_URL
    assert v1.checkout.sessions.retrieve(session.id).status == "complete"
    assert [method.card.last4 for method in v1.customers.payment_methods.list(customer).data] == ["4242"]


def test_address_with_a_line_break_is_refused(peer: StripeServer) -> None:
    error = refused(client_of(peer).v1.checkout.sessions.create, checkout_params(success_url="http://a/\r\nX: y"))
    assert error.code == "url_invalid"
