"""Pages in a real browser: whole after every swap, one effect for two clicks, usable by keyboard. What holds for every page is in test_gates.py."""

import re

import pytest
from playwright.sync_api import expect

from billing.accounts import directory
from billing.ledger import balances
from billing.payments import sessions
from e2e.conftest import NewVisitor
from e2e.server import OWNER, PASSWORD, TENANT, VIEWER, Server
from e2e.visitor import Visitor


@pytest.fixture
def tenant(new_visitor: NewVisitor) -> Visitor:
    """The owner of a tenant, signed in."""
    visitor = new_visitor()
    visitor.sign_in(OWNER)
    return visitor


def payments_of(portal: Server, amount_minor: int) -> tuple[int, int]:
    """(payments of that amount, wallet) in the books."""
    with portal.database.reading() as session:
        account_id = directory.get_account_by_code(session, TENANT).id
        found = sessions.list_payments(session, account_id=account_id, limit=1000)
        wallet = balances.of_account(session, account_id, currency="USD")[0].wallet_minor
    return sum(payment.amount_minor == amount_minor for payment in found), wallet


@pytest.mark.parametrize(("has_script", "amount"), [(True, "31.41"), (False, "27.18")], ids=["script", "no script"])
def test_two_clicks_on_pay_give_one_payment(
    new_visitor: NewVisitor, portal: Server, has_script: bool, amount: str
) -> None:
    visitor = new_visitor(has_script=has_script)
    visitor.sign_in(OWNER)
    minor = int(amount.replace(".", ""))
    _, wallet = payments_of(portal, minor)
    page = visitor.open(f"/add-funds/check?amount={amount}")
    check_url = page.url
    page.get_by_role("button", name=f"Pay USD {amount}").dblclick()
    expect(page.locator("h1")).to_have_text("Sandbox checkout")
    checkout_url = page.url
    page.get_by_role("button", name=f"Pay USD {amount}").dblclick()
    expect(page.locator("h1")).to_have_text(f"Payment of USD {amount}")
    expect(visitor.fact("State")).to_have_text("Paid")
    page.goto(checkout_url)  # the provider's page again, from the history
    expect(page.locator("h1")).to_have_text(f"Payment of USD {amount}")
    assert payments_of(portal, minor) == (1, wallet + minor)
    page.goto(check_url)
    visitor.assert_whole_page()


def test_a_form_that_is_sent_again_from_the_history_leads_to_the_same_payment(tenant: Visitor, portal: Server) -> None:
    page = tenant.open("/add-funds/check?amount=16.18")
    form_key = page.locator("input[name=form_key]").get_attribute("value")
    page.get_by_role("button", name="Pay USD 16.18").click()
    expect(page.locator("h1")).to_have_text("Sandbox checkout")
    first = page.url
    page.go_back()
    if page.locator("input[name=form_key]").get_attribute("value") == form_key:  # a page from the browser's memory
        page.get_by_role("button", name="Pay USD 16.18").click()
        expect(page.locator("h1")).to_have_text("Sandbox checkout")
        assert page.url == first
    page.goto(first)
    page.get_by_role("button", name="Pay USD 16.18").click()
    expect(tenant.fact("State")).to_have_text("Paid")
    assert payments_of(portal, 1618)[0] == 1


def test_a_declined_or_abandoned_payment_credits_nothing(tenant: Visitor, portal: Server) -> None:
    _, wallet = payments_of(portal, 5_000)
    page = tenant.open("/add-funds/check?amount=50.00")
    page.get_by_role("button", name="Pay USD 50.00").click()
    page.get_by_role("button", name="Decline the card").click()
    expect(page.get_by_text("The card was declined")).to_be_visible()
    page.get_by_role("button", name="Abandon").click()
    tenant.assert_whole_page()
    assert payments_of(portal, 5_000) == (0, wallet)


SWAPS = (
    ("/usage?period=2016-12", "#usage-report", "Resource", "#usage-by-group caption"),
    ("/usage?period=2016-12", "#usage-report", "January 2017", "#usage-report h2"),
    ("/rated-lines", "#line-list", "Next", "#line-list .pages p"),
    ("/rated-lines", "#line-list", "Amount", "#lines tbody tr"),
    ("/invoices", "#invoice-list", "Number", "#invoices tbody tr"),
    ("/invoices", "#invoice-list", "Credit notes", "#invoice-list .empty"),
    ("/refunds?state=done", "#refund-list", "All", "#refund-list .section-head"),
)


@pytest.mark.parametrize(("path", "region", "link", "witness"), SWAPS, ids=[f"{p} {name}" for p, _, name, _ in SWAPS])
def test_back_and_reload_after_a_swap_give_a_whole_page(
    tenant: Visitor, path: str, region: str, link: str, witness: str
) -> None:
    page = tenant.open(path)
    before_url, before = page.url, tenant.content()
    partials = len(tenant.partials)
    page.locator(region).get_by_role("link", name=re.compile(f"^{link}")).first.click()
    expect(page).not_to_have_url(before_url)
    expect(page.locator(witness).first).to_be_visible()
    assert len(tenant.partials) == partials + 1
    tenant.assert_whole_page()
    after_url, after = page.url, tenant.content()
    assert after != before
    page.reload()
    tenant.assert_whole_page()
    tenant.expect_content(after)
    page.go_back()
    expect(page).to_have_url(before_url)
    tenant.expect_content(before)
    tenant.assert_whole_page()
    page.go_forward()
    expect(page).to_have_url(after_url)
    tenant.expect_content(after)
    tenant.assert_whole_page()


def test_sign_in_works_by_keyboard_alone_and_lands_in_the_page(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    page = visitor.open("/sign-in")
    keys = page.keyboard
    for _ in range(8):
        if page.evaluate("document.activeElement.id") == "login":
            break
        keys.press("Tab")
    keys.type(OWNER)
    keys.press("Tab")
    keys.type(PASSWORD)
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Overview")
    keys.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip-link"
    keys.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    for _ in range(30):
        keys.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == "Add funds":
            break
    keys.press("Enter")
    expect(page.locator("h1")).to_have_text("Add funds")


def test_a_wrong_password_is_said_once_and_focused(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.expect_error(r"status of 422")
    page = visitor.open("/sign-in")
    page.get_by_label("E-mail address").fill("nobody@calla.example")
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not match")
    assert page.evaluate("document.activeElement.id") == "error-summary"


def test_a_viewer_is_not_offered_what_they_may_not_do(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.sign_in(VIEWER)
    page = visitor.page
    expect(page.get_by_role("link", name="Invoices").first).to_be_visible()
    expect(page.get_by_role("link", name="Add funds")).to_have_count(0)
    visitor.expect_error(r"status of 40[34]")
    for path in ("/add-funds", "/refunds/new", "/operator"):
        answer = page.goto(f"{visitor.base_url}{path}")
        assert answer is not None
        assert answer.status in (403, 404), path
        visitor.assert_whole_page()


def test_the_watcher_hears_what_must_never_happen(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    page = visitor.open("/sign-in")
    page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.injected = true";
        document.body.append(script);
        const image = document.createElement("img");
        image.src = "http://127.0.0.1:9/elsewhere.png";
        document.body.append(image);
        fetch("http://127.0.0.1:9/elsewhere").catch(() => {});
        }"""
    )
    for _ in range(50):
        if len(visitor.complaints) >= 3:
            break
        page.wait_for_timeout(100)
    told = "\n".join(visitor.complaints)
    assert "script-src" in told
    assert "img-src" in told
    assert "connect-src" in told
    assert page.evaluate("window.injected") is None
    visitor.complaints.clear()
