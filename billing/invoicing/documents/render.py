"""Issued documents become files, once and for ever: made after issue outside any transaction, all formats stored in one.

A document from before there were other formats keeps the PDF that it has, byte for byte; what it lacks is added beside it.
"""

import hashlib
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.accounts import logos
from billing.invoicing import drafts, events
from billing.invoicing.documents import checks, cii, csv, en16931, files, fingerprints, model, page, ubl, worker
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid, RenderingFailed
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import NotFound, Refusal
from billing.storage.database import Database

_ACTOR = "job:documents"


def render_pending(
    database: Database,
    *,
    now: datetime,
    limit: int = 500,
    timeout_s: int = worker.TIMEOUT_S,
    verify_url: str | None = None,
) -> int:
    """Make the files of up to `limit` issued documents that lack some, each within `timeout_s`; how many were completed.

    A worker that dies holds up only the document it died on: the rest is rendered, then RenderingFailed names those that wait
    for the next run. Without pending documents no process is started. `verify_url` is printed: where a file can be verified.
    """
    with database.reading("jobs") as session:
        waiting = _waiting(session, limit)
    if not waiting:
        return 0
    done, failed, cause = 0, [], ""
    with worker.Printer(timeout_s=timeout_s) as printer:
        for invoice_id in waiting:
            try:
                done += _render(database, printer, invoice_id, now=now, verify_url=verify_url)
            except (worker.PrinterDied, Refusal) as error:
                failed.append(invoice_id)
                cause = cause or str(error)
    if failed:
        raise RenderingFailed(invoice_ids=", ".join(failed[:5]), rendered_count=done, cause=cause)
    return done


def render_one(database: Database, *, now: datetime, invoice_id: str, verify_url: str | None = None) -> None:
    """Make the files of one issued document that it lacks. Raises NotFound for a draft, PrinterDied."""
    with database.reading("jobs") as session:
        if invoice_id not in _waiting(session, 1, invoice_id):
            header = session.get(InvoiceHeader, invoice_id)
            if header is None or header.state != "issued":
                raise NotFound(invoice=invoice_id[:60])
            return
    with worker.Printer() as printer:
        _render(database, printer, invoice_id, now=now, verify_url=verify_url)


def _waiting(session: Session, limit: int, invoice_id: str | None = None) -> list[str]:
    is_complete = exists().where(DocumentRow.invoice_id == InvoiceHeader.id, DocumentRow.format == files.LAST)
    statement = select(InvoiceHeader.id).where(InvoiceHeader.state == "issued", ~is_complete)
    if invoice_id is not None:
        statement = statement.where(InvoiceHeader.id == invoice_id)
    return list(session.scalars(statement.order_by(InvoiceHeader.issued_at, InvoiceHeader.id).limit(limit)))


def _render(
    database: Database, printer: worker.Printer, invoice_id: str, *, now: datetime, verify_url: str | None
) -> int:
    with database.reading("jobs") as session:
        header = session.get_one(InvoiceHeader, invoice_id)
        document, digest = model.from_snapshot(header.snapshot or {}), header.snapshot_hash
        logo = logos.find(session, document.logo_sha256)
        has_pdf = session.get(DocumentRow, (invoice_id, "pdf")) is not None
    if document.issued_on is None or digest is None:
        raise NotFound(invoice=invoice_id[:60])
    made = _xml_files(document)
    if not has_pdf:
        made["pdf"] = printer.to_pdf(
            page.to_html(document, snapshot_hash=digest, verify_url=verify_url),
            made_on=document.issued_on,
            assets=page.assets_of(document, logo=logo.content if logo is not None else None),
            xml=made.get("xml"),
        )
    made["csv"] = csv.to_csv(document)
    return _store(database, invoice_id, made, now=now)


def _xml_files(document: InvoiceDocument) -> dict[str, bytes]:
    """Both syntaxes, or none: where the norm has no XML, and for a document from before `checks` that breaks a rule of it."""
    if en16931.absence(document) is not None:
        return {}
    try:
        checks.check(document)
    except DocumentInvalid:
        return {}
    return {"xml": cii.to_xml(document), "ubl": ubl.to_xml(document)}


def _store(database: Database, invoice_id: str, made: dict[str, bytes], *, now: datetime) -> int:
    with database.transaction("jobs") as session:
        header, _ = drafts.lock_header(session, invoice_id)
        if session.get(DocumentRow, (invoice_id, files.LAST)) is not None:
            return 0  # another process was quicker; its bytes are the same
        facts: dict[str, str] = {}
        for format, content in made.items():
            facts[format] = hashlib.sha256(content).hexdigest()
            row = DocumentRow(
                invoice_id=invoice_id, format=format, sha256=facts[format], content=content, rendered_at=now
            )
            session.add(row)
        session.flush()  # the PDF of an earlier version is among the document's files too
        stored = select(DocumentRow.sha256).where(DocumentRow.invoice_id == invoice_id).order_by(DocumentRow.format)
        for sha256 in session.scalars(stored).all():
            fingerprints.record(session, number=str(header.number), sha256=sha256)
        is_first = "pdf" in made
        events.record(
            session,
            header,
            now=now,
            type="rendered" if is_first else "formats_added",
            actor=_ACTOR,
            facts={"sha256": facts["pdf"], **facts} if is_first else facts,
        )
    return 1
