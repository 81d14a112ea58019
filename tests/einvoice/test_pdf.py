"""The PDF is PDF/A-3a, PDF/UA-1 and Factur-X at once, says what the XML says, and has the same bytes wherever it is made."""

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pypdf
import pytest

from billing.invoicing.documents import cii, page, worker
from billing.invoicing.documents import csv as document_csv
from billing.invoicing.documents.model import InvoiceDocument
from billing.rendering.document_voice import Voice
from tests.einvoice import cents
from tests.einvoice.corpus import BUYER, CORPUS, SELLER, document, item
from tests.einvoice.validators import Validator

# The page knows no categories but in words: some of the kinds are enough until the whole is walked.
_QUICK = ("standard", "reverse charge", "not subject", "inclusive 2.99 at 4 %", "yen", "a credit note")
_NAMES = [name if name in _QUICK else pytest.param(name, marks=pytest.mark.merge_medium) for name in CORPUS]
_ROOT = Path(__file__).resolve().parents[2]


def _printed(printer: worker.Printer, of: InvoiceDocument, *, xml: bytes | None = None) -> bytes:
    return printer.to_pdf(
        page.to_html(of, snapshot_hash="ab" * 32),
        made_on=of.issued_on or date(2026, 11, 21),
        assets=page.assets_of(of, logo=None),
        xml=xml,
    )


def _words(path: Path) -> str:
    made = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, check=True)
    return made.stdout.decode()


@pytest.mark.parametrize("name", _NAMES)
def test_verapdf_finds_nothing_and_page_xml_and_csv_say_the_same(
    verapdf: Validator, printer: worker.Printer, tmp_path: Path, name: str
) -> None:
    one = CORPUS[name]
    xml = cii.to_xml(one)
    made = _printed(printer, one, xml=xml)
    file = tmp_path / "made.pdf"
    file.write_bytes(made)
    for flavour in ("3a", "ua1"):
        verdict = verapdf.pdf(file, flavour)
        assert verdict.failed == []
        assert verdict.looked_at > 1_000

    reader = pypdf.PdfReader(io.BytesIO(made))
    assert reader.attachments["factur-x.xml"] == [xml]
    metadata = reader.trailer["/Root"]["/Metadata"].get_data().decode()
    for mark in ("<fx:ConformanceLevel>EN 16931<", "<fx:DocumentFileName>factur-x.xml<", "<fx:DocumentType>INVOICE<"):
        assert mark in metadata
    assert reader.trailer["/Root"]["/AF"][0]["/AFRelationship"] == "/Alternative"

    said, words, voice = cents.read(xml, "cii"), " ".join(_words(file).split()), Voice(one.language)
    rows = list(csv.DictReader(io.StringIO(document_csv.to_csv(one).decode())))
    assert [Decimal(row["net"]) for row in rows if row["record"] == "line"] == [line[3] for line in said.lines]
    assert one.number is not None
    assert one.number == said.number
    assert one.number in words
    minor = [line.amount_minor for line in one.lines] + [one.net_minor, one.tax_minor, one.total_minor, one.due_minor]
    stated = [line[3] for line in said.lines] + [said.sums[bt] for bt in ("BT-109", "BT-110", "BT-112", "BT-115")]
    for figure, from_xml in zip(minor, stated, strict=True):
        assert figure == int(from_xml.scaleb(0 if one.currency == "JPY" else 2))
        shown = voice.amount(figure, one.currency).replace("\xa0", " ").replace("\u202f", " ")
        assert shown in words, (figure, shown)


def test_verapdf_rejects_a_spoilt_file(verapdf: Validator, printer: worker.Printer, tmp_path: Path) -> None:
    made = _printed(printer, CORPUS["standard"], xml=cii.to_xml(CORPUS["standard"]))
    file = tmp_path / "spoilt.pdf"
    for flavour, entry, clause in (("3a", None, None), ("3a", "/AF", "6.8"), ("ua1", "/StructTreeRoot", "7.1")):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(made))
        if entry is not None:
            del writer.root_object[pypdf.generic.NameObject(entry)]
        writer.write(file)
        failed = verapdf.pdf(file, flavour).failed
        assert bool(failed) is (entry is not None), failed
        assert clause is None or any(rule.startswith(f"{clause}-") for rule in failed), failed


def test_two_fresh_processes_in_two_places_make_the_same_files() -> None:
    program = (
        "import hashlib; from tests.einvoice.corpus import CORPUS; from billing.invoicing.documents import cii, csv, page, pdf, ubl\n"
        "one = CORPUS['discount and gift over two rates']; xml = cii.to_xml(one)\n"
        "made = pdf.make(page.to_html(one, snapshot_hash='ab' * 32), '2026-11-21', page.assets_of(one, logo=None), xml)\n"
        "print([hashlib.sha256(each).hexdigest() for each in (made, xml, ubl.to_xml(one), csv.to_csv(one))])"
    )
    places = [
        {"LC_ALL": "C", "TZ": "Pacific/Kiritimati", "PYTHONHASHSEED": "1"},
        {"LC_ALL": "de_DE.UTF-8", "TZ": "America/Los_Angeles", "PYTHONHASHSEED": "2"},
    ]
    running = [
        subprocess.Popen([sys.executable, "-c", program], env=os.environ | place, cwd=_ROOT, stdout=subprocess.PIPE)
        for place in places
    ]
    said = [process.communicate(timeout=300)[0] for process in running]
    assert said[0] == said[1]
    assert len(json.loads(said[0].decode().replace("'", '"'))) == 4


@pytest.mark.merge_medium
def test_every_character_of_the_bad_input_becomes_a_valid_pdf(
    verapdf: Validator, printer: worker.Printer, tmp_path: Path, data_dir: Path
) -> None:
    texts = [text for text in json.loads((data_dir / "bad-input" / "blns.json").read_text()) if text.strip()]
    texts += [
        '<img src="http://127.0.0.1:9/x">',
        "<style>@import 'file:///etc/passwd'</style>",
        "\x00\ud800\ufffe",
        "\u202egnp",
    ]
    hostile = document(
        *(item(100, description=text[:300], detail=text[:300]) for text in texts),
        seller=replace(SELLER, name=" ".join(texts)[:200]),
        buyer=replace(BUYER, name=" ".join(texts)[-200:], street=texts[100]),
        footer=" ".join(texts)[:500],
    )
    file = tmp_path / "hostile.pdf"
    file.write_bytes(_printed(printer, hostile, xml=cii.to_xml(hostile)))
    for flavour in ("3a", "ua1"):
        assert verapdf.pdf(file, flavour).failed == []
