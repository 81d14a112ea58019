"""The document as HTML for the printer: Jinja alone, quick enough to be tried inside the issuing transaction."""

from decimal import Decimal

from billing.invoicing.documents.harmless import cleaned
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid
from billing.rendering import environment, formats, places


def to_html(document: InvoiceDocument, *, snapshot_hash: str) -> str:
    """The whole page. All text is escaped; fonts are named by the `asset:` scheme, which the worker alone knows."""
    return environment.render(
        "documents/invoice.html",
        doc=cleaned(document),
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
