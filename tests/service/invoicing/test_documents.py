"""Issued documents become PDFs once; whatever dies in between, they come out whole."""

import hashlib
import io

import pypdf
import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from billing.invoicing import credit_notes, invoices
from billing.invoicing.documents import model, page, render, worker
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import RenderingFailed
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceEvent
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.invoicing.world import NOW, Use


def _document(database: Database, key: str) -> tuple[InvoiceDocument, str]:
    with database.reading() as session:
        detail = invoices.get_invoice(session, now=NOW, key=key)
    assert detail.snapshot_hash is not None
    return detail.document, detail.snapshot_hash


def _text(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(content)).pages).split())


def test_issued_documents_are_rendered_once_with_their_hash_and_their_figures(database: Database) -> None:
    account_id = world.open_account(database, price="1.00")
    world.used(database, account_id, Use(130, "lab"))
    world.top_up(database, account_id, 10_000)
    header = world.issued(database, account_id)
    with database.transaction() as session:
        credit_notes.credit(session, now=NOW, invoice_id=header.id, reason="Outage", actor="u", amount_minor=6_000)
    assert render.render_pending(database, now=NOW) == 2
    assert render.render_pending(database, now=NOW) == 0
    with database.reading() as session:
        invoice = invoices.find_pdf(session, invoice_id="INV-2026-000001")
        note = invoices.find_pdf(session, invoice_id="CN-2026-000001")
        rendered = session.scalars(select(InvoiceEvent).where(InvoiceEvent.type == "rendered")).all()
    assert invoice is not None
    assert note is not None
    assert invoice.sha256 == hashlib.sha256(invoice.content).hexdigest()
    assert invoice.file_name == "INV-2026-000001.pdf"
    assert len(rendered) == 2
    words = _text(invoice.content)
    for figure in (
        "INV-2026-000001",
        "Calla Labs GmbH",
        "130.00",
        "24.70",
        "154.70",
        "−100.00",
        "54.70",
        "Project lab",
    ):
        assert figure in words, figure
    assert _document(database, header.id)[1] in words.replace(" ", "")
    for figure in ("CN-2026-000001", "INV-2026-000001", "60.00", "Outage", "5.30"):
        assert figure in _text(note.content), figure  # 54.70 off what is open, 5.30 to the wallet
    metadata = pypdf.PdfReader(io.BytesIO(invoice.content)).metadata
    assert metadata is not None
    assert "Invoice INV-2026-000001" in str(metadata.title)


def test_two_processes_print_the_same_bytes(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    document, digest = _document(database, header.id)
    html = page.to_html(document, snapshot_hash=digest)
    made = []
    for _ in range(2):
        with worker.Printer() as printer:
            made.append(printer.to_pdf(html, made_on=world.TODAY))
    assert made[0] == made[1]
    assert made[0].startswith(b"%PDF")


def test_a_printer_that_hangs_leaves_the_invoice_waiting_and_the_next_run_prints_it_whole(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    # No process prints in no time: it is ended in the middle of its work.
    with pytest.raises(RenderingFailed) as refused:
        render.render_pending(database, now=NOW, timeout_s=0)
    assert refused.value.fields["rendered_count"] == 0
    with database.reading() as session:
        assert invoices.find_pdf(session, invoice_id=header.id) is None
        assert invoices.get_invoice(session, now=NOW, key=header.id).row.number == "INV-2026-000001"
    assert render.render_pending(database, now=NOW) == 1
    with database.reading() as session:
        found = invoices.find_pdf(session, invoice_id=header.id)
    assert found is not None
    assert found.content.rstrip().endswith(b"%%EOF")


def test_a_stored_document_refuses_every_change(database: Database) -> None:
    world.invoice_of(database, 10_000)
    render.render_pending(database, now=NOW)
    for statement in ("UPDATE invoice_documents SET sha256 = ''", "DELETE FROM invoice_documents"):
        with pytest.raises(DBAPIError), database.transaction() as session:
            session.execute(text(statement))


def test_the_stored_snapshot_builds_the_equal_document_and_its_hash(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    document, digest = _document(database, header.id)
    assert model.from_snapshot(document.to_snapshot()) == document
    assert model.snapshot_hash(document.to_snapshot()) == digest


def test_one_document_is_rendered_on_demand(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    render.render_one(database, now=NOW, invoice_id=header.id)
    render.render_one(database, now=NOW, invoice_id=header.id)
    with database.reading() as session:
        assert sorted(session.scalars(select(DocumentRow.format))) == ["csv", "pdf", "ubl", "xml"]
