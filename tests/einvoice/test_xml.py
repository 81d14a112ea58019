"""The XML of every kind of document passes the official rules, and every cent of it can be worked out from it alone."""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from billing.invoicing.documents import checks, cii, codes, en16931, ubl
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid
from tests.einvoice import cents
from tests.einvoice.corpus import BUYER, CORPUS, SELLER, SLICE, document, item
from tests.einvoice.validators import Validator
from tests.session import is_full_depth

_NAMES = [name if name in SLICE else pytest.param(name, marks=pytest.mark.merge_medium) for name in CORPUS]

_QUICK = [
    name if len(CORPUS[name].lines) < 1_000 else pytest.param(name, marks=pytest.mark.merge_medium) for name in CORPUS
]


def _both(of: InvoiceDocument) -> dict[str, bytes]:
    return {"cii": cii.to_xml(of), "ubl": ubl.to_xml(of)}


def test_the_corpus_holds_forty_kinds_of_documents_and_all_categories() -> None:
    assert len(CORPUS) >= 40
    said = {group.category for name in SLICE for group in CORPUS[name].taxes}
    assert said == {"S", "Z", "E", "AE", "K", "G", "O"}
    assert {one.currency for one in CORPUS.values()} == {"EUR", "USD", "JPY"}


@pytest.mark.parametrize("name", _NAMES)
def test_xsd_and_schematron_find_nothing_in_either_syntax(schematron: Validator, name: str) -> None:
    for syntax, xml in _both(CORPUS[name]).items():
        verdict = schematron.xml(xml, syntax)
        assert verdict.failed == []
        assert verdict.looked_at > 40


@pytest.mark.parametrize("name", _QUICK)
def test_every_cent_follows_from_the_xml_alone_and_both_syntaxes_say_the_same(name: str) -> None:
    checks.check(CORPUS[name])
    said = {syntax: cents.read(xml, syntax) for syntax, xml in _both(CORPUS[name]).items()}
    assert said["cii"] == said["ubl"]
    assert cents.differences(said["cii"]) == []
    assert len(said["cii"].lines) == len(CORPUS[name].lines)


@pytest.mark.parametrize(
    ("syntax", "good", "spoilt", "rule"),
    [
        ("cii", b"<ram:DuePayableAmount>154.70<", b"<ram:DuePayableAmount>154.71<", "BR-CO-16"),
        ("cii", b"<ram:TypeCode>380<", b"<ram:TypeCode>999<", "FX-SCH-A"),
        ("cii", b'schemeID="VA"', b'schemeID="FC"', "FX-SCH-A"),
        ("cii", b"<ram:InvoiceCurrencyCode>EUR</ram:InvoiceCurrencyCode>", b"", "XSD"),
        ("ubl", b'<cbc:PayableAmount currencyID="EUR">154.70<', b'<cbc:PayableAmount currencyID="EUR">1.00<', "BR-CO-16"),
        ("ubl", b"<cbc:Name>Analytics reports</cbc:Name>", b"", "BR-25"),
        ("ubl", b"<cbc:ID>INV-2026-000042</cbc:ID>", b"<cbc:Id>INV-2026-000042</cbc:Id>", "XSD"),
    ],
)  # fmt: skip
def test_the_validators_reject_a_spoilt_file(
    schematron: Validator, syntax: str, good: bytes, spoilt: bytes, rule: str
) -> None:
    xml = _both(document(item(13_000), seller=replace(SELLER, tax_number=None)))[syntax]
    assert good in xml
    failed = schematron.xml(xml.replace(good, spoilt), syntax).failed
    assert any(one.startswith(rule) or f"[{rule}]" in one for one in failed), failed


def test_a_cent_that_the_schematron_lets_pass_is_found_by_our_own_check_and_by_the_independent_one(
    schematron: Validator,
) -> None:
    spoilt = cii.to_xml(document(item(13_000)))
    for name, good, off in (("CalculatedAmount", "24.70", "24.71"), ("GrandTotalAmount", "154.70", "154.71")):
        spoilt = spoilt.replace(f"<ram:{name}>{good}<".encode(), f"<ram:{name}>{off}<".encode())
    spoilt = spoilt.replace(b'currencyID="EUR">24.70<', b'currencyID="EUR">24.71<')
    spoilt = spoilt.replace(b"<ram:DuePayableAmount>154.70<", b"<ram:DuePayableAmount>154.71<")
    assert schematron.xml(spoilt, "cii").failed == []
    assert cents.differences(cents.read(spoilt, "cii")) == ["BT-117 S 19: 24.71, not 24.70"]
    with pytest.raises(DocumentInvalid) as refused:
        checks.recompute(spoilt)
    assert refused.value.fields["rule"] == "BR-CO-17"


