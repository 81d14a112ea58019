"""What every answer carries and every page leads to: headers, parts, methods, links, parameters that nobody asked for."""

import json
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit
from xml.etree.ElementTree import Element, tostring

import time_machine
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

from portal.operator.messages import PREVIEW_POLICY
from tests.gates.walk import Stop, Walk
from tests.web.pages import Page, elements, words

_FIXED = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# Answers that hold nothing of anybody and may be kept and read from elsewhere: {rule: headers that differ on purpose}.
_FOR_EVERYBODY = {
    "/api/v1/openapi.json": {"Cache-Control": "public, max-age=300", "Cross-Origin-Resource-Policy": "cross-origin"}
}
_POLICY = {
    "default-src": "'self'",
    "style-src": "'self'",
    "frame-ancestors": "'none'",
    "base-uri": "'none'",
    "object-src": "'none'",
}
# Parameters that some list of the portal reads; each page gets all of them at once.
PARAMETERS = (
    "sort", "page", "q", "period", "group", "by", "grain", "currency", "state", "kind", "cursor", "before", "limit", "account",
    "from", "to", "zone", "meter", "project", "tag", "resource", "service", "amount", "invoice", "payment", "next", "allocation_id",
    "month", "order", "status", "action", "actor", "type", "since", "until", "compare", "name", "id", "subject", "locale",
)  # fmt: skip
SQL = tuple(json.loads((Path(__file__).parent / "sql_payloads.json").read_text()))
XSS = tuple(json.loads((Path(__file__).parent / "xss_payloads.json").read_text()))


def guarded(answer: TestResponse, rule: str = "") -> Iterator[str]:
    """What is missing of the headers that no answer may lack, and holes in its policy."""
    on_purpose = _FOR_EVERYBODY.get(rule, {}) if answer.status_code == 200 else {}
    for name, value in {**_FIXED, **on_purpose}.items():
        if answer.headers.get(name) != value:
            yield f"{name} is {answer.headers.get(name)!r}"
    if "Cookie" not in answer.headers.get("Vary", ""):
        yield f"Vary is {answer.headers.get('Vary')!r}"
    if not re.fullmatch(r"[A-Za-z0-9_-]{8,64}", answer.headers.get("X-Request-ID", "")):
        yield "no request id"
    for banner in ("X-Powered-By", "Via"):
        if banner in answer.headers:
            yield f"a banner: {banner}"
    if not answer.headers.get("Permissions-Policy"):
        yield "no Permissions-Policy"
    if answer.mimetype.startswith("text/") and answer.mimetype_params.get("charset", "").lower() != "utf-8":
        yield f"Content-Type is {answer.headers.get('Content-Type')!r}"
    yield from _holes(answer.headers.get("Content-Security-Policy", ""))


def _holes(text: str) -> Iterator[str]:
    if (
        text == PREVIEW_POLICY
    ):  # a mail in its frame: no script and nothing fetched at all, but the mail's own inline styles
        return
    policy = dict(part.strip().partition(" ")[::2] for part in text.split(";"))
    for name, value in _POLICY.items():
        if policy.get(name) != value:
            yield f"{name} of the policy is {policy.get(name)!r}"
    if not re.fullmatch(r"'nonce-[A-Za-z0-9_-]{20,}'", policy.get("script-src", "")):
        yield f"script-src is {policy.get('script-src')!r}"
    if not policy.get("form-action", "").startswith("'self'"):
        yield "form-action is open"
    if "unsafe" in text or "*" in text or "http:" in text:
        yield f"the policy has a hole: {text}"


