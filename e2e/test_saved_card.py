"""A card is saved, and pays; an address that claims success credits nothing; the page that waits shows the fact by itself."""

import re

import pytest
from playwright.sync_api import expect

from e2e.conftest import NewVisitor
from e2e.server import OWNER
from e2e.visitor import Visitor

PAID = "40.00"


@pytest.fixture
def tenant(new_visitor: NewVisitor) -> Visitor:
    """The owner of a tenant, signed in."""
    visitor = new_visitor(has_script=True)
    visitor.sign_in(OWNER)
    return visitor


def test_a_saved_card_pays_once_the_provider_says_so(tenant: Visitor) -> None:
    saves_a_card(tenant)
    tenant.menu("Balance")
    before = tenant.figure("Wallet")
    page = tenant.page
    begins(tenant)
    expect(page.get_by_label("Test card").locator("option").first).to_have_text("Saved: mastercard ending 4444")
    checkout_url = page.url
    page.get_by_role("button", name="Decline the card").click()
    expect(page.get_by_text("The card was declined")).to_be_visible()
    waits_at_a_forged_address(tenant)
    other = page.context.new_page()
    other.goto(checkout_url)
    other.get_by_role("button", name=f"Pay USD {PAID}").click()
    expect(other.locator("h1")).to_have_text(f"Payment of USD {PAID}")
    other.close()
    expect(page.get_by_text("Payment received")).to_be_visible()  # it looked again by itself
    tenant.fact("Payment").get_by_role("link").click()
    expect(tenant.fact("Paid with")).to_have_text("Mastercard ending 4444")
    tenant.menu("Balance")
    assert tenant.figure("Wallet") - before == 4_000
    abandons(tenant)
    tenant.menu("Balance")
    assert tenant.figure("Wallet") - before == 4_000


def saves_a_card(tenant: Visitor) -> None:
    """On the provider's page, and back to one that says it is saved."""
    page = tenant.page
    tenant.menu("Payment methods")
    page.get_by_role("link", name="Add a payment method").first.click()
    page.get_by_role("button", name="Continue to the provider's page").click()
    page.get_by_label("Test card").select_option("4444")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Payment method saved")).to_be_visible()
    page.get_by_role("link", name="See payment methods").click()
    expect(page.locator("#method-list tbody tr").first).to_contain_text("Mastercard ending 4444")
    expect(page.locator("#method-list tbody tr").first).to_contain_text("Default")


def begins(tenant: Visitor) -> None:
    """Up to the provider's page."""
    page = tenant.page
    tenant.menu("Add funds")
    page.get_by_label("Amount").fill(PAID)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=f"Pay USD {PAID}").click()
    expect(page.locator("h1")).to_have_text("Sandbox checkout")


def waits_at_a_forged_address(tenant: Visitor) -> None:
    """The address of the return page, typed by hand with every word of success: it waits, and credits nothing."""
    page = tenant.page
    tenant.open("/add-funds")
    page.locator("#waiting-list tbody a").first.click()
    address = re.sub(r"\?.*", "", page.url)
    page.goto(f"{address}?success=true&redirect_status=succeeded&payment_status=paid")
    expect(tenant.fact("State")).to_have_text("Open")
    expect(page.get_by_text("This page looks again by itself")).to_be_visible()


def abandons(tenant: Visitor) -> None:
    """Leaves the provider's page for good."""
    begins(tenant)
    tenant.page.get_by_role("button", name="Abandon").click()
    expect(tenant.page.get_by_text("Not paid in time")).to_be_visible()
