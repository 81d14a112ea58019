"""VAT on documents, by hand (money.md, "Rules of documents")."""

from datetime import date

import pytest

from billing.invoicing import tax

DE = tax.Treatment(category="S", rate_bp=1900, jurisdiction="DE")
ON = date(2016, 12, 31)


def _determine(buyer_country: str, buyer_vat_id: str | None, *, on: date = ON) -> tax.Treatment:
    return tax.determine(
        seller_country="IE", seller_vat_id="IE6388047V", buyer_country=buyer_country, buyer_vat_id=buyer_vat_id, on=on
    )


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


def test_a_buyer_in_the_sellers_country_pays_its_standard_rate_with_or_without_a_vat_id() -> None:
    expected = tax.Treatment(category="S", rate_bp=2300, jurisdiction="IE")
    assert _determine("IE", None) == expected
    assert _determine("IE", "IE8256796U") == expected


def test_the_tax_point_decides_the_rate() -> None:
    assert _determine("IE", None, on=date(2020, 8, 31)).rate_bp == 2300
    assert _determine("IE", None, on=date(2020, 9, 1)).rate_bp == 2100


def test_a_business_in_another_member_state_is_reverse_charged() -> None:
    found = _determine("DE", "DE136695976")
    assert (found.category, found.rate_bp, found.jurisdiction) == ("AE", 0, "DE")
    assert found.reason is not None
    assert found.reason.startswith("Reverse charge")


def test_greece_writes_el_before_its_vat_ids() -> None:
    assert _determine("GR", "EL094259216").category == "AE"
    assert _determine("GR", "GR094259216").category == "S"


def test_a_consumer_in_another_member_state_pays_the_rate_of_home() -> None:
    assert _determine("DE", None) == DE


def test_a_buyer_outside_the_eu_is_not_subject() -> None:
    found = _determine("US", None)
    assert (found.category, found.rate_bp) == ("O", 0)


def test_a_seller_without_a_vat_id_charges_none() -> None:
    found = tax.determine(seller_country="IE", seller_vat_id=None, buyer_country="IE", buyer_vat_id=None, on=ON)
    assert (found.category, found.rate_bp, found.reason) == ("O", 0, tax.NOT_REGISTERED)


def test_a_treatment_against_its_own_category_cannot_be_built() -> None:
    with pytest.raises(ValueError, match="BR-S-05"):
        tax.Treatment(category="S", rate_bp=0, jurisdiction="DE")
    with pytest.raises(ValueError, match="says why"):
        tax.Treatment(category="AE", rate_bp=0, jurisdiction="DE")
