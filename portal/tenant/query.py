"""What a page's URL says. The state of a page lives there: unknown parameters are ignored, invalid ones fall back with a notice,
or refuse a file."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date

from flask import abort, request

from billing.accounts import names
from billing.kernel.errors import Invalid
from portal.navigation import url_with

MAX_PAGE = 1_000_000
_MAX_TEXT = 200


@dataclass
class Query:
    """The parameters of one request; `notices` says in sentences which could not be used."""

    notices: list[str] = field(default_factory=list)

    def choice(self, name: str, choices: Collection[str], default: str, *, word: str | None = None) -> str:
        """One of the choices; `word` is what the parameter is called where its name says too little."""
        value = request.args.get(name, "")
        if value == "" or value in choices:
            return value or default
        self.notices.append(f"There is no {word or name} “{names.shown(value)}”: it was left out.")
        return default

    def text(self, name: str) -> str | None:
        """Free text to compare with, None where it is absent or empty."""
        value = request.args.get(name, "")
        if value and (len(value) > _MAX_TEXT or not names.is_safe(value)):
            self.notices.append(f"The {name.replace('_', ' ')} could not be read: it was left out.")
            return None
        return value or None

    def day(self, name: str) -> date | None:
        """A date such as 2026-11-21."""
        value = request.args.get(name, "")
        if not value:
            return None
        try:
            found = date.fromisoformat(value) if len(value) == 10 else None
        except ValueError:
            found = None
        if found is None or not 1970 <= found.year <= 2200:
            self.notices.append(f"“{names.shown(value)}” is not a date such as 2026-11-21: it was left out.")
            return None
        return found

    def refuse_unusable(self) -> None:
        """For a file, which has no place for notices: raise Invalid (no_such_file) where a parameter could not be used."""
        if self.notices:
            words = " ".join(f"{notice.rpartition(': ')[0] or notice}." for notice in self.notices)
            raise Invalid(field="address", words=words, reason="no_such_file")

    def page(self) -> int:
        """The number of the page, from 1."""
        value = request.args.get("page", "1")
        if value.isascii() and value.isdigit() and 1 <= len(value) <= 7 and 1 <= int(value) <= MAX_PAGE:
            return int(value)
        self.notices.append("There is no such page: this is the first one.")
        return 1

    def sort(self, keys: Collection[str], default: str) -> str:
        """A sort key, with "-" in front for falling."""
        value = request.args.get("sort", "")
        if not value or value.removeprefix("-") in keys:
            return value or default
        self.notices.append(f"The list cannot be sorted by “{names.shown(value)}”: it was left out.")
        return default


def chip(name: str, value: str, *parameters: str) -> dict[str, str]:
    """A filter in force, with the URL that takes it away."""
    return {"name": name, "value": value, "remove": url_with(**dict.fromkeys((*parameters, "page")))}


def option(label: str, is_current: bool, **changes: object) -> dict[str, object]:
    """One choice of a switch: its words, the URL that makes it, whether it is in force."""
    return {"label": label, "url": url_with(**changes, page=None), "current": is_current}


def path_key(text: str) -> str:
    """An id or number from a URL's path, or 404 for one that can name nothing."""
    if len(text) > 100 or not names.is_safe(text):
        abort(404)
    return text


def last_page(page: int, size: int, total: int) -> int:
    """The page to show: the last one where the asked one lies behind the end."""
    return max(1, min(page, -(-total // size)))
