"""The norm's own examples: their VAT breakdown and totals come out of our tax code, and its rule vectors judge it."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from xml.etree import ElementTree

import pytest

from billing.invoicing import tax
from tests.einvoice import cents

_EXAMPLES = (
    ("ubl", "issue116.xml"),
    ("ubl", "sample-discount-price.xml"),
    ("ubl", "ubl-tc434-creditnote1.xml"),
    ("ubl", "ubl-tc434-example1.xml"),
    ("ubl", "ubl-tc434-example2.xml"),
    ("ubl", "ubl-tc434-example3.xml"),
    ("ubl", "ubl-tc434-example4.xml"),
    ("ubl", "ubl-tc434-example5.xml"),
    ("cii", "CII-BR-CO-10-RoundingIssue.xml"),
    ("cii", "CII_example1.xml"),
    ("cii", "CII_example3.xml"),
    ("cii", "CII_example5.xml"),
    ("cii", "XRechnung-O.xml"),
)


def _minor(amount: Decimal) -> int:
    minor = amount.scaleb(2)
    assert minor == int(minor), amount
    return int(minor)


def _treatment(category: str, rate: str) -> tax.Treatment:
    reason = None if category in ("S", "Z") else "as the example says"
    return tax.Treatment(category=category, rate_bp=int(Decimal(rate or 0) * 100), jurisdiction="EU", reason=reason)


@pytest.mark.parametrize(("syntax", "name"), _EXAMPLES)
def test_vat_and_totals_of_an_official_example_come_out_of_our_tax_code(data_dir: Path, syntax: str, name: str) -> None:
    said = cents.read((data_dir / "einvoice" / syntax / name).read_bytes(), syntax)
    parts = [(line[4], line[5], line[3]) for line in said.lines]
    parts += [(category, rate, -amount) for amount, category, rate in said.allowances]
    groups = tax.groups(
        tax.Taxable(treatment=_treatment(category, rate), net_minor=_minor(amount)) for category, rate, amount in parts
    )
    ours = sorted((one.treatment.category, one.treatment.rate_bp, one.taxable_minor, one.tax_minor) for one in groups)
    theirs = sorted(
        (category, int(Decimal(rate or 0) * 100), _minor(basis), _minor(amount))
        for basis, amount, category, rate in said.groups
    )
    assert ours == theirs
    net, vat = sum(one.taxable_minor for one in groups), sum(one.tax_minor for one in groups)
    assert (net, vat, net + vat) == tuple(_minor(said.sums[bt]) for bt in ("BT-109", "BT-110", "BT-112"))
    assert _minor(said.sums["BT-115"]) == net + vat - _minor(said.sums["BT-113"]) + _minor(said.sums["BT-114"])


def _vectors(folder: Path, rule: str) -> Iterator[tuple[bool, ElementTree.Element]]:
    """(whether the rule holds, the partial invoice) of every test of that rule."""
    tree = ElementTree.parse(folder / f"{rule}.xml").getroot()  # noqa: S314  the norm's own vectors
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    for test in tree.iter("test"):
        invoice = test.find("Invoice")
        verdict = test.find("assert")
        if invoice is not None and verdict is not None:
            yield verdict.findtext("success") == rule, invoice


def test_the_vectors_of_br_s_09_agree_with_our_rounding(data_dir: Path) -> None:
    judged = []
    for holds, invoice in _vectors(data_dir / "einvoice" / "rule-cases" / "Invoice-unit-UBL", "BR-S-09"):
        for group in invoice.iter("TaxSubtotal"):
            basis, said = Decimal(group.findtext("TaxableAmount", "")), Decimal(group.findtext("TaxAmount", ""))
            rate_bp = int(Decimal(group.findtext("TaxCategory/Percent", "0")) * 100)
            # The rule lets less than 1.00 pass, we let nothing pass.
            off = abs(tax.tax_of(_minor(basis), rate_bp) - _minor(said))
            judged.append((holds, off < 100))
    assert len(judged) >= 5
    assert [one for one in judged if one[0] and not one[1]] == []


def test_the_vectors_of_br_co_16_agree_with_the_amount_due(data_dir: Path) -> None:
    judged = []
    for holds, invoice in _vectors(data_dir / "einvoice" / "rule-cases" / "Invoice-unit-UBL", "BR-CO-16"):
        sums = invoice.find("LegalMonetaryTotal")
        assert sums is not None

        def of(name: str, sums: ElementTree.Element = sums) -> Decimal:
            return Decimal(sums.findtext(name) or 0)

        due = of("TaxInclusiveAmount") - of("PrepaidAmount") + of("PayableRoundingAmount")
        judged.append((holds, due == of("PayableAmount")))
    assert {holds for holds, _ in judged} == {True, False}
    assert all(holds is ours for holds, ours in judged)