@pytest.mark.parametrize(
    ("rule", "spoilt"),
    [
        ("BR-06", document(item(100), seller=replace(SELLER, name="\u202e\u200b"))),
        ("BR-06", document(item(100), buyer=replace(BUYER, name="\ufeff"))),
        ("BR-CL-14", document(item(100), buyer=replace(BUYER, country="XX"))),
        ("BR-S-02", document(item(100), seller=replace(SELLER, vat_id=None, tax_number=None))),
        ("BR-AE-02", document(item(100, "AE"), buyer=replace(BUYER, vat_id=None))),
        ("BR-IC-02", document(item(100, "K"), buyer=replace(BUYER, vat_id=None))),
        ("BR-G-02", document(item(100, "G"), seller=replace(SELLER, vat_id=None))),
        ("BR-30", document(item(100, service_from_on=date(2026, 11, 1)))),
    ],
)  # fmt: skip
def test_a_document_that_breaks_a_rule_is_refused_before_it_has_a_number(rule: str, spoilt: InvoiceDocument) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        checks.check(spoilt)
    assert refused.value.fields["rule"] == rule


def test_what_the_norm_cannot_say_has_no_xml() -> None:
    dinar = document(item(1_000), currency="KWD")
    mixed = document(item(1_000), item(1_000, "O"))
    assert en16931.absence(dinar) == "decimals"
    assert en16931.absence(mixed) == "mixed"
    for one in (dinar, mixed):
        checks.check(one)
        for to_xml in (cii.to_xml, ubl.to_xml):
            with pytest.raises(ValueError, match="no XML"):
                to_xml(one)


def test_core_seconds_are_stated_with_their_base_and_never_at_a_negative_price() -> None:
    said = cents.read(cii.to_xml(CORPUS["corrected seconds"]), "cii")
    quantity, price, base, amount = said.lines[1][:4]
    assert [str(one) for one in (quantity, price, base, amount)] == ["-1200", "0.50", "3600", "-0.17"]
    assert b'unitCode="SEC">3600<' in cii.to_xml(CORPUS["corrected seconds"])


def test_the_sale_of_a_commitment_is_a_prepayment_and_its_drawdown_a_line_below_zero() -> None:
    assert cents.read(cii.to_xml(CORPUS["a commitment sold"]), "cii").type_code == codes.PREPAYMENT
    drawn = cents.read(ubl.to_xml(CORPUS["a commitment drawn down"]), "ubl")
    assert drawn.type_code == codes.INVOICE
    assert [str(line[3]) for line in drawn.lines] == ["1000.00", "-800.00"]
    assert str(drawn.sums["BT-115"]) == "238.00"


def test_every_character_of_the_bad_input_becomes_safe_xml(schematron: Validator, data_dir: Path) -> None:
    texts = [text for text in json.loads((data_dir / "bad-input" / "blns.json").read_text()) if text]
    texts += (data_dir / "bad-input" / "csv_injection.txt").read_text().splitlines()
    texts += [
        '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>&e;',
        "]]>",
        "\x00\x0b\ufffe\ud800",
        "\u202egnp.exe",
    ]
    everything = " ".join(texts)
    some = texts if is_full_depth() else texts[::6] + texts[-4:]
    party = replace(BUYER, name=everything[:2_000], street=everything, city=texts[0], postcode=texts[1], email=texts[2])
    hostile = document(
        *(item(100, description=text, detail=text) for text in some),
        seller=replace(SELLER, name=everything[-2_000:], phone=texts[3]),
        buyer=party,
        purchase_order=everything,
        buyer_reference=everything,
        footer=everything,
    )
    checks.check(hostile)
    for syntax, xml in _both(hostile).items():
        assert schematron.xml(xml, syntax).failed == []
        assert b"<!DOCTYPE" not in xml.replace(b"&lt;!DOCTYPE", b"")
        assert cents.differences(cents.read(xml, syntax)) == []
        assert len([name for name in cents.read(xml, syntax).names if name]) == len(some)
