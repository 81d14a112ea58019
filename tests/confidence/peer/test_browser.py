"""A real browser at the peer's hosted pages: paid, declined, confirmed with the bank, gone back, saved."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.peers.drive import checkout_params, client_of
from tests.peers.stripe.server import StripeServer

pytestmark = pytest.mark.merge_medium


@pytest.fixture
def peer() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A page that must leave a calm console and ask nobody outside; the shop's addresses are answered here."""
    context = chromium.new_context()
    found = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    found.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    found.on("pageerror", lambda error: said.append(str(error)))
    found.on("request", lambda request: asked.append(request.url))
    context.route("http://shop.test/**", lambda route: route.fulfill(body="<h1>Shop</h1>", content_type="text/html"))
    yield found
    context.close()
    assert [line for line in said if "402" not in line] == []
    assert {urlsplit(url).hostname for url in asked} <= {"127.0.0.1", "shop.test", None}


def open_session(peer: StripeServer, **more: Any) -> Any:
    urls: Any = {
        "success_url": "http://shop.test/back?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://shop.test/left",
    }
    return client_of(peer).v1.checkout.sessions.create(checkout_params(**urls, **more))


def pay(page: Page, number: str) -> None:
    page.get_by_label("Email").first.fill("ada@example.com")
    page.get_by_label("Card number").fill(number)
    page.get_by_label("Expires").fill("12 / 34")
    page.get_by_label("Security code").fill("123")
    page.get_by_role("button", name="Pay USD").first.click()


def state(peer: StripeServer, session: Any) -> tuple[str | None, str]:
    found = client_of(peer).v1.checkout.sessions.retrieve(session.id)
    return found.status, found.payment_status


def test_customer_pays_and_lands_with_the_sessions_id(peer: StripeServer, page: Page) -> None:
    session = open_session(peer, unit_amount=123456)
    page.goto(session.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("USD 1,234.56")
    pay(page, "4242 4242 4242 4242")
    page.wait_for_url("http://shop.test/back**")
    assert parse_qs(urlsplit(page.url).query) == {"session": [session.id]}
    assert state(peer, session) == ("complete", "paid")
    page.goto(session.url)
    expect(page.get_by_role("heading", level=1)).to_have_text("You are all done here")


def test_declined_customer_reads_why_and_pays_with_another_card(peer: StripeServer, page: Page) -> None:
    session = open_session(peer)
    page.goto(session.url)
    pay(page, "4000 0000 0000 9995")
    expect(page.get_by_role("alert")).to_have_text("Your card has insufficient funds.")
    expect(page.get_by_label("Email").first).to_have_value("ada@example.com")
    assert state(peer, session) == ("open", "unpaid")
    pay(page, "4242424242424242")
    page.wait_for_url("http://shop.test/back**")
    assert state(peer, session) == ("complete", "paid")


@pytest.mark.parametrize("answer", ["Complete", "Fail"])
def test_bank_asks_and_the_customer_answers(peer: StripeServer, page: Page, answer: str) -> None:
    session = open_session(peer)
    page.goto(session.url)
    pay(page, "4000 0027 6000 3184")
    page.get_by_role("button", name=answer).click()
    if answer == "Complete":
        page.wait_for_url("http://shop.test/back**")
        assert state(peer, session) == ("complete", "paid")
    else:
        expect(page.get_by_role("alert")).to_contain_text("unable to authenticate")
        assert state(peer, session) == ("open", "unpaid")


def test_customer_who_goes_back_leaves_the_session_open(peer: StripeServer, page: Page) -> None:
    session = open_session(peer)
    page.goto(session.url)
    page.get_by_role("link", name="Back").click()
    page.wait_for_url("http://shop.test/left")
    assert state(peer, session) == ("open", "unpaid")


def test_page_fits_a_telephone(peer: StripeServer, page: Page) -> None:
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(open_session(peer, unit_amount=99999999).url)
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
