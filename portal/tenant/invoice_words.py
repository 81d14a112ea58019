"""A document's lines as pages show them: the figures of the frozen model, in the reader's language."""

from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from flask import url_for

from billing.invoicing.documents.model import Conversion, InvoiceDocument, Line
from billing.rendering import formats
from portal import filters, unit_words
from portal.filters import reader_locale

_SHORT_UNIT = 16  # characters: a longer unit stands below its figure
CATEGORIES = {
    "S": "Standard rate",
    "Z": "Zero rate",
    "E": "Exempt",
    "AE": "Reverse charge",
    "K": "Intra-community supply",
    "G": "Export",
    "O": "Not subject to VAT",
}


def lines_of(document: InvoiceDocument) -> list[dict[str, Any]]:
    """Every line as it is printed, with the URL of the rated lines behind it."""
    return [_line(line, document) for line in document.lines]


def in_tax_currency(document: InvoiceDocument) -> str | None:
    """The VAT in the currency of the seller's tax office, with its rate; None where that is the document's own."""
    of = document.tax_currency
    if of is None:
        return None
    rate = formats.decimal(Fraction(of.rate_text), places=6, locale=reader_locale())
    on = filters.day(date.fromisoformat(of.rate_on))
    return (
        f"VAT in {of.currency}: {filters.money(of.tax_minor, of.currency)}. "
        f"1 {document.currency} {'' if rate.startswith('≈') else '= '}{rate} {of.currency}, published {on}."
    )


def notes_of(line: Line, currency: str) -> list[str]:
    """What else stands under a line: its days, where a converted amount comes from."""
    found = [_days(line), converted_words(line.converted, currency) if line.converted else None]
    return [one for one in found if one]


def _line(line: Line, document: InvoiceDocument) -> dict[str, Any]:
    base = Decimal(line.price_base_text)
    per = line.unit if base == 1 else f"{filters.quantity(base, places=12)} {unit_words.units(line.unit)}"
    beside = (
        f"≈ {filters.quantity(Decimal(line.beside_text))} {unit_words.units(line.priced_unit)}"
        if line.beside_text
        else ""
    )
    figure = filters.quantity(Decimal(line.quantity_text), places=12)
    unit = unit_words.units(line.unit, abs(Fraction(line.quantity_text)))
    is_long = len(unit) > _SHORT_UNIT
    return {
        "line": line,
        "quantity": figure if is_long else f"{figure} {unit}",
        "unit_below": unit if is_long else None,
        "beside": beside,
        "price": Decimal(line.unit_price_text),
        "per": per,
        "tax": filters.percent(line.tax_rate_bp) if line.tax_category == "S" else CATEGORIES.get(line.tax_category, ""),
        "notes": notes_of(line, document.currency),
        "evidence_url": _evidence_url(line),
    }


def _days(line: Line) -> str | None:
    if line.service_from_on is None or line.service_to_on is None:
        return None
    return formats.days(line.service_from_on, line.service_to_on, locale=reader_locale())


def converted_words(of: Conversion, currency: str) -> str:
    """Where a converted amount comes from: "USD 12.50 at ≈ 0.8951 EUR for 1 USD, published 30 Oct 2026"."""
    locale = reader_locale()
    amount = formats.with_code(
        formats.decimal(Fraction(of.amount_text), places=6, locale=locale), of.currency, locale=locale
    )
    rate = formats.decimal(Fraction(of.rate_text), places=6, locale=locale)
    on = filters.day(date.fromisoformat(of.rate_on))
    return f"{amount} at {rate} {currency} for 1 {of.currency}, published {on}"


def _evidence_url(line: Line) -> str | None:
    """Where a line leads: to the rated lines of its charge, or to the commitment that it sells or draws down."""
    if line.charge_id:
        return url_for("tenant.rated_lines", charge=line.charge_id)
    return url_for("tenant.plan", _anchor="commitments") if line.contract_id else None
