"""What the real services issue is whole in every format, stored once, and passes every validator; documents from before get the rest."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import select

from billing.accounts.profiles import ProfileFacts
from billing.invoicing import credit_notes
from billing.invoicing.documents import files, fingerprints, render
from billing.invoicing.errors import NoElectronicInvoice
from billing.invoicing.tables import InvoiceDocument as DocumentRow
from billing.invoicing.tables import InvoiceEvent
from billing.kernel.errors import NotFound
from billing.storage.database import Database
from tests.einvoice import cents
from tests.einvoice.validators import Validator
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.world import NOW, Use
from tests.session import is_full_depth

_KIOTO = ProfileFacts(
    legal_name="Tidewater KK",
    street="1 Shijo",
    city="Kyoto",
    postcode="600-8001",
    country="JP",
    email="ap@tide.example",
)


def _issue_some(database: Database) -> None:
    """Prepaid in part, exported, with a gift and a commitment, credited by amount and whole."""
    prepaid = world.open_account(database, "calla", price="0.0123")
    world.used(database, prepaid, Use(10_007, "lab"), Use(3, "prod"))
    world.top_up(database, prepaid, 5_000)
    world.issued(database, prepaid)
    abroad = world.open_account(database, "tide", profile=_KIOTO, price="1.00")
    world.used(database, abroad, Use(77))
    sold = world.issued(database, abroad)
    planned = terms_world.open_on_plan(database, code="plan", fee="25.00")
    terms_world.committed(database, planned, 5_000)
    terms_world.gift(database, planned, 500)
    terms_world.use(database, planned, Use(10_000))
    drawn = world.issued(database, planned)
    for invoice, amount_minor in ((sold, 1_234), (drawn, None)):
        with database.transaction() as session:
            credit_notes.credit(
                session,
                now=NOW,
                invoice_id=invoice.id,
                reason="Outage",
                actor="usr_ann",
                amount_minor=amount_minor,
                full=amount_minor is None,
            )


def test_documents_of_the_real_services_pass_every_validator(
    engine: str, database: Database, schematron: Validator, verapdf: Validator, tmp_path: Path
) -> None:
    _issue_some(database)
    made = render.render_pending(database, now=NOW, verify_url="https://plumbline.example/documents/verify")
    with database.reading("jobs") as session:
        rows = session.scalars(select(DocumentRow).order_by(DocumentRow.invoice_id, DocumentRow.format)).all()
    assert made >= 6
    assert len(rows) == 4 * made
    for row in rows:
        assert row.sha256 == hashlib.sha256(row.content).hexdigest()
        if row.format in ("xml", "ubl"):
            syntax = "cii" if row.format == "xml" else "ubl"
            assert schematron.xml(row.content, syntax).failed == []
            assert cents.differences(cents.read(row.content, syntax)) == []
        if row.format == "pdf" and (engine == "sqlite" or is_full_depth()):
            file = tmp_path / "made.pdf"
            file.write_bytes(row.content)
            assert [rule for flavour in ("3a", "ua1") for rule in verapdf.pdf(file, flavour).failed] == []


def test_every_file_is_known_to_the_public_page_and_only_under_its_number(database: Database) -> None:
    world.invoice_of(database, 10_000)
    render.render_pending(database, now=NOW)
    with database.reading("jobs") as session:
        hashes = session.scalars(select(DocumentRow.sha256)).all()
        assert len(hashes) == 4
        for sha256 in hashes:
            assert fingerprints.is_genuine(session, "INV-2026-000001", sha256)
            assert not fingerprints.is_genuine(session, "INV-2026-000002", sha256)


def test_a_document_that_had_only_a_pdf_keeps_its_bytes_and_gets_the_rest(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    earlier = b"%PDF-1.7 as an earlier version made it"
    with database.transaction("jobs") as session:
        row = DocumentRow(
            invoice_id=header.id,
            format="pdf",
            sha256=hashlib.sha256(earlier).hexdigest(),
            content=earlier,
            rendered_at=datetime(2026, 11, 1, tzinfo=UTC),
        )
        session.add(row)
    assert render.render_pending(database, now=NOW) == 1
    assert render.render_pending(database, now=NOW) == 0
    with database.reading("jobs") as session:
        stored = {row.format: row for row in session.scalars(select(DocumentRow))}
        event = session.scalars(select(InvoiceEvent).where(InvoiceEvent.type == "formats_added")).one()
        assert fingerprints.is_genuine(session, "INV-2026-000001", stored["pdf"].sha256)
    assert sorted(stored) == ["csv", "pdf", "ubl", "xml"]
    assert stored["pdf"].content == earlier
    assert sorted(event.facts) == ["csv", "ubl", "xml"]
    assert event.facts["xml"] == stored["xml"].sha256


def test_a_printer_that_dies_leaves_no_format_behind_and_the_next_run_makes_them_all(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    with database.reading() as session:
        assert files.find(session, key=header.id, format="xml") is None
    with pytest.raises(Exception, match="rendering_failed"):
        render.render_pending(database, now=NOW, timeout_s=0)
    with database.reading("jobs") as session:
        assert session.scalars(select(DocumentRow.format)).all() == []
    assert render.render_pending(database, now=NOW) == 1
    with database.reading() as session:
        found = files.find(session, key="INV-2026-000001", format="ubl", account_id=header.billing_account_id)
        assert found is not None
        assert found.file_name == "INV-2026-000001-ubl.xml"
        for key, format, account_id in (
            (header.id, "docx", None),
            ("INV-2026-000002", "xml", None),
            (header.id, "xml", "acc_other"),
        ):
            with pytest.raises(NotFound):
                files.find(session, key=key, format=format, account_id=account_id)


def test_a_document_without_xml_says_so_instead_of_waiting_for_ever(database: Database) -> None:
    header = world.invoice_of(database, 10_000)
    with database.transaction("jobs") as session:
        sha256 = hashlib.sha256(b"x").hexdigest()
        for format in ("pdf", "csv"):
            row = DocumentRow(invoice_id=header.id, format=format, sha256=sha256, content=b"x", rendered_at=NOW)
            session.add(row)
    assert render.render_pending(database, now=NOW) == 0
    with database.reading() as session:
        assert files.find(session, key=header.id, format="csv") is not None
        with pytest.raises(NoElectronicInvoice):
            files.find(session, key=header.id, format="xml")
