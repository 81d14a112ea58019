"""The documents that mails bring: the stored PDF, the same bytes that anybody downloads."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing.tables import InvoiceDocument, InvoiceHeader
from billing.notices.topics import Topic
from billing.payments import receipt_files


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """A file of a mail."""

    name: str
    media_type: str
    content: bytes


class NotRendered(Exception):
    """The document is issued and not printed yet: the mail waits for it."""


def of_notice(session: Session, topic: Topic, payload: dict[str, Any]) -> Attachment | None:
    """The PDF that mails of the notice bring, None where its topic brings none.

    Raises NotRendered while it is not made, KeyError when the payload does not name it.
    """
    if topic.carries is None:
        return None
    found = _FINDERS[topic.carries](session, payload[topic.carries])
    if found is None:
        raise NotRendered()
    return found


def _invoice(session: Session, invoice_id: str) -> Attachment | None:
    row = session.execute(
        select(InvoiceHeader.number, InvoiceDocument.content)
        .join(InvoiceDocument, InvoiceDocument.invoice_id == InvoiceHeader.id)
        .where(InvoiceHeader.id == invoice_id, InvoiceDocument.format == "pdf")
    ).one_or_none()
    if row is None:
        return None
    return Attachment(name=f"{row.number}.pdf", media_type="application/pdf", content=row.content)


def _receipt(session: Session, receipt_id: str) -> Attachment | None:
    found = receipt_files.find_pdf(session, receipt_id)
    if found is None:
        return None
    return Attachment(name=found.file_name, media_type="application/pdf", content=found.content)


_FINDERS: dict[str, Callable[[Session, str], Attachment | None]] = {
    "invoice_id": _invoice,
    "credit_note_id": _invoice,
    "receipt_id": _receipt,
}
