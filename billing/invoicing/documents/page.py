"""The document as HTML for the printer: Jinja alone, quick enough to be tried inside the issuing transaction."""

import unicodedata
from dataclasses import fields, is_dataclass, replace
from decimal import Decimal
from typing import Any

from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid
from billing.rendering import environment, formats, places


def to_html(document: InvoiceDocument, *, snapshot_hash: str) -> str:
    """The whole page. All text is escaped; fonts are named by the `asset:` scheme, which the worker alone knows."""
    return environment.render(
        "documents/invoice.html",
        doc=_cleaned(document),
        snapshot_hash=snapshot_hash,
        figure=figure,
        country=places.country,
        plural=_plural,
    )


def try_out(document: InvoiceDocument) -> None:
    """Render a document that is about to be issued, with its dummy number. Raises DocumentInvalid: no number is lost on it."""
    if not document.number or document.issued_on is None:
        raise DocumentInvalid(rule="BR-02")
    try:
        html = to_html(document, snapshot_hash="0" * 64)
    except Exception as error:
        raise DocumentInvalid(rule="rendering", cause=f"{type(error).__name__}: {error}"[:300]) from error
    if document.number not in html:
        raise DocumentInvalid(rule="BR-02")


def figure(text: str) -> str:
    """A plain decimal of the snapshot with its groups: "94439347.2" is "94,439,347.2"; no digit is lost."""
    return formats.quantity(Decimal(text), places=12)


def _plural(unit: str) -> str:
    return f"{unit[:-1]}ies" if unit.endswith("ry") else unit if unit.endswith("s") else f"{unit}s"


def _cleaned(value: Any) -> Any:
    """The same value with harmless text: no control characters, and none that turn the direction of what follows."""
    if isinstance(value, str):
        return "".join(" " if character in "\n\t" else character for character in value if not _is_hostile(character))
    if isinstance(value, tuple):
        return tuple(_cleaned(item) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{field.name: _cleaned(getattr(value, field.name)) for field in fields(value)})
    return value


def _is_hostile(character: str) -> bool:
    if character in "\n\t\u200c\u200d":  # joiners belong to several scripts
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
