"""The files of an issued document by their format: names, media types, and the stored bytes, the same for ever."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from billing.invoicing import invoices
from billing.invoicing.documents import en16931, model
from billing.invoicing.errors import NoElectronicInvoice
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format: the end of the file's name, its media type, and what it is called."""

    ending: str
    media_type: str
    label: str


FORMATS = {
    "pdf": Format(ending=".pdf", media_type="application/pdf", label="PDF"),
    "xml": Format(ending=".xml", media_type="application/xml", label="XML (Factur-X, CII)"),
    "ubl": Format(ending="-ubl.xml", media_type="application/xml", label="XML (UBL)"),
    "csv": Format(ending=".csv", media_type="text/csv", label="CSV"),
}
# Stored in the transaction that makes a document's files complete: a document without it has something missing.
LAST = "csv"


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """Rendered bytes with their SHA-256."""

    format: str
    content: bytes
    sha256: str
    file_name: str
    media_type: str


def find(session: Session, *, key: str, format: str, account_id: str | None = None) -> StoredFile | None:
    """A file of an issued document by id or number; None while it waits for the renderer.

    Raises NotFound for a draft, another account's document and an unknown format, NoElectronicInvoice where there will be none.
    """
    known, invoice_id = FORMATS.get(format), invoices.find_id(session, key)
    header = session.get(InvoiceHeader, invoice_id) if invoice_id else None
    if known is None or header is None or header.number is None or account_id not in (None, header.billing_account_id):
        raise NotFound(invoice=key[:60])
    row = session.get(DocumentRow, (header.id, format))
    if row is None:
        if session.get(DocumentRow, (header.id, LAST)) is not None:
            why = en16931.absence(model.from_snapshot(header.snapshot or {}))
            raise NoElectronicInvoice(invoice=header.number, why=why or "rules")
        return None
    return StoredFile(
        format=format,
        content=row.content,
        sha256=row.sha256,
        file_name=f"{header.number}{known.ending}",
        media_type=known.media_type,
    )
