"""The gates in a real browser: every page of the route map, wide and narrow, light and dark, by keyboard, and after each swap."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Route

from e2e import looking, server
from e2e.visitor import Visitor
from tests.gates.walk import login_of_person
from tests.session import run_dir

_START_TIMEOUT_S = 60


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A page of the route map: its rule, a real address, and somebody who may open it."""

    rule: str
    url: str
    owner: str


@dataclass(frozen=True, kw_only=True)
class Gate:
    """The seeded world behind a port, its pages, and one signed-in visitor for each who opens them."""

    pages: list[Stop]
    visitor: Callable[[str], Visitor]


@pytest.fixture(scope="module")
def gate(browser: Browser, pytestconfig: pytest.Config) -> Iterator[Gate]:
    visitors: dict[str, Visitor] = {}
    with _served(pytestconfig.rootpath) as (base_url, pages):

        def visitor(who: str) -> Visitor:
            if who not in visitors:
                context = browser.new_context(viewport=looking.WIDE, reduced_motion="reduce")  # type: ignore[arg-type]
                context.set_default_timeout(15_000)
                visitors[who] = Visitor(context, base_url, has_script=True)
                if who != "anonymous":
                    visitors[who].sign_in(login_of_person(who))
            return visitors[who]

        yield Gate(pages=pages, visitor=visitor)
        for made in visitors.values():
            made.page.context.close()


@contextmanager
def _served(root: Path) -> Iterator[tuple[str, list[Stop]]]:
    port = server.free_port()
    ready, log = run_dir() / f"gates-{port}.json", run_dir() / f"gates-{port}.log"
    command = [sys.executable, "-m", "tests.gates.serve", str(port), str(run_dir())]
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=root, stdout=said, stderr=said)
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the gates' portal did not become ready:\n{log.read_text()}")
                time.sleep(0.1)
            pages = [Stop(rule=rule, url=url, owner=owner) for rule, url, owner in json.loads(ready.read_text())]
            yield f"http://127.0.0.1:{port}", pages
        finally:
            process.terminate()
            process.wait(timeout=20)
    assert "Traceback" not in log.read_text(), log.read_text()


