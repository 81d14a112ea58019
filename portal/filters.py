"""Template filters: billing.rendering.formats in the reader's language and zone, and a few words."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import lru_cache
from pathlib import Path

from flask import Flask, g, has_request_context, request, url_for
from markupsafe import Markup, escape

from billing.rendering import formats
from billing.rendering.numbers import NBSP, Exact, MoneyLike
from portal.navigation import page_numbers, url_with

_STATIC = Path(__file__).resolve().parents[1] / "static"
_CELL = re.compile(r"<(?:tr|td|th)\b[^>]*>")
_COLSPAN = re.compile(r'colspan="?(\d+)')
LOCALES = ("en", "de", "fr", "ja")


def reader_locale() -> str:
    """How figures and dates are written on this page: as the signed-in person chose, else as the browser asks, else English.

    The words of the pages are English, so `<html lang>` stays "en"; the macros mark dates in another language where they stand.
    """
    if "locale" not in g or not g.locale:
        asked = request.accept_languages.best_match(LOCALES) if has_request_context() else None
        g.locale = asked or "en"
    return str(g.locale)


def words_lang() -> str | None:
    """The language of a formatted date where it is not the page's own, for its `lang` attribute."""
    return None if reader_locale() == "en" else reader_locale()


def reader_zone() -> str:
    """The zone in which the page shows instants: the billing account's, else UTC."""
    return str(g.get("zone") or "UTC")


def money(value: int | MoneyLike, currency: str | None = None, signed: bool = False) -> str:
    """Minor units with their currency, or a Money."""
    if isinstance(value, int):
        if currency is None:
            raise TypeError("an amount in minor units needs its currency")
        return formats.money(value, currency, locale=reader_locale(), signed=signed)
    return formats.of(value, locale=reader_locale(), signed=signed)


def amount(minor: int, currency: str, signed: bool = False) -> str:
    """The figure without its code, for columns whose heading names the currency."""
    return formats.amount(minor, currency, locale=reader_locale(), signed=signed)


def micro(amount_micro: int, currency: str) -> str:
    """An exact amount in millionths of a minor unit."""
    return formats.micro(amount_micro, currency, locale=reader_locale())


def unit_price(price: Exact, currency: str) -> str:
    """A price per unit in major units."""
    return formats.unit_price(price, currency, locale=reader_locale())


def unit_price_pico(pico: int, currency: str) -> str:
    """A stored price per unit."""
    return formats.unit_price_pico(pico, currency, locale=reader_locale())


def quantity(value: Exact, places: int = 4, trim: bool = True) -> str:
    """A quantity, "≈" before one that was rounded."""
    return formats.quantity(value, places=places, trim=trim, locale=reader_locale())


def integer(value: int) -> str:
    """A whole number with its groups."""
    return formats.integer(value, locale=reader_locale())


def percent(basis_points: int) -> str:
    """A rate in basis points."""
    return formats.percent(basis_points, locale=reader_locale())


def share(part: Exact, whole: Exact, places: int = 0) -> str:
    """A part of a whole in percent."""
    return formats.share(part, whole, places=places, locale=reader_locale())


def file_size(size_bytes: int) -> str:
    """Bytes in kB, MB, GB."""
    return formats.file_size(size_bytes, locale=reader_locale())


def day(on: date, long: bool = False) -> str:
    """A date."""
    return formats.day(on, locale=reader_locale(), long=long)


def day_of_year(on: date) -> str:
    """A date without its year, which a heading says."""
    return formats.day_of_year(on, locale=reader_locale())


def axis_money(minor: Exact, currency: str) -> str:
    """An amount beside the axis of a chart."""
    return formats.axis_money(minor, currency, locale=reader_locale())


def days(first_on: date, last_on: date) -> str:
    """A range of days, both inclusive."""
    return formats.days(first_on, last_on, locale=reader_locale())


def month_name(on: date) -> str:
    """The month of a date."""
    return formats.month(on, locale=reader_locale())


def instant(at: datetime, zone: str | None = None, seconds: bool = False) -> str:
    """An instant with its zone named."""
    return formats.instant(at, zone=zone or reader_zone(), locale=reader_locale(), seconds=seconds)


def clock(at: datetime, zone: str | None = None, seconds: bool = False) -> str:
    """The time of day of an instant, zone named."""
    return formats.clock(at, zone=zone or reader_zone(), seconds=seconds)


def period(start_at: datetime, end_at: datetime, zone: str | None = None, name_zone: bool = False) -> str:
    """A half-open window in words."""
    return formats.period(start_at, end_at, zone=zone or reader_zone(), locale=reader_locale(), name_zone=name_zone)


def duration(seconds: int) -> str:
    """A length of time in its two largest units."""
    return formats.duration(seconds, locale=reader_locale())


def age(seconds: int) -> str:
    """How old something is, in its largest unit."""
    return formats.age(seconds, locale=reader_locale())


def ago(seconds: int) -> str:
    """How long ago something was, in its largest unit."""
    return formats.ago(seconds, locale=reader_locale())


def plural(count: int, one: str, many: str) -> str:
    """A count with its noun: 1|plural("invoice", "invoices") is "1 invoice"."""
    return f"{integer(count)}{NBSP}{one if count == 1 else many}"


def slug(text: str) -> str:
    """Words as part of an id: "By project" is "by-project"."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-") or "x"


def cell_labels(rows: Markup, columns: Sequence[Mapping[str, object]]) -> Markup:
    """The rows of a table, each cell with its column's heading in `data-label`: what stands beside it where rows are stacked.

    Cells that bring their own label keep it. Works on our own escaped markup, in which `<td` is only ever a tag.
    """
    labels = [escape("" if column.get("hidden") else column["label"]) for column in columns]
    at = 0

    def label(found: re.Match[str]) -> str:
        nonlocal at
        tag = found.group()
        if tag.startswith("<tr"):
            at = 0
            return tag
        span = _COLSPAN.search(tag)
        here, at = at, at + (int(span.group(1)) if span else 1)
        if tag.startswith("<th") or "data-label" in tag or here >= len(labels) or not labels[here]:
            return tag
        return f'<td data-label="{labels[here]}"{tag[3:]}'

    return Markup(_CELL.sub(label, rows))  # noqa: S704 - the labels are escaped, the rest was markup before


def asset(name: str) -> str:
    """The URL of a static file, with a hash of its content so that browsers may keep it for ever."""
    return url_for("static", filename=name, v=_digest(_STATIC / name))


@lru_cache(maxsize=256)
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:10]


_FILTERS = (
    money, amount, micro, unit_price, unit_price_pico, quantity, integer, percent, share, file_size, day, days, month_name,
    instant, clock, period, duration, age, ago, plural, slug, cell_labels,
)  # fmt: skip


def register_filters(app: Flask) -> None:
    """Give templates the filters above, `iso`, and the globals `asset`, `url_with` and `page_numbers`."""
    for function in _FILTERS:
        app.add_template_filter(function)
    from portal import tax_words  # it writes figures with the filters above

    app.add_template_filter(formats.iso, "iso")
    app.add_template_filter(tax_words.why, "why_tax")
    app.jinja_env.globals.update(asset=asset, url_with=url_with, page_numbers=page_numbers, words_lang=words_lang)
