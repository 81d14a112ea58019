"""The document contradicts itself nowhere, prints the same bytes, and fetches nothing whatever is written into it."""

import io
import json
import os
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pypdf
import pytest

from billing.invoicing.documents import model, page, worker
from billing.invoicing.documents.model import InvoiceDocument, Line, Party, Tax
from billing.invoicing.errors import DocumentInvalid

ON = date(2026, 11, 21)


def _line(seq: int, amount_minor: int = 1_000, **changes: Any) -> Line:
    values: dict[str, Any] = {
        "id": f"inl_{seq}",
        "seq": seq,
        "description": "CPU time",
        "detail": "",
        "quantity_text": "94439347.2",
        "unit": "core-second",
        "unit_price_text": "0.50",
        "price_base_text": "3600",
        "beside_text": "26233.152",
        "priced_unit": "core-hour",
        "amount_minor": amount_minor,
        "tax_category": "S",
        "tax_rate_bp": 2_300,
    }
    return Line(**(values | changes))


def _document(*lines: Line, **changes: Any) -> InvoiceDocument:
    lines = lines or (_line(1), _line(2))
    net = sum(line.amount_minor for line in lines)
    tax = net * 23 // 100
    party = Party(
        name="Calla Labs",
        street="1 Quay",
        city="Dublin",
        postcode="D02",
        country="IE",
        vat_id=None,
        email="a@b.example",
    )
    values: dict[str, Any] = {
        "id": "drf_1",
        "kind": "invoice",
        "number": "INV-2026-000001",
        "issued_on": ON,
        "due_on": date(2026, 12, 5),
        "currency": "USD",
        "account_code": "calla",
        "zone": "Europe/Berlin",
        "period_label": "2016-12",
        "period_start_at": datetime(2016, 11, 30, 23, tzinfo=UTC),
        "period_end_at": datetime(2016, 12, 31, 23, tzinfo=UTC),
        "seller": replace(party, name="Plumbline Cloud Ltd", vat_id="IE6388047V"),
        "buyer": party,
        "purchase_order": "PO-1",
        "bank_account": "IE29AIBK93115212345678",
        "corrects_number": None,
        "corrects_on": None,
        "reason": None,
        "lines": tuple(lines),
        "taxes": (Tax(category="S", rate_bp=2_300, jurisdiction="IE", taxable_minor=net, tax_minor=tax, reason=None),),
        "net_minor": net,
        "tax_minor": tax,
        "total_minor": net + tax,
        "rounding_minor": 0,
        "prepaid_minor": 0,
        "due_minor": net + tax,
        "to_receivable_minor": 0,
        "to_wallet_minor": 0,
    }
    return InvoiceDocument(**(values | changes))


@pytest.fixture(scope="module")
def printer() -> Iterator[worker.Printer]:
    """One worker process for the whole module: it takes a second to start."""
    with worker.Printer() as one:
        yield one


def _print(printer: worker.Printer, document: InvoiceDocument) -> pypdf.PdfReader:
    html = page.to_html(document, snapshot_hash="ab" * 32)
    return pypdf.PdfReader(io.BytesIO(printer.to_pdf(html, made_on=ON)))


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("BR-CO-13", {"net_minor": 1_999, "total_minor": 2_459, "due_minor": 2_459}),
        ("BR-CO-14", {"tax_minor": 461, "total_minor": 2_461, "due_minor": 2_461}),
        ("BR-CO-15", {"total_minor": 2_461, "due_minor": 2_461}),
        ("BR-CO-16", {"due_minor": 2_459}),
        ("BT-113", {"prepaid_minor": -1, "due_minor": 2_461}),
        ("BR-55", {"kind": "credit_note"}),
    ],
)
def test_a_document_whose_figures_disagree_cannot_be_built(rule: str, changes: dict[str, Any]) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        _document(**changes)
    assert refused.value.fields["rule"] == rule


def test_vat_that_is_off_by_a_cent_cannot_be_built_although_the_schematron_would_pass_it() -> None:
    off = (Tax(category="S", rate_bp=2_300, jurisdiction="IE", taxable_minor=2_000, tax_minor=461, reason=None),)
    with pytest.raises(DocumentInvalid) as refused:
        _document(taxes=off, tax_minor=461, total_minor=2_461, due_minor=2_461)
    assert refused.value.fields["rule"] == "BR-CO-17"


def test_a_document_without_a_line_cannot_be_built() -> None:
    with pytest.raises(DocumentInvalid) as refused:
        replace(_document(), lines=())
    assert refused.value.fields["rule"] == "BR-16"


def test_a_draft_cannot_be_tried_out_without_a_number() -> None:
    with pytest.raises(DocumentInvalid) as refused:
        page.try_out(replace(_document(), number=None))
    assert refused.value.fields["rule"] == "BR-02"
    page.try_out(_document())


