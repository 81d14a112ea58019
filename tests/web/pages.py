"""Pages as tests read them: parsed strictly, so that any page any test loads is checked for what every page must have."""

import re
from collections import Counter
from collections.abc import Iterator
from xml.etree.ElementTree import Element

import html5lib
from werkzeug.test import TestResponse

_LABELLED = ("input", "select", "textarea", "meter", "progress")
_UNLABELLED_TYPES = ("hidden", "submit", "button", "image", "reset")
# Attributes whose words are ids of the same page.
_REFERENCES = (
    "for",
    "aria-labelledby",
    "aria-describedby",
    "aria-controls",
    "aria-owns",
    "popovertarget",
    "list",
    "form",
)
_FETCHED = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src",
            "object": "data", "embed": "src", "use": "href", "image": "href", "input": "src"}  # fmt: skip
_SCRIPT_URL = re.compile(r"^[\s\x00-\x1f]*(javascript|vbscript|js|data:text)\s*:?", re.IGNORECASE)
_URL_ATTRIBUTES = ("href", "src", "action", "formaction", "data", "poster", "ping")


class Page:
    """One parsed answer. Building it checks the page's form: strict HTML, one h1, unique ids, labels, actions of forms."""

    def __init__(self, response: TestResponse, *, is_partial: bool = False, is_strict: bool = True) -> None:
        self.response, self.status = response, response.status_code
        self.html = response.get_data(as_text=True)
        parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
        self.root: Element = parser.parseFragment(self.html) if is_partial else parser.parse(self.html)
        self.faults = _faults(self, parser, is_partial)
        assert not (is_strict and self.faults), f"{response.request.path}: {self.faults}"

    @classmethod
    def read(cls, response: TestResponse) -> "Page":
        """The page with its faults noted, for whoever names them."""
        return cls(response, is_strict=False)

    @property
    def h1(self) -> str:
        """The words of the one heading."""
        return words(next(self.root.iter("h1")))

    @property
    def text(self) -> str:
        """All words of the page, white space folded."""
        return words(self.root)

    @property
    def csrf_token(self) -> str:
        """The token of its first form."""
        return next(field.get("value", "") for field in self.root.iter("input") if field.get("name") == "csrf_token")

    def links(self) -> dict[str, str]:
        """{words: href} of every link."""
        return {words(link): link.get("href", "") for link in self.root.iter("a")}

    def addresses(self) -> Iterator[tuple[str, str]]:
        """(method, address) of everywhere that a person or htmx can go from here, forms included."""
        for element in elements(self.root):
            if element.tag == "a" and element.get("href"):
                yield "GET", element.get("href", "")
            if element.tag == "form":
                yield element.get("method", "get").upper(), element.get("action", "")
            if element.get("formaction"):
                yield element.get("formmethod", "post").upper(), element.get("formaction", "")
            for method in ("get", "post", "put", "patch", "delete"):
                if element.get(f"hx-{method}"):
                    yield method.upper(), element.get(f"hx-{method}", "")

    def forms(self) -> list[Element]:
        """The forms of the main part that write."""
        return [
            form
            for main in self.root.iter("main")
            for form in main.iter("form")
            if form.get("method", "").lower() == "post"
        ]

    def find(self, element_id: str) -> Element | None:
        """The element of that id."""
        return next((element for element in elements(self.root) if element.get("id") == element_id), None)

    def rows(self, table_id: str) -> list[list[str]]:
        """The cells of a table's body, as words."""
        table = next(table for table in self.root.iter("table") if table.get("id") == table_id)
        return [
            [words(cell) for cell in row if cell.tag in ("td", "th")]
            for body in table.iter("tbody")
            for row in body.iter("tr")
        ]

    def form_values(self, index: int = -1) -> dict[str, str]:
        """The names and values that a form of the main part would send, hidden fields included."""
        return {
            field.get("name", ""): field.get("value", "") or (field.text or "")
            for tag in ("input", "textarea")
            for field in self.forms()[index].iter(tag)
            if field.get("name") and field.get("type") not in ("checkbox", "radio")
        }


def words(element: Element) -> str:
    """The text of an element with white space folded."""
    return re.sub(r"\s+", " ", "".join(element.itertext()).replace("\u00a0", " ")).strip()


def elements(root: Element) -> Iterator[Element]:
    """Every element below the root; comments are none."""
    return (element for element in root.iter() if isinstance(element.tag, str))


