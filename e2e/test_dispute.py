"""Two top-ups are disputed: one is answered and won, one is accepted and lost; both stand on the tenant's statement."""

import re

from playwright.sync_api import expect

from e2e.conftest import NewVisitor
from e2e.server import APPROVER, OWNER
from e2e.visitor import Visitor

PAID = "70.00"


def test_a_dispute_is_answered_and_won_another_is_accepted_and_lost(new_visitor: NewVisitor) -> None:
    tenant, finance = new_visitor(has_script=True), new_visitor(has_script=True)
    tenant.sign_in(OWNER)
    finance.sign_in(APPROVER)
    finance.expect_error("status of 422.*/submit")  # the last look must be confirmed
    for _ in range(2):
        pays(tenant)
    tenant.menu("Balance")
    before = tenant.figure("Wallet")

    the_bank(finance, "Dispute: fraud", place=0)
    answers(finance)
    expect(finance.page.get_by_text("Won: the money is back")).to_be_visible()
    tenant.menu("Balance")
    assert tenant.figure("Wallet") == before
    is_told(tenant, "The payment stands", {"Held by the bank": "-70.00", "Given back by the bank": "+70.00"})

    the_bank(finance, "Dispute: nothing received", place=1)
    accepts(finance)
    expect(finance.page.locator("#case")).to_contain_text("Lost")
    tenant.menu("Balance")
    assert tenant.figure("Wallet") == before - 7_000
    is_told(tenant, "The bank has given the money back", {"Held by the bank": "-70.00", "Dispute settled": "+70.00"})


def pays(tenant: Visitor) -> None:
    """A top-up in the sandbox."""
    page = tenant.page
    tenant.menu("Add funds")
    page.get_by_label("Amount").fill(PAID)
    page.get_by_role("button", name="Continue").click()
    page.get_by_role("button", name=f"Pay USD {PAID}").click()
    page.get_by_role("button", name=f"Pay USD {PAID}").click()
    expect(page.get_by_text("Payment received")).to_be_visible()


def the_bank(finance: Visitor, act: str, *, place: int) -> None:
    """What the cardholder's bank does about one of the newest payments."""
    finance.open("/sandbox/bank")
    finance.page.get_by_role("button", name=act).nth(place).click()
    expect(finance.page.get_by_text("The bank has told the provider")).to_be_visible()


def newest(finance: Visitor) -> None:
    """The dispute that waits for us."""
    finance.open("/operator/disputes")
    finance.page.get_by_role("link", name=re.compile("Waiting for us 1")).click()
    expect(finance.page.locator("#disputes tbody tr")).to_have_count(1)
    finance.page.locator("#disputes tbody a").first.click()


def answers(finance: Visitor) -> None:
    """Evidence from our books, with the word by which the sandbox's bank decides for us; read once more, and sent for good."""
    page = finance.page
    newest(finance)
    page.get_by_role("link", name="Prepare evidence").click()
    page.get_by_role("button", name="Put together anew from our books").click()
    expect(page.get_by_text("Put together from our books.")).to_be_visible()
    expect(page.get_by_role("textbox", name="What we say")).to_have_value(re.compile("of the account's chain"))
    page.get_by_role("textbox", name="Why it is no duplicate").fill("winning_evidence")
    page.get_by_role("button", name="Review and submit").click()
    expect(page.locator("h1")).to_have_text("Submit the evidence")
    page.get_by_role("button", name="Submit to the bank, for good").click()
    expect(page.locator("#error-summary")).to_contain_text("Tick this when you have read it.")
    page.get_by_label("I have read it").check()
    page.get_by_role("button", name="Submit to the bank, for good").click()
    expect(page.get_by_text("The evidence is submitted.")).to_be_visible()


def accepts(finance: Visitor) -> None:
    """Given up for good."""
    page = finance.page
    newest(finance)
    page.get_by_role("link", name="Accept it").click()
    page.get_by_label("I have read it").check()
    page.get_by_role("button", name="Accept the dispute of USD 70.00").click()
    expect(page.get_by_text("The dispute is accepted.")).to_be_visible()


def is_told(tenant: Visitor, what: str, moved: dict[str, str]) -> None:
    """The newest dispute on the tenant's page, and its movements as on the statement."""
    page = tenant.page
    tenant.menu("Disputes")
    page.locator("#disputes tbody a").first.click()
    expect(page.get_by_text(what).first).to_be_visible()
    for title, held in moved.items():
        row = page.locator("#effect-table tbody tr", has=page.get_by_role("link", name=title))
        expect(row.locator("td").first).to_contain_text(held.replace("-", "−"))
    page.locator("#effect-table tbody a").first.click()
    expect(page.locator("h1")).to_contain_text("transaction")
