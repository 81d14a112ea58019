"""What is made of a document beside its page: the QR code to pay by, CSV, characters without glyphs, pro formas."""

import csv
import io
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import segno

from billing.invoicing.documents import csv as document_csv
from billing.invoicing.documents import epc, glyphs, model, page, proforma, worker
from billing.invoicing.documents.model import Conversion, InvoiceDocument, TaxCurrency
from billing.invoicing.errors import ProFormaFailed, ProFormaTooLong
from tests.unit.invoicing.test_documents import _document, _line

BAD = Path(os.environ.get("PLUMBLINE_DATA", Path(__file__).resolve().parents[4] / "shared" / "data")) / "bad-input"
IBAN = "IE29AIBK93115212345678"


def _euro(**changes: Any) -> InvoiceDocument:
    return replace(_document(), currency="EUR", bank_account=IBAN, bic="AIBKIE2D", **changes)


def test_the_code_holds_what_the_guideline_asks_for() -> None:
    wanted = f"BCD\n002\n1\nSCT\nAIBKIE2D\nPlumbline Cloud Ltd\n{IBAN}\nEUR24.60\n\n\nINV-2026-000001"
    assert epc.payload(_euro()) == wanted


def test_the_picture_is_the_code_of_that_text() -> None:
    text = epc.payload(_euro())
    assert text is not None
    drawn, wanted = epc.picture(text), io.BytesIO()
    segno.make(text, micro=False, error="m", boost_error=False, encoding="utf-8").save(
        wanted, kind="svg", border=4, xmldecl=False, svgns=True, omitsize=True
    )
    assert drawn == wanted.getvalue()
    assert segno.make_qr(text, error="m", boost_error=False).version <= 13


@pytest.mark.parametrize(
    "changes",
    [
        {"currency": "USD"},
        {"bank_account": None},
        {"bank_account": "BR1800360305000010009795493C1"},
        {"number": None},
    ],
    ids=["not euro", "no account", "an account out of reach", "a draft"],
)
def test_no_code_is_printed_where_nobody_could_pay_by_it(changes: dict[str, Any]) -> None:
    assert epc.payload(replace(_euro(), **changes)) is None


def test_nothing_due_has_no_code() -> None:
    document = _euro()
    assert epc.payload(replace(document, prepaid_minor=document.total_minor, due_minor=0)) is None


def test_the_page_and_its_pictures_name_each_other() -> None:
    document = _euro(logo_sha256="ab" * 32)
    html = page.to_html(document, snapshot_hash="cd" * 32)
    assets = page.assets_of(document, logo=b"\x89PNG")
    assert set(assets) == {f"asset:logo/{'ab' * 32}", epc.ASSET}
    for address in assets:
        assert f'<img src="{address}" alt="' in html


def test_csv_adds_up_to_the_document_and_holds_its_ids() -> None:
    line = _line(
        1,
        charge_id="chg_1",
        converted=Conversion(
            currency="EUR", amount_text="9.25", rate_text="1.0811", rate_on="2026-10-30", snapshot_id="fxs_1"
        ),
    )
    document = replace(
        _document(line, _line(2, description="=cmd()")),
        tax_currency=TaxCurrency(
            currency="EUR", tax_minor=426, rate_text="0.925", rate_on="2026-10-30", snapshot_id="fxs_1"
        ),
    )
    rows = list(csv.DictReader(io.StringIO(document_csv.to_csv(document).decode())))
    lines = [row for row in rows if row["record"] == "line"]
    totals = {row["detail"]: Decimal(row["net"]) for row in rows if row["record"] == "total"}
    assert sum(Decimal(row["net"]) for row in lines) == totals["BT-106"] == Decimal("20.00")
    assert totals["BT-115"] == Decimal("24.60")
    assert totals["BT-111"] == Decimal("4.26")
    assert (lines[0]["charge_id"], lines[0]["conversion_snapshot"], lines[0]["quantity"]) == (
        "chg_1",
        "fxs_1",
        "94439347.2",
    )
    assert lines[1]["description"] == "'=cmd()"
    assert {row["document"] for row in rows} == {"INV-2026-000001"}


def test_characters_without_a_glyph_are_written_by_their_numbers() -> None:
    missing: set[str] = set()
    assert (
        glyphs.shown("Ünïcode 北京 株式会社 한국 Ωλ Жук עברית عربي", missing)
        == "Ünïcode 北京 株式会社 한국 Ωλ Жук עברית عربي"
    )
    assert missing == set()
    assert glyphs.shown("🚀 ไทย", missing) == "[U+1F680] [U+0E44][U+0E17][U+0E22]"
    assert missing == set("🚀ไทย")


def test_a_document_says_that_characters_are_missing() -> None:
    buyer = replace(_document().buyer, name="Rocket 🚀 Ltd")
    html = page.to_html(replace(_document(), buyer=buyer), snapshot_hash="ab" * 32)
    assert "Rocket [U+1F680] Ltd" in html
    assert "has no glyph" in html
    assert "has no glyph" not in page.to_html(_document(), snapshot_hash="ab" * 32)


@pytest.mark.parametrize("language", ["en", "de", "fr"])
@pytest.mark.parametrize("page_size", ["A4", "letter"])
def test_a_pro_forma_says_what_it_is_in_its_language(language: str, page_size: str) -> None:
    draft = replace(_document(), number=None, issued_on=None, due_on=None, language=language, page_size=page_size)
    html = page.pro_forma(draft, at=datetime(2026, 11, 21, 12, tzinfo=UTC))
    said = {"en": "This is not an invoice", "de": "Dies ist keine Rechnung", "fr": "n’est pas une facture"}
    assert said[language] in html
    assert "SHA-256" not in html
    assert f"size: {page_size}" in html
    assert f'<html lang="{language}">' in html


def test_a_long_pro_forma_and_a_dead_worker_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with pytest.raises(ProFormaTooLong):
        proforma.to_pdf(_document(*(_line(seq) for seq in range(1, 302))), logo=None, at=now)
    with pytest.raises(ProFormaFailed):
        proforma.to_pdf(_document(), logo=None, at=now, timeout_s=0)


@pytest.mark.skipif(not BAD.exists(), reason="bad input is shared data")
def test_nothing_that_is_written_into_a_document_leaves_its_place() -> None:
    texts = [text for text in json.loads((BAD / "blns.json").read_text(encoding="utf-8")) if text.strip()]
    joined = ["".join(texts[start : start + 12])[:200] for start in range(0, len(texts), 12)]
    lines = [_line(seq, description=text, detail=text[::-1]) for seq, text in enumerate(joined, start=1)]
    document = _document(*lines)
    party = replace(document.buyer, name=joined[3], street="file:///etc/passwd", city=joined[7], email=joined[9])
    document = replace(document, buyer=party, footer=joined[11], purchase_order=joined[5], reason=joined[6])
    with worker.Printer() as printer:
        html = page.to_html(document, snapshot_hash="ab" * 32)
        made = printer.to_pdf(html, made_on=document.issued_on or pytest.fail("no day"))
    assert made.startswith(b"%PDF")
    assert "<script" not in html
    assert document_csv.to_csv(document).count(b"\r\n") == 1 + len(lines) + 1 + 8
    assert model.from_snapshot(document.to_snapshot()) == document