def _faults(page: Page, parser: html5lib.HTMLParser, is_partial: bool) -> list[str]:
    faults: list[str] = [f"html: {error}" for error in parser.errors if not is_partial]
    faults += _faults_of_ids(page, is_partial)
    if not is_partial:
        faults += _faults_of_frame(page)
    faults += _faults_of_names(page)
    faults += _faults_of_forms(page)
    for element in elements(page.root):
        faults += _active_content(element)
    return faults


def _faults_of_frame(page: Page) -> Iterator[str]:
    headings = list(page.root.iter("h1"))
    if len(headings) != 1:
        yield f"{len(headings)} h1"
    elif not words(headings[0]):
        yield "the h1 says nothing"
    title = next(page.root.iter("title"), None)
    if title is None or not words(title):
        yield "no title"
    if len(list(page.root.iter("main"))) != 1:
        yield "not one main"
    if not page.root.get("lang"):
        yield "no language"


def _faults_of_ids(page: Page, is_partial: bool) -> Iterator[str]:
    ids = Counter(element.get("id") for element in elements(page.root) if element.get("id") is not None)
    for name, count in ids.items():
        if count > 1:
            yield f"id {name!r} {count} times"
        if not name or re.search(r"\s", name):
            yield f"id {name!r} cannot be used"
    if is_partial:
        return
    for element in elements(page.root):
        for attribute in _REFERENCES:
            for name in (element.get(attribute) or "").split():
                if name not in ids:
                    yield f"{attribute} of {element.tag} names {name!r}, which is not here"


def _faults_of_names(page: Page) -> Iterator[str]:
    """Controls, buttons, links and pictures that a screen reader could not name."""
    targets = {label.get("for") for label in page.root.iter("label") if words(label)}
    wrapped = {id(field) for label in page.root.iter("label") for tag in _LABELLED for field in label.iter(tag)}
    for element in elements(page.root):
        told = element.get("aria-label") or element.get("aria-labelledby") or element.get("title")
        if element.tag in _LABELLED and element.get("type") not in _UNLABELLED_TYPES:
            if not (element.get("id") in targets or id(element) in wrapped or told):
                yield f"{element.tag} {element.get('name')!r} has no label"
        elif element.tag in ("button", "a", "summary") and not (words(element) or told or _has_named_picture(element)):
            yield f"{element.tag} {element.get('href') or element.get('name')!r} says nothing"
        elif element.tag == "img" and element.get("alt") is None:
            yield f"img {element.get('src')!r} has no alt"
        elif element.tag == "input" and element.get("type") == "submit" and not element.get("value"):
            yield "a submit button says nothing"


def _has_named_picture(element: Element) -> bool:
    return any(inner.get("alt") or inner.get("aria-label") for inner in elements(element)) or any(
        words(title) for title in element.iter("title")
    )


def _faults_of_forms(page: Page) -> Iterator[str]:
    for form in page.root.iter("form"):
        method, action = form.get("method", "").lower(), form.get("action")
        if method not in ("get", "post"):
            yield f"form {action!r} says no method"
        if not action:
            yield f"form {form.get('id')!r} says no action"
        if method == "post" and not any(field.get("name") == "csrf_token" for field in form.iter("input")):
            yield f"form {action!r} has no token"


def _active_content(element: Element) -> Iterator[str]:
    """Script and style that stand in the page itself, htmx that runs text, and anything fetched from elsewhere."""
    for name, value in element.attrib.items():
        if name.startswith(("on", "hx-on")):
            yield f"script on {element.tag}: {name}"
        if name == "style":
            yield f"inline style on {element.tag}"
        if name in _URL_ATTRIBUTES and _SCRIPT_URL.match(value):
            yield f"script in {name} of {element.tag}"
        if name.startswith("hx-") and re.search(r"(?i)\b(js|javascript):", value):
            yield f"script in {name} of {element.tag}"
    if element.tag == "script" and not (element.get("src") and element.get("nonce")):
        yield "a script without address or nonce"
    if element.tag == "style":
        yield "a style element"
    fetched = element.get(_FETCHED.get(element.tag, ""), "")
    if fetched and not re.match(r"/(?![/\\])|#|data:image/", fetched):
        yield f"{element.tag} fetches {fetched}"
    if element.get("target") == "_blank" and "noopener" not in (element.get("rel") or ""):
        yield f"link {element.get('href')!r} opens a window that can reach back"
