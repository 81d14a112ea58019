"""No page of the portal is heavy: what a browser loads for it, compressed, is at most 100 kB and 25 kB of script."""

import gzip
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flask.testing import FlaskClient

from tests.web.pages import Page

STATIC = Path(__file__).resolve().parents[2] / "static"
MOST_PAGE, MOST_SCRIPT = 100_000, 25_000
TENANT = ("/", "/usage", "/rated-lines", "/balance", "/balance/explain", "/invoices", "/add-funds", "/refunds", "/budgets", "/budgets/new")  # fmt: skip
STAFF = ("/operator", "/operator/accounts", "/operator/refunds", "/operator/invoice-runs", "/operator/jobs")
EVERYBODY = ("/sign-in", "/style", "/no/such/page")


def weight(page: Page) -> tuple[int, int]:
    """(page with its styles, fonts and icons; its scripts), compressed, in bytes. Fonts count whole: they are compressed already."""
    held, scripts = len(gzip.compress(page.html.encode(), 6)), 0
    files = set()
    for element in page.root.iter():
        url = element.get("src") or element.get("href") if element.tag in ("script", "link", "use") else None
        if not url:
            continue
        files.add(STATIC / urlsplit(url).path.removeprefix("/static/"))
    for file in files:
        if file.suffix == ".js":
            scripts += _compressed(file)
        else:
            held += _compressed(file)
    return held, scripts


def test_every_page_is_light(client: FlaskClient, browser: Callable[..., FlaskClient]) -> None:
    visits = [(client, EVERYBODY), (browser("calla"), TENANT), (browser(staff="approver"), STAFF)]
    heavy = []
    for visitor, paths in visits:
        for path in paths:
            held, scripts = weight(Page(visitor.get(path)))
            assert scripts > 10_000, "the scripts were not found"
            assert held > 50_000, "the styles and fonts were not found"
            if held > MOST_PAGE or scripts > MOST_SCRIPT:
                heavy.append((path, held, scripts))
    assert heavy == []


def _compressed(path: Path) -> int:
    content = path.read_bytes()
    return len(content) if path.suffix == ".woff2" else len(gzip.compress(content, 6))
