"""Issued documents become PDFs, once and for ever: rendered after issue outside any transaction, stored each in its own."""

import hashlib
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.invoicing import drafts, events
from billing.invoicing.documents import model, page, worker
from billing.invoicing.errors import RenderingFailed
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound, Refusal
from billing.storage.database import Database

_ACTOR = "job:documents"


def render_pending(database: Database, *, now: datetime, limit: int = 500, timeout_s: int = worker.TIMEOUT_S) -> int:
    """Render up to `limit` issued documents that have no PDF, each within `timeout_s`; how many were stored.

    A worker that dies holds up only the document it died on: the rest is rendered, then RenderingFailed names those that wait
    for the next run. Without pending documents no process is started.
    """
    with database.reading("jobs") as session:
        waiting = _waiting(session, limit)
    if not waiting:
        return 0
    done, failed, cause = 0, [], ""
    with worker.Printer(timeout_s=timeout_s) as printer:
        for invoice_id in waiting:
            try:
                done += _render(database, printer, invoice_id, now=now)
            except (worker.PrinterDied, Refusal) as error:
                failed.append(invoice_id)
                cause = cause or str(error)
    if failed:
        raise RenderingFailed(invoice_ids=", ".join(failed[:5]), rendered_count=done, cause=cause)
    return done


def render_one(database: Database, *, now: datetime, invoice_id: str) -> None:
    """Render one issued document if it has no PDF yet. Raises NotFound for a draft, PrinterDied."""
    with database.reading("jobs") as session:
        if invoice_id not in _waiting(session, 1, invoice_id):
            header = session.get(InvoiceHeader, invoice_id)
            if header is None or header.state != "issued":
                raise NotFound(invoice=invoice_id[:60])
            return
    with worker.Printer() as printer:
        _render(database, printer, invoice_id, now=now)


def _waiting(session: Session, limit: int, invoice_id: str | None = None) -> list[str]:
    is_made = exists().where(DocumentRow.invoice_id == InvoiceHeader.id, DocumentRow.format == "pdf")
    statement = select(InvoiceHeader.id).where(InvoiceHeader.state == "issued", ~is_made)
    if invoice_id is not None:
        statement = statement.where(InvoiceHeader.id == invoice_id)
    return list(session.scalars(statement.order_by(InvoiceHeader.issued_at, InvoiceHeader.id).limit(limit)))


def _render(database: Database, printer: worker.Printer, invoice_id: str, *, now: datetime) -> int:
    with database.reading("jobs") as session:
        header = session.get_one(InvoiceHeader, invoice_id)
        document, digest = model.from_snapshot(header.snapshot or {}), header.snapshot_hash
    if document.issued_on is None or digest is None:
        raise NotFound(invoice=invoice_id[:60])
    content = printer.to_pdf(page.to_html(document, snapshot_hash=digest), made_on=document.issued_on)
    with database.transaction("jobs") as session:
        header, _ = drafts.lock_header(session, invoice_id)
        if session.get(DocumentRow, (invoice_id, "pdf")) is not None:
            return 0  # another process was quicker; its bytes are the same
        sha256 = hashlib.sha256(content).hexdigest()
        session.add(DocumentRow(invoice_id=invoice_id, format="pdf", sha256=sha256, content=content, rendered_at=now))
        events.record(session, header, now=now, type="rendered", actor=_ACTOR, facts={"sha256": sha256})
    return 1
