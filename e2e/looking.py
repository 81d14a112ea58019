"""What the gates look at on a page in the browser: axe, the console, requests, width, the keyboard, and the way back after a swap."""

from collections.abc import Iterator
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Locator, Page, expect

from e2e.visitor import Visitor

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# What axe says about colours; everything else that it says is the same in the dark.
OF_COLOUR = ["color-contrast", "link-in-text-block"]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 320, "height": 900}

_AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
_RUN = """
(options) => axe.run(document, {...options, resultTypes: ["violations"], elementRef: false}).then((results) =>
  results.violations.map((found) => `${found.id} (${found.nodes.length}): ${found.help}: ` +
    found.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ")))
"""
_MAIN_ACT = "main button[type=submit]:visible:not([disabled]), main a[role=button]:visible, main a.button:visible"
# Puts the focus on the last element before the act that takes it; Tab must lead from there to the act.
_FOCUS_BEFORE = """
(act) => {
  const before = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter(
    (element) => !element.disabled && element.type !== "hidden" && element.type !== "radio" && element.tabIndex >= 0 &&
      element.checkVisibility() && act.compareDocumentPosition(element) & Node.DOCUMENT_POSITION_PRECEDING).pop();
  if (before) before.focus(); else document.activeElement.blur();
}
"""
_SHOWS_FOCUS = """
(act) => {
  const style = getComputedStyle(act);
  return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0 || style.boxShadow !== "none";
}
"""


def look(visitor: Visitor, path: str) -> Iterator[str]:
    """All that is wrong with one page: one load, seen wide and narrow, light and dark."""
    visitor.complaints.clear()
    page = visitor.page
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.set_viewport_size(WIDE)
    answer = page.goto(f"{visitor.base_url}{path}")
    if answer is None or answer.status != 200:
        yield f"{path}: {answer.status if answer else 'no answer'}"
        return
    if page.locator("h1").count() != 1 or page.locator("head link[rel=stylesheet]").count() == 0:
        yield f"{path}: not a whole page"
    page.evaluate(_AXE)
    yield from (f"{path}: {fault}" for fault in _seen(page))
    yield from (f"{path}: keyboard: {fault}" for fault in _by_keyboard(page))
    yield from (f"{path}: {complaint}" for complaint in visitor.complaints)
    visitor.complaints.clear()


def _seen(page: Page) -> Iterator[str]:
    by_tags = {"runOnly": {"type": "tag", "values": TAGS}}
    by_colour = {"runOnly": {"type": "rule", "values": OF_COLOUR}}
    for size, scheme, options in (
        (WIDE, "light", by_tags),
        (WIDE, "dark", by_colour),
        (NARROW, "dark", by_colour),
        (NARROW, "light", by_tags),
    ):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        yield from (f"{size['width']} px, {scheme}: axe: {found}" for found in page.evaluate(_RUN, options))
        too_wide = page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth")
        if too_wide > 0:
            yield f"{size['width']} px: {too_wide} px too wide"


def _by_keyboard(page: Page) -> Iterator[str]:
    """The main act of the page takes the focus by Tab and shows it."""
    act = page.locator(_MAIN_ACT).first
    if act.count() == 0:
        return
    handle = act.element_handle()
    page.evaluate(_FOCUS_BEFORE, handle)
    for _ in range(7):  # the parts of a date field take it one after another
        page.keyboard.press("Tab")
        if page.evaluate("(act) => document.activeElement === act", handle):
            break
    if not page.evaluate("(act) => document.activeElement === act", handle):
        at = page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        yield f"{act.inner_text()!r} is not reached by Tab, which leads to {at}"
    elif not page.evaluate(_SHOWS_FOCUS, handle):
        yield f"{act.inner_text()!r} does not show that it has the focus"


def swaps(visitor: Visitor, path: str) -> Iterator[str]:
    """After a swap of each region: reload, back and forward give whole pages."""
    visitor.complaints.clear()
    page = visitor.page
    page.set_viewport_size(WIDE)
    page.goto(f"{visitor.base_url}{path}")
    for region in _regions(page):
        page.goto(f"{visitor.base_url}{path}")
        link = page.locator(f"a[hx-get][hx-target='#{region}']:visible").first
        before, asked = page.url, len(visitor.partials)
        if not _click(visitor, link, before):
            yield f"{path}: a link that replaces #{region} changes nothing"
            continue
        if len(visitor.partials) == asked:
            yield f"{path}: a link that replaces #{region} loads a whole page"
        for words, act in (("reload", page.reload), ("back", page.go_back)):
            act()
            try:
                visitor.assert_whole_page()
            except AssertionError:
                yield f"{path}: {words} after a swap of #{region} gives a part"
    yield from (f"{path}: {complaint}" for complaint in visitor.complaints)
    visitor.complaints.clear()


def _regions(page: Page) -> list[str]:
    """The regions that some link of the page replaces, links to the page as it stands left out."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("a[hx-get][hx-push-url='true']")].filter((link) => link.checkVisibility())
             .map((link) => link.getAttribute("hx-target").slice(1))"""
    )
    return list(dict.fromkeys(found))


def _click(visitor: Visitor, link: Locator, before: str) -> bool:
    """Whether the address changed, as every swap of a region changes it."""
    here = link.evaluate("(link) => link.href")
    link.click()
    if here == before:
        return True
    try:
        expect(visitor.page).not_to_have_url(before, timeout=5_000)
    except AssertionError:
        return False
    return True
