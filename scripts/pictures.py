#!/usr/bin/env python3
"""Take the README's pictures anew: the demo cloud in a scratch database, the real portal, Chromium.

.venv/bin/python scripts/pictures.py
"""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from billing.demo.tenants import PASSWORD  # noqa: E402  the checkout is on the path only now
from billing.storage.database import DatabaseUrls  # noqa: E402
from e2e import server  # noqa: E402
from e2e.visitor import Visitor  # noqa: E402

PICTURES = ROOT / "docs" / "pictures"
LOGIN = "ada@northwind.example"
WIDTH = 1280
_COLOURS = 96  # flat pages need no more, and the files stay small


def main() -> None:
    """Load the demo, serve it, and take each picture."""
    with tempfile.TemporaryDirectory() as scratch:
        urls = DatabaseUrls(web=f"sqlite:///{scratch}/demo.db")
        for words in (("db", "upgrade"), ("demo",)):
            _plumbline(urls, *words)
        with server.running(urls, Path(scratch) / "server.log") as portal, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path="/usr/bin/chromium",
                args=["--disable-gpu", "--disable-dev-shm-usage"] + (["--no-sandbox"] if os.geteuid() == 0 else []),
            )
            context = browser.new_context(viewport={"width": WIDTH, "height": 900}, color_scheme="light", locale="en")
            visitor = Visitor(context, portal.base_url, has_script=True)
            visitor.sign_in(LOGIN, PASSWORD)
            for name, go_there in (("overview", _overview), ("rated-line", _rated_line)):
                go_there(visitor)
                _take(visitor.page, PICTURES / f"{name}.png")
            visitor.assert_calm()
            browser.close()


def _overview(visitor: Visitor) -> None:
    """The tenant's first page, down to what runs now."""
    page = visitor.open("/")
    _size(page, page.locator("#running"))


def _rated_line(visitor: Visitor) -> None:
    """A line of a GPU run in a month that is invoiced, with its formula and where it leads."""
    page = visitor.open("/invoices")
    page.locator("#invoices tbody tr a").first.click()
    page.locator("#invoice-lines tr", has_text="GPU time").first.get_by_role("link", name="Rated lines").click()
    page.locator("#lines tbody tr a").first.click()
    page.locator("#derivation").wait_for()
    _size(page, page.locator("#evidence"))


def _size(page: Page, last: Locator) -> None:
    """Make the window end below that section."""
    box = last.bounding_box()
    if box is None:
        raise RuntimeError("the page has no such section")
    page.set_viewport_size({"width": WIDTH, "height": int(box["y"] + box["height"]) + 24})


def _take(page: Page, path: Path) -> None:
    page.evaluate("document.activeElement.blur()")
    page.evaluate("window.scrollTo(0, 0)")
    path.parent.mkdir(exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot()))
    picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    print(f"{path.relative_to(ROOT)}  {picture.width} x {picture.height}, {path.stat().st_size // 1024} KB")


def _plumbline(urls: DatabaseUrls, *words: str) -> None:
    command = [str(Path(sys.executable).with_name("plumbline")), *words]
    subprocess.run(command, env={**os.environ, "DATABASE_URL": urls.web}, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