def test_the_printed_invoice_says_all_that_the_law_and_the_reader_want(printer: worker.Printer) -> None:
    words = " ".join(" ".join(one.extract_text() for one in _print(printer, _document()).pages).split())
    for fact in (
        "INV-2026-000001",
        "21 November 2026",
        "5 December 2026",
        "1 to 31 December 2016",
        "IE6388047V",
        "Ireland",
        "94,439,347.2",
        "core-seconds",
        "≈ 26,233.152 core-hours",
        "per 3,600 core-seconds",
        "USD 24.60",
        "4.60",
        "IE29 AIBK 9311 5212 3456 78",
        "Page 1 of 1",
    ):
        assert fact in words, fact


def test_a_long_invoice_repeats_its_heads_and_numbers_its_pages(printer: worker.Printer) -> None:
    pages = _print(printer, _document(*(_line(seq) for seq in range(1, 81)))).pages
    assert len(pages) > 3
    for number, one in enumerate(pages, start=1):
        assert f"Page {number} of {len(pages)}" in one.extract_text()
    for one in pages[:3]:
        assert "Unit price" in one.extract_text()


def test_the_pdf_marks_itself_as_archivable_and_accessible_and_embeds_its_fonts(printer: worker.Printer) -> None:
    reader = _print(printer, _document())
    metadata = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    assert 'pdfaid:part="3"' in metadata
    assert 'pdfaid:conformance="A"' in metadata
    assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    fonts = [font.get_object() for font in reader.pages[0]["/Resources"]["/Font"].values()]
    assert fonts
    for font in fonts:
        descriptor = font["/DescendantFonts"][0].get_object()["/FontDescriptor"]
        assert "/FontFile3" in descriptor or "/FontFile2" in descriptor


def test_naughty_strings_in_every_text_field_are_printed_and_do_nothing(
    printer: worker.Printer, data_dir: Path
) -> None:
    naughty = json.loads((data_dir / "bad-input" / "blns.json").read_text())
    hostile = [
        *naughty[::5],
        '<img src="http://127.0.0.1:9/x">',
        "<style>@import 'file:///etc/passwd'</style>",
        "{{ 7 * 7 }}{% include '/etc/passwd' %}",
        "\u202egnp.exe",
        "\x00\x0b\ufffe",
    ]
    lines = [
        _line(seq, description=text[:200], detail=text[:64], unit=text[:20] or "-", priced_unit=text[:20])
        for seq, text in enumerate(hostile, start=1)
    ]
    # Accounts take names of up to 200 characters.
    some = [" ".join(hostile[i:])[:200] for i in (0, 20, 40, 60, 80)]
    party = Party(name=some[0], street=some[1], city=some[2], postcode="1", country="IE", vat_id=some[3], email=some[4])
    everything = hostile[-3] + hostile[-5]
    document = _document(
        *lines, buyer=party, account_code=everything, purchase_order=everything, bank_account=everything
    )
    html = page.to_html(document, snapshot_hash="ab" * 32)
    assert "<img" not in html
    assert "<script" not in html.lower()
    assert "\u202e" not in html
    assert "\x00" not in html
    made = pypdf.PdfReader(io.BytesIO(printer.to_pdf(html, made_on=ON)))
    assert "{{ 7 * 7 }}" in html
    assert len(made.pages) > 3
    assert not made.attachments


@pytest.mark.parametrize(
    "part",
    [
        '<img src="http://127.0.0.1:9/x" alt="x">',
        '<img src="file:///etc/passwd" alt="x">',
        '<link rel="stylesheet" href="https://example.invalid/a.css">',
        '<link rel="attachment" href="file:///etc/passwd">',
        "<style>body { background: url(asset:fonts/../invoice.css) }</style>",
        '<img src="data:image/png;base64,AAAA" alt="x">',
    ],
)
def test_a_page_that_asks_for_anything_but_a_packaged_font_is_not_printed(printer: worker.Printer, part: str) -> None:
    html = page.to_html(_document(), snapshot_hash="ab" * 32).replace("<body>", f"<body>{part}")
    with pytest.raises(worker.PrinterDied) as died:
        printer.to_pdf(html, made_on=ON)
    assert "a document asked for" in str(died.value)


def test_a_killed_worker_is_reported_and_the_next_document_gets_a_new_one() -> None:
    html = page.to_html(_document(), snapshot_hash="ab" * 32)
    with worker.Printer() as printer:
        first = printer.to_pdf(html, made_on=ON)
        os.kill(printer.worker_pids()[0], signal.SIGKILL)
        with pytest.raises(worker.PrinterDied):
            printer.to_pdf(html, made_on=ON)
        assert printer.to_pdf(html, made_on=ON) == first
    assert printer.worker_pids() == []


def test_a_printer_leaves_nothing_behind_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with worker.Printer() as printer:
        printer.to_pdf(page.to_html(_document(), snapshot_hash="ab" * 32), made_on=ON)
        assert list(tmp_path.rglob("weasyprint-*"))
    assert not list(tmp_path.iterdir())


def test_the_parent_never_loads_the_printer() -> None:
    import subprocess
    import sys

    code = (
        "import sys; import billing.invoicing.documents.render, billing.invoicing.issue; "
        "sys.exit('weasyprint' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_model_of_a_snapshot_is_the_document_itself() -> None:
    document = _document()
    assert model.from_snapshot(json.loads(json.dumps(document.to_snapshot()))) == document
