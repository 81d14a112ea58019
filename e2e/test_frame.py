"""The frame when things go wrong in a real browser: nothing typed is lost, nothing spins, focus and words lead the way."""

from datetime import UTC, datetime

from playwright.sync_api import expect

from billing.accounts import sessions, users
from e2e.conftest import NewVisitor
from e2e.server import OWNER, PASSWORD, Server


def end_sign_ins(portal: Server, login: str) -> None:
    """What the idle limit does, now."""
    with portal.database.transaction("jobs") as session:
        person = users.find_user_by_login(session, login)
        assert person is not None
        sessions.end_all(session, user_id=person.id, by="idle", now=datetime.now(UTC))


def test_what_was_typed_outlives_the_sign_in_and_is_sent_only_by_a_click(
    new_visitor: NewVisitor, portal: Server
) -> None:
    visitor = new_visitor()
    visitor.expect_error(r"status of (401|422)")
    visitor.sign_in(OWNER)
    page = visitor.open("/budgets/new")
    page.get_by_label("Name").fill("Größer 🚀 <b>")
    page.get_by_label("Amount").fill("not a number")
    end_sign_ins(portal, OWNER)
    page.get_by_role("button", name="Save the budget").click()
    expect(page.locator("h1")).to_have_text("You were signed out")
    page.get_by_label("E-mail address").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("h1")).to_have_text("Your entries are kept")
    expect(page.locator("main")).to_contain_text("Größer 🚀 <b>")
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Name")).to_have_value("Größer 🚀 <b>")
    assert page.evaluate("document.activeElement.id") == "error-summary"


def test_a_region_that_got_no_answer_stays_and_says_so(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.expect_error(r"status of 502|ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|Failed to fetch")
    visitor.sign_in(OWNER)
    page = visitor.open("/rated-lines")
    rows = page.locator("#lines tbody tr").count()
    assert rows
    alert = page.locator("#page-error [role=alert]")
    asked = "**/rated-lines?*"

    def apply_and_read(words: str) -> None:
        page.get_by_role("button", name="Apply").click()
        expect(alert).to_contain_text(words)
        expect(alert).to_be_focused()
        assert page.locator("#lines tbody tr").count() == rows
        expect(page.locator("[aria-busy=true], .htmx-request")).to_have_count(0)

    page.route(asked, lambda route: route.fulfill(status=502, content_type="text/html", body="<h1>Bad gateway</h1>"))
    apply_and_read("The server did not answer")
    page.unroute(asked)
    page.context.set_offline(True)
    apply_and_read("You are offline")
    page.context.set_offline(False)
    page.get_by_role("button", name="Apply").click()
    expect(alert).to_have_count(0)


def test_after_a_swap_the_heading_has_the_focus_and_the_status_says_how_much_there_is(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.sign_in(OWNER)
    page = visitor.open("/rated-lines")
    page.get_by_role("button", name="Apply").click()
    expect(page.locator("#status")).to_contain_text("Showing 1 to 50 of")
    assert page.evaluate("document.activeElement.hasAttribute('data-region-title')")


def test_the_persons_menu_opens_and_closes_by_keyboard(new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    visitor.sign_in(OWNER)
    page = visitor.open("/invoices")
    summary = page.locator(".user-menu summary")
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Your account")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Your account")).to_be_focused()
    page.keyboard.press("Escape")
    expect(summary).to_be_focused()
    expect(page.get_by_role("link", name="Your account")).to_be_hidden()
