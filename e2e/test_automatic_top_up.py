"""A wallet is filled by itself: a person reads the words and agrees, the job charges the saved card, and it can be ended."""

from playwright.sync_api import expect

from e2e.conftest import NewVisitor
from e2e.server import OWNER
from e2e.visitor import Visitor


def test_a_person_agrees_and_the_wallet_fills_itself_until_it_is_ended(new_visitor: NewVisitor) -> None:
    tenant = new_visitor(has_script=False)
    tenant.sign_in(OWNER)
    page = tenant.page
    saves_a_card(tenant)
    tenant.menu("Balance")
    before = tenant.figure("Wallet")
    agrees(tenant, threshold="90000.00", amount="75.00", cap="100.00")
    # The job comes by within a minute of its own accord; the page is only looked at.
    for _look in range(40):
        page.reload()
        if page.locator("#attempts-table").count():
            break
        page.wait_for_timeout(2_000)
    expect(page.locator("#attempts-table tbody tr").first).to_contain_text("Paid")
    tenant.menu("Balance")
    assert tenant.figure("Wallet") - before == 7_500
    tenant.menu("Automatic payments")
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_label("Top up automatically when the balance is low").uncheck()
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name="Turn automatic payments off").click()
    expect(page.get_by_text("Automatic payments are off.")).to_be_visible()
    expect(page.locator("#consents details")).to_have_count(2)


def saves_a_card(tenant: Visitor) -> None:
    page = tenant.page
    tenant.menu("Payment methods")
    page.get_by_role("link", name="Add a payment method").first.click()
    page.get_by_role("button", name="Continue to the provider's page").click()
    page.get_by_label("Test card").select_option("4242")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Payment method saved")).to_be_visible()


def agrees(tenant: Visitor, *, threshold: str, amount: str, cap: str) -> None:
    """The figures, then the words with what they would have done, then the agreement."""
    page = tenant.page
    tenant.menu("Automatic payments")
    page.get_by_role("link", name="Change", exact=True).click()
    page.get_by_label("Top up automatically when the balance is low").check()
    page.get_by_label("When the balance falls below").fill(threshold)
    page.get_by_label("Add", exact=False).first.fill(amount)
    page.get_by_label("At most in a month").fill(cap)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_text("I authorise")).to_be_visible()
    page.get_by_role("button", name="Agree and turn on").click()
    expect(page.get_by_text("Automatic payments are set.")).to_be_visible()
