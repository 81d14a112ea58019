"""A person at a browser: what they do, and what must never happen while they do it."""

import re
import subprocess
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from e2e.server import PASSWORD

# Reported by the page itself, beside what the console says.
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`CSP: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


class Visitor:
    """One browser context. `assert_calm` fails on any console error, CSP report, script error or request to elsewhere."""

    def __init__(self, context: BrowserContext, base_url: str, *, has_script: bool) -> None:
        self.has_script = has_script
        self.base_url = base_url
        self.complaints: list[str] = []
        self.partials: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        context.add_init_script(_REPORT_VIOLATIONS)
        context.on("console", self._on_console)
        context.on("weberror", lambda found: self.complaints.append(f"script error: {found.error}"))
        context.on("request", self._on_request)
        self.page: Page = context.new_page()

    def expect_error(self, pattern: str) -> None:
        """From now on a console line that matches is not a complaint: a refused form is logged by the browser."""
        self._expected.append(re.compile(pattern))

    def assert_calm(self) -> None:
        """Nothing that must not happen has happened."""
        found = [line for line in self.complaints if not any(known.search(line) for known in self._expected)]
        assert not found, "\n".join(found)

    def open(self, path: str) -> Page:
        """Go to a path of the portal; it must be a whole page with one h1."""
        answer = self.page.goto(f"{self.base_url}{path}")
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"
        self.assert_whole_page()
        return self.page

    def sign_in(self, login: str, password: str = PASSWORD) -> None:
        """Through the form."""
        self.open("/sign-in")
        self.page.get_by_label("E-mail address").fill(login)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("heading", level=1)).not_to_have_text("Sign in")

    def menu(self, label: str) -> None:
        """Choose an entry of the menu."""
        self.page.get_by_role("navigation", name="Main").get_by_role("link", name=label, exact=True).click()
        expect(self.page.get_by_role("heading", level=1)).to_be_visible()

    def figure(self, label: str) -> int:
        """The large figure of that label, in minor units."""
        value = self.page.locator(".figure").filter(has=self.page.get_by_text(label, exact=True)).locator("data")
        return int(value.first.get_attribute("value") or "")

    def fact(self, label: str) -> Locator:
        """The value beside a label in a list of facts."""
        return (
            self.page.locator(".key-values > div")
            .filter(has=self.page.locator("dt", has_text=re.compile(f"^{re.escape(label)}$")))
            .locator("dd")
        )

    def assert_whole_page(self) -> None:
        """The document is a page, not a part: a title, one h1, the stylesheet."""
        expect(self.page.locator("h1")).to_have_count(1)
        expect(self.page.locator("head link[rel=stylesheet]")).not_to_have_count(0)
        expect(self.page).to_have_title(re.compile(r"\S – Plumbline$"))

    def content(self) -> str:
        """What the page says, its white space evened out."""
        return re.sub(r"\s+", " ", self.page.locator("main").inner_text())

    def expect_content(self, wanted: str) -> None:
        """The page comes to say this: going back loads it anew."""
        for _ in range(100):
            if self.content() == wanted:
                return
            self.page.wait_for_timeout(100)
        assert self.content() == wanted

    def download(self, link: Locator) -> bytes:
        """What a link downloads."""
        with self.page.expect_download() as started:
            link.click()
        return started.value.path().read_bytes()

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"console {message.type}: {message.text} ({message.location.get('url', '')})")

    def _on_request(self, request: Request) -> None:
        if request.headers.get("hx-request"):
            self.partials.append(request.url)
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob") and f"{url.scheme}://{url.netloc}" != self.base_url:
            self.complaints.append(f"external request: {request.url}")


def text_of(pdf: bytes) -> str:
    """The text of a PDF as a reader sees it."""
    return subprocess.run(
        ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60
    ).stdout.decode()