def test_every_page_is_clean_wide_and_narrow_light_and_dark(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    faults = [fault for stop in gate.pages for fault in looking.look(gate.visitor(stop.owner), stop.url)]
    with capsys.disabled():
        print(f"\n{len(gate.pages)} pages walked, 4 looks each: {' '.join(stop.rule for stop in gate.pages)}")
    assert len(gate.pages) > 35
    assert not faults, "\n".join(faults)


def test_reload_and_back_after_each_swap_give_whole_pages(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    faults, asked = [], 0
    for stop in gate.pages:
        visitor = gate.visitor(stop.owner)
        before = len(visitor.partials)
        faults += looking.swaps(visitor, stop.url)
        asked += len(visitor.partials) > before
    with capsys.disabled():
        print(f"\n{asked} pages with swaps walked")
    assert asked >= 8
    assert not faults, "\n".join(faults)


INJECTED = (
    '<div hx-post="/sign-out" hx-trigger="load"></div>', '<div hx-get="/budgets" hx-trigger="load"></div>',
    '<div hx-get="/budgets" hx-trigger="load" hx-nonce=""></div>', '<div hx-get="/budgets" hx-trigger="load" hx-nonce="guess"></div>',
    '<div hx-get="/budgets" hx-trigger="load" nonce="guess"></div>', '<div data-hx-get="/budgets" data-hx-trigger="load"></div>',
    '<div hx-put="/budgets" hx-trigger="load"></div>', '<div hx-delete="/budgets" hx-trigger="load"></div>',
    '<div hx-patch="/budgets" hx-trigger="load"></div>', '<div hx-get="/budgets" hx-trigger="every 50ms"></div>',
    '<div hx-get="/budgets" hx-trigger="revealed"></div>', '<div hx-get="/budgets" hx-trigger="intersect"></div>',
    '<div hx-trigger="load" hx-on:load="fetch(1)" hx-get="/budgets"></div>', '<img src="x" hx-on:error="htmx.ajax(1)" hx-get="/budgets">',
    '<div hx-vals="js:{a:fetch(1)}" hx-get="/budgets" hx-trigger="load"></div>', '<div hx-action="/budgets" hx-method="get" hx-trigger="load"></div>',
    '<form hx-post="/sign-out" hx-trigger="load"><input name="a"></form>', '<div hx-boost="true"><a class="bait" href="/budgets">x</a></div>',
    '<div hx-sse="connect:/budgets"></div>', '<div hx-get="/budgets" hx-trigger="click" class="bait">x</div>',
    '<div hx-inherit="*" hx-get:inherited="/budgets"><b hx-trigger="load"></b></div>',
)  # fmt: skip
_INJECT = """
(markup) => {
  const place = document.createElement("div");
  place.id = "injected";
  place.innerHTML = markup;
  document.querySelector("main").append(place);
  htmx.process(place);
  place.querySelectorAll("div.bait").forEach((bait) => bait.click());
}
"""


def test_injected_markup_fires_no_request(gate: Gate) -> None:
    """Whoever could put markup into a page still moves nothing: htmx works only for elements with the nonce of the answer."""
    visitor = gate.visitor("owner")
    visitor.page.set_viewport_size(looking.WIDE)  # type: ignore[arg-type]
    visitor.open("/invoices")
    before = len(visitor.partials)
    for markup in INJECTED:
        visitor.page.evaluate(_INJECT, markup)
        visitor.page.wait_for_timeout(60)
        visitor.page.evaluate("document.getElementById('injected').remove()")
    visitor.page.wait_for_timeout(300)
    assert visitor.partials[before:] == []
    nonce = visitor.page.evaluate("document.querySelector('[hx-nonce]').getAttribute('hx-nonce')")
    visitor.page.evaluate(_INJECT, f'<div hx-get="/budgets" hx-trigger="load" hx-swap="none" hx-nonce="{nonce}"></div>')
    for _ in range(50):
        if len(visitor.partials) > before:
            break
        visitor.page.wait_for_timeout(100)
    assert len(visitor.partials) == before + 1  # the positive control: with the nonce it fires
    visitor.complaints.clear()


_SHELL = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>New – Plumbline</title>
<link rel="stylesheet" href="/static/plumbline.css"></head><body><main><h1>New</h1>{}</main></body></html>"""
_POLICY = "default-src 'self'; script-src 'nonce-abc'; style-src 'self'; img-src 'self' data:"
# body of the page -> the words in which the gate must name the fault
FAULTS = {
    "low contrast": ('<p><font color="#bbbbbb">Pale</font></p>', "axe: color-contrast"),
    "a field without label": ('<input name="q">', "axe: label"),
    "an inline script": ("<script>window.ran = 1</script>", "script-src"),
    "an external request": ('<img alt="" src="http://127.0.0.1:9/x.png">', "external request: http://127.0.0.1:9/x.png"),
    "a console error": ('<script nonce="abc">console.error("lost")</script>', "console error: lost"),
    "too wide": ('<table><tr><td><img alt="" width="700" height="2" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></table>', "px too wide"),
    "no keyboard": ('<p>x</p><a href="/a">a</a><button type="submit" tabindex="-1">Pay</button>', "'Pay' is not reached by Tab"),
    "no heading": (None, "not a whole page"),
}  # fmt: skip


@pytest.mark.parametrize(("body", "named"), FAULTS.values(), ids=list(FAULTS))
def test_a_new_page_with_a_fault_is_named(gate: Gate, body: str | None, named: str) -> None:
    visitor = gate.visitor("anonymous")
    html = _SHELL.format(body) if body is not None else "<!doctype html><html lang=en><title>x</title><p>x"

    def answer(route: Route) -> None:
        route.fulfill(body=html, content_type="text/html", headers={"Content-Security-Policy": _POLICY})

    visitor.page.route("**/new", answer)
    try:
        found = list(looking.look(visitor, "/new"))
    finally:
        visitor.page.unroute("**/new")
    assert any(fault.startswith("/new: ") and named in fault for fault in found), found
