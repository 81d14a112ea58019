"""VAT on documents, by hand (money.md, "Rules of documents")."""

import pytest

from billing.invoicing import tax

DE = tax.Treatment(category="S", rate_bp=1900, jurisdiction="DE")


def test_three_lines_of_33_cents_at_19_percent_carry_19_cents_of_vat() -> None:
    parts = [tax.Taxable(treatment=DE, net_minor=33) for _ in range(3)]
    assert [(group.taxable_minor, group.tax_minor) for group in tax.groups(parts)] == [(99, 19)]


def test_each_rate_of_a_document_is_rounded_for_itself() -> None:
    at_7 = tax.Treatment(category="S", rate_bp=700, jurisdiction="DE")
    found = tax.groups([tax.Taxable(treatment=at_7, net_minor=50), tax.Taxable(treatment=DE, net_minor=50)])
    assert [(group.treatment.rate_bp, group.tax_minor) for group in found] == [(1900, 10), (700, 4)]


def test_half_a_cent_of_vat_is_rounded_up() -> None:
    assert tax.tax_of(250, 1000) == 25
    assert tax.tax_of(5, 1000) == 1
    assert tax.tax_of(-5, 1000) == -1


def test_credits_one_by_one_give_back_6_7_and_6_cents() -> None:
    given, net, taxed = [], 0, 0
    for _ in range(3):
        back = tax.credit_tax(credited_before_minor=net, credited_tax_before_minor=taxed, net_minor=33, rate_bp=1900)
        given.append(back)
        net, taxed = net + 33, taxed + back
    assert given == [6, 7, 6]


def test_a_treatment_against_its_own_category_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="BR-S-05"):
        tax.Treatment(category="S", rate_bp=0, jurisdiction="DE")
    with pytest.raises(ValueError, match="says why"):
        tax.Treatment(category="AE", rate_bp=0, jurisdiction="DE")
