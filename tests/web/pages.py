"""Pages as tests read them: parsed strictly, so that any page any test loads is checked for what every page must have."""

import re
from collections import Counter
from xml.etree.ElementTree import Element

import html5lib
from werkzeug.test import TestResponse

_LABELLED = ("input", "select", "textarea")
_UNLABELLED_TYPES = ("hidden", "submit", "button", "image")


class Page:
    """One parsed answer. Building it checks the page's form: strict HTML, one h1, unique ids, labels, actions of forms."""

    def __init__(self, response: TestResponse, *, is_partial: bool = False) -> None:
        self.response, self.status = response, response.status_code
        self.html = response.get_data(as_text=True)
        parser = html5lib.HTMLParser(tree=html5lib.getTreeBuilder("etree"), namespaceHTMLElements=False)
        self.root: Element = parser.parseFragment(self.html) if is_partial else parser.parse(self.html)
        self.faults = _faults(self, parser, is_partial)
        assert not self.faults, f"{response.request.path}: {self.faults}"

    @property
    def h1(self) -> str:
        """The words of the one heading."""
        return words(next(self.root.iter("h1")))

    @property
    def text(self) -> str:
        """All words of the page, white space folded."""
        return words(self.root)

    def links(self) -> dict[str, str]:
        """{words: href} of every link."""
        return {words(link): link.get("href", "") for link in self.root.iter("a")}

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
        forms = [
            form
            for main in self.root.iter("main")
            for form in main.iter("form")
            if form.get("method", "").lower() == "post"
        ]
        return {
            field.get("name", ""): field.get("value", "") or (field.text or "")
            for tag in ("input", "textarea")
            for field in forms[index].iter(tag)
            if field.get("name") and field.get("type") not in ("checkbox", "radio")
        }


def words(element: Element) -> str:
    """The text of an element with white space folded."""
    return re.sub(r"\s+", " ", "".join(element.itertext()).replace("\u00a0", " ")).strip()


def _faults(page: Page, parser: html5lib.HTMLParser, is_partial: bool) -> list[str]:
    faults = [f"html: {error}" for error in parser.errors if not is_partial]
    ids = Counter(
        element.get("id") for element in page.root.iter() if isinstance(element.tag, str) and element.get("id")
    )
    faults += [f"id {name!r} {count} times" for name, count in ids.items() if count > 1]
    if not is_partial:
        headings = list(page.root.iter("h1"))
        faults += [] if len(headings) == 1 else [f"{len(headings)} h1"]
        title = next(page.root.iter("title"), None)
        faults += [] if title is not None and words(title) else ["no title"]
    targets = {label.get("for") for label in page.root.iter("label")}
    wrapped = {id(field) for label in page.root.iter("label") for tag in _LABELLED for field in label.iter(tag)}
    for tag in _LABELLED:
        for field in page.root.iter(tag):
            named = (
                field.get("id") in targets
                or field.get("aria-label")
                or field.get("aria-labelledby")
                or id(field) in wrapped
            )
            if field.get("type") not in _UNLABELLED_TYPES and not named:
                faults.append(f"{tag} {field.get('name')!r} has no label")
    for form in page.root.iter("form"):
        if form.get("method", "get").lower() == "post" and not any(
            f.get("name") == "csrf_token" for f in form.iter("input")
        ):
            faults.append(f"form {form.get('action')!r} has no token")
    for element in page.root.iter():
        if isinstance(element.tag, str) and (
            element.get("style") or any(name.startswith("on") for name in element.attrib)
        ):
            faults.append(f"inline style or script on {element.tag}")
    return faults
