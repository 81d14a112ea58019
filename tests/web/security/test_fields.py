"""Hostile words in every field of every form, and in every text of the API: no 5xx, and they come back as text or not at all."""

import csv
import io
from collections.abc import Iterator
from xml.etree.ElementTree import Element

from werkzeug.test import TestResponse

from tests.gates import answer_gates
from tests.gates.walk import Stop, Walk, form_of
from tests.session import is_full_depth
from tests.web.pages import Page, elements

_TEXT = ("text", "search", "email", "tel", "url", "password", "hidden", "number", "date")
_EACH = 12 if is_full_depth() else 4


def fields_of(form: Element) -> list[str]:
    """The names of what a person, or somebody in the middle, can put words into."""
    names = [
        control.get("name", "")
        for control in elements(form)
        if control.tag in ("textarea", "select")
        or (control.tag == "input" and control.get("type", "text") in (*_TEXT, "radio", "checkbox"))
    ]
    return [name for name in dict.fromkeys(names) if name and name != "csrf_token"]


def written_forms(walk: Walk) -> Iterator[tuple[Stop, list[str]]]:
    """Every form of every page with its fields."""
    for stop in walk.pages():
        found = form_of(walk.page(stop), stop)
        if found is not None:
            yield stop, fields_of(found)


def assert_harmless(answer: TestResponse, text: str, where: str, *, is_parsed: bool) -> None:
    assert answer.status_code < 500, (where, text)
    assert not answer_gates.reflected(answer, text), (where, text)
    assert not any("\n" in value or "\r" in value for value in answer.headers.values()), where
    if is_parsed and answer.mimetype == "text/html" and "<html" in answer.get_data(as_text=True):
        Page(answer)


def test_hostile_words_in_every_field_of_every_form_come_back_as_text(own_walk: Walk, naughty: list[str]) -> None:
    """The list goes round: each field takes the next few, and all of them have been somewhere."""
    marked = [text for text in naughty if any(sign in text for sign in "<>\"'{%`&\\\x00\r\n=")]
    place, fields = 0, 0
    for stop, names in list(written_forms(own_walk)):
        own = own_walk.fields(stop, stop.owner)
        for name in names:
            fields += 1
            for number in range(_EACH):
                text = marked[place % len(marked)]
                place += 1
                data = {"csrf_token": own_walk.token(stop.owner), **own, name: text}
                answer = own_walk.open(stop, method="POST", data=data)
                assert_harmless(answer, text, f"{name} of {stop}", is_parsed=number == 0)
                if stop.owner == "anonymous" or "Clear-Site-Data" in answer.headers:
                    own_walk.forget(stop.owner)
    assert fields > 25
    assert place >= len(marked)


def test_hostile_words_that_are_kept_stand_as_text_on_every_page(own_walk: Walk, naughty: list[str]) -> None:
    """Usage, allocations, budgets and refunds with hostile names; then every page that shows them, parsed strictly."""
    marked = [text for text in naughty if ("<" in text or "'" in text or "{" in text) and 0 < len(text) <= 120][:90]
    stops = {str(stop): stop for stop in own_walk.stops() if "POST" in stop.methods}
    ingest, allocation = stops["/api/v1/billing/usage:ingest"], stops["/api/v1/metering/allocations"]
    budget = stops["/budgets/new"]
    kept = 0
    for number, text in enumerate(marked):
        data = {
            "meter": "query",
            "quantity": 1,
            "project": text[:60],
            "submitter": text[:60],
            "resource": text,
            "tags": {"name": text},
        }
        answer = own_walk.send(ingest, more={"id": f"n{number}", "data": data})
        assert answer.status_code in (200, 422), text
        kept += answer.json.get("accepted", 0)
        if number % 4 == 0:
            more = {
                "event_id": f"a{number}",
                "allocation_id": f"a{number}",
                "resource": text,
                "name": text,
                "project": text[:60],
            }
            assert own_walk.send(allocation, more=more).status_code in (201, 422), text
            assert own_walk.send(budget, more={"name": text, "amount": "5.00"}).status_code in (303, 409, 422), text
    assert kept > len(marked) // 2
    seen = 0
    for stop in own_walk.pages():
        page = Page(own_walk.open(stop))
        assert page.status == 200, str(stop)
        # The preview of an e-mail stands in a frame that may do nothing at all.
        assert all(frame.get("sandbox") == "" for frame in page.root.iter("iframe")), str(stop)
        for tag in ("object", "embed", "marquee", "video", "audio", "base"):
            assert not list(page.root.iter(tag)), (str(stop), tag)
        pictures = list(page.root.iter("img"))  # sellers' logos, from our own address
        assert all((picture.get("src") or "").startswith("/operator/sellers/") for picture in pictures), str(stop)
        assert not any(name.startswith("on") for picture in pictures for name in picture.attrib), str(stop)
        assert all((script.get("src") or "").startswith("/static/") for script in page.root.iter("script"))
        seen += "&lt;" in page.html
    assert seen >= 3


def test_no_cell_of_a_csv_begins_a_formula(own_walk: Walk, naughty: list[str]) -> None:
    formulas = [
        "=1+1",
        "+1",
        "-1+1",
        "@SUM(A1)",
        "\t=1",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("http://evil.example","x")',
        *naughty[:100],
    ]
    ingest = next(stop for stop in own_walk.stops() if str(stop) == "/api/v1/billing/usage:ingest")
    for number, text in enumerate(formulas):
        data = {"meter": "query", "quantity": 1, "resource": text, "project": text[:60], "submitter": text[:60]}
        own_walk.send(ingest, more={"id": f"f{number}", "data": data})
    files = 0
    for stop in own_walk.stops():
        if stop.sample.mimetype != "text/csv":
            continue
        answer = own_walk.open(stop)
        assert answer.status_code == 200
        for row in csv.reader(io.StringIO(answer.get_data(as_text=True))):
            for cell in row:
                is_number = cell.lstrip("-").replace(".", "", 1).isdigit()
                assert is_number or not cell.startswith(("=", "+", "-", "@", "\t", "\r")), (str(stop), cell)
        files += 1
    assert files >= 1