def headers(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Every answer carries the headers: to its owner, to nobody, refused, by a method it does not take, of an unknown object."""
    for stop in stops:
        answers = [
            ("nobody", walk.open(stop, "anonymous", method=method)) for method in ("GET", "POST", "DELETE", "PUT")
        ]
        if "GET" in stop.methods:
            answers.append(("its owner", walk.open(stop)))
            answers.append(("htmx", walk.open(stop, headers={"HX-Request": "true"})))
        if stop.rule.arguments:
            answers.append(("an unknown object", walk.open(stop, url=_unknown(stop))))
        for whom, answer in answers:
            if answer.status_code >= 500:
                yield f"{stop}: {answer.status_code} to {whom}"
            yield from (f"{stop}: to {whom} ({answer.status_code}): {fault}" for fault in guarded(answer, str(stop)))


def nonces(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Scripts and htmx of a page carry the nonce of its own policy, and no two answers share one."""
    seen: set[str] = set()
    for stop in stops:
        if not stop.is_page:
            continue
        page = walk.page(stop)
        found = re.search(r"'nonce-([^']+)'", page.response.headers["Content-Security-Policy"])
        nonce = found[1] if found else ""
        if nonce in seen:
            yield f"{stop}: its nonce was used before"
        seen.add(nonce)
        for element in elements(page.root):
            is_active = element.tag == "script" or any(
                name.startswith("hx-") and name != "hx-nonce" for name in element.attrib
            )
            used = element.get("nonce") if element.tag == "script" else element.get("hx-nonce")
            if is_active and used != nonce:
                yield f"{stop}: {element.tag} has not the nonce of the answer"


def methods(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """HEAD is a GET without its body, OPTIONS names the methods, a writing route refuses GET, others are refused: 405."""
    allowed = _methods_of_rules(walk)
    for stop in stops:
        takes = allowed[stop.rule.rule]
        if "GET" in stop.methods:
            got, head = walk.open(stop), walk.open(stop, method="HEAD")
            if (head.status_code, head.data) != (got.status_code, b"") or head.mimetype != got.mimetype:
                yield f"{stop}: HEAD answers {head.status_code} {head.mimetype} with {len(head.data)} bytes"
        options = walk.open(stop, method="OPTIONS")
        if options.status_code not in (200, 204) or set(options.allow) != takes or options.data:
            yield f"{stop}: OPTIONS answers {options.status_code} {sorted(options.allow)}, not {sorted(takes)}"
        for method in ("GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"):
            if method in takes:
                continue
            status = walk.open(stop, method=method).status_code
            # Without a form's token a write may be told that first; nothing is said about the page either way.
            if status not in ((405,) if method in ("GET", "TRACE", "PROPFIND") or stop.is_machine else (405, 400)):
                yield f"{stop}: {status} to {method}, not 405"


def _methods_of_rules(walk: Walk) -> dict[str, set[str]]:
    allowed: dict[str, set[str]] = {}
    for stop in walk.stops():
        allowed.setdefault(stop.rule.rule, set()).update(stop.rule.methods or set())
    return allowed


def links(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """Every link, form and htmx request of a page leads to a route that exists and takes that method, within the portal."""
    adapter = walk.app.url_map.bind("localhost")
    for stop in stops:
        if not stop.is_page:
            continue
        for method, address in set(walk.page(stop).addresses()):
            parts = urlsplit(address)
            if parts.scheme in ("mailto", "tel") or (not parts.path and not parts.netloc):
                continue
            if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
                yield f"{stop}: leads to {address}"
                continue
            try:
                adapter.match(parts.path, method=method)
            except MethodNotAllowed:
                yield f"{stop}: {parts.path} does not take {method}"
            except RequestRedirect as detour:
                yield f"{stop}: {parts.path} only redirects to {detour.new_url}"
            except HTTPException:
                yield f"{stop}: {method} {parts.path} is no route"


def parts(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """What htmx gets is the region of the whole page, to the letter; `Vary` says that there are two answers."""
    for stop in stops:
        if not stop.is_page:
            continue
        with time_machine.travel(datetime.now(UTC), tick=False):
            whole, part = walk.open(stop), walk.open(stop, headers={"HX-Request": "true"})
        if part.status_code != whole.status_code:
            yield f"{stop}: {part.status_code} to htmx"
            continue
        if "<html" in part.get_data(as_text=True):
            continue
        if "HX-Request" not in whole.headers.get("Vary", "") or "HX-Request" not in part.headers.get("Vary", ""):
            yield f"{stop}: has a part and does not vary by HX-Request"
        read = Page(part, is_partial=True, is_strict=False)
        yield from (f"{stop}: part: {fault}" for fault in read.faults)
        roots = [element for element in read.root if isinstance(element.tag, str)]
        if len(roots) != 1 or not roots[0].get("id"):
            yield f"{stop}: its part is {len(roots)} elements, not one with an id"
            continue
        region = Page.read(whole).find(roots[0].get("id", ""))
        if region is None:
            yield f"{stop}: its part #{roots[0].get('id')} is not in the page"
        elif canonical(region) != canonical(roots[0]):
            yield f"{stop}: its part #{roots[0].get('id')} differs from the page"
        restored = walk.open(stop, headers={"HX-Request": "true", "HX-History-Restore-Request": "true"})
        if "<html" not in restored.get_data(as_text=True):
            yield f"{stop}: the history gets a part, not the page"


def requests_of_htmx(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """What an element asks for by htmx is a part whose root is the element that it replaces; without script there is a link or form."""
    for stop in stops:
        if not stop.is_page:
            continue
        page = walk.page(stop)
        seen: set[tuple[str, str]] = set()
        for element in elements(page.root):
            asked, target = element.get("hx-get"), (element.get("hx-target") or "").removeprefix("#")
            if asked is None or (asked, target) in seen:
                continue
            seen.add((asked, target))
            if page.find(target) is None:
                yield f"{stop}: hx-target #{target} is not in the page"
            is_poll = (element.get("hx-trigger") or "").startswith("every")
            if not is_poll and not (element.get("href") or element.get("action")):
                yield f"{stop}: {element.tag} with hx-get leads nowhere without script"
            if len(seen) > 12:
                break
            part = Page(walk.open(stop, url=asked, headers={"HX-Request": "true"}), is_partial=True, is_strict=False)
            roots = [root.get("id") for root in part.root if isinstance(root.tag, str)]
            if part.status != 200 or roots != [target]:
                yield f"{stop}: htmx asks {asked} for #{target} and gets {part.status} {roots}"


def canonical(region: Element) -> str:
    """The region as text, without what is new in every answer: nonce, form token, idempotency key, the clock's seconds."""
    text = tostring(region, encoding="unicode").strip()
    text = re.sub(r'(hx-nonce|nonce)="[^"]*"', "", text)
    text = re.sub(r'(name="(?:csrf_token|form_key)"[^>]* value=)"[^"]*"', r"\1", text)
    text = re.sub(r'(value=)"[^"]*"([^>]* name="(?:csrf_token|form_key)")', r"\1\2", text)
    text = re.sub(r"T\d\d:\d\d:\d\d(\.\d+)?", "", text)
    return re.sub(r"\s+", " ", re.sub(r"\d\d:\d\d:\d\d", "", text))


def unknown_parameters(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """A parameter that no page knows changes nothing but the links that carry it on."""
    for stop in stops:
        if not stop.is_page:
            continue
        odd_url = _with(stop.url, {"utm_source": "letter", "constructor": "1", "__proto__": "1"})
        with time_machine.travel(datetime.now(UTC), tick=False):
            plain, odd = Page.read(walk.open(stop)), Page.read(walk.open(stop, url=odd_url))
        if (odd.status, _said(odd)) != (200, _said(plain)):
            yield f"{stop}: unknown parameters change the page ({odd.status})"


def _said(page: Page) -> str:
    return words(next(page.root.iter("main")))


def hostile_parameters(walk: Walk, stops: Iterable[Stop]) -> Iterator[str]:
    """SQL and markup in every parameter: no 5xx, and nothing comes back unescaped.

    What reads parameters gets every third payload, beginning one further at each stop; the others one in twenty.
    """
    for place, stop in enumerate(stop for stop in stops if "GET" in stop.methods):
        step = 3 if _reads_parameters(walk, stop) else 20
        for payload in (*SQL, *XSS)[place % step :: step]:
            answer = walk.open(stop, url=_with(stop.url.partition("?")[0], dict.fromkeys(PARAMETERS, payload)))
            if answer.status_code not in (200, 302, 303, 400, 404, 422):
                yield f"{stop}: {answer.status_code} to {payload!r} in its parameters"
            if reflected(answer, payload):
                yield f"{stop}: {payload!r} comes back as markup"


def reflected(answer: TestResponse, payload: str) -> bool:
    """Whether a payload that means something in HTML stands in an HTML answer as it was sent."""
    is_markup = re.search(r"<[a-zA-Z/!]|[\"'] *on|[\"'] autofocus", payload) is not None
    return answer.mimetype == "text/html" and is_markup and payload in answer.get_data(as_text=True)


def _reads_parameters(walk: Walk, stop: Stop) -> bool:
    """Whether the page links to itself with parameters, has a search form, or is a list of the API or a file."""
    if not stop.is_page:
        return stop.is_machine or stop.sample.mimetype == "text/csv"
    path = stop.url.partition("?")[0]
    page = walk.page(stop)
    return any(
        method == "GET" and urlsplit(address).path == path and ("?" in address) for method, address in page.addresses()
    ) or any(
        form.get("method", "").lower() == "get" and urlsplit(form.get("action", "")).path == path
        for form in page.root.iter("form")
    )


def _with(url: str, parameters: dict[str, str]) -> str:
    path, _, query = url.partition("?")
    return f"{path}?{urlencode([*parse_qsl(query), *parameters.items()])}"


def _unknown(stop: Stop) -> str:
    """The address with an object that nobody has."""
    path = stop.url.partition("?")[0]
    for segment in sorted(path.split("/"), key=len, reverse=True)[:1]:
        path = path.replace(segment, "nobody-has-this")
    return path
