"""How supplies are taxed, case by case, with the article that says so."""

from datetime import date

import pytest

from billing.invoicing import tax
from billing.invoicing.errors import TaxMixed
from billing.invoicing.taxes.determination import (
    BuyerFacts,
    Decision,
    Evidence,
    ManualRate,
    Override,
    Registration,
    SellerFacts,
    determine,
)
from billing.invoicing.taxes.service import require_one_document
from billing.kernel.errors import Invalid
from billing.reference import vatex

ON = date(2016, 12, 31)
OSS = Registration(scheme="oss", country="IE", number="IE6388047V", valid_from=date(2015, 1, 1))
VALID = Evidence(id="vic_1", method="vies", outcome="valid", reference="W1", at="2016-12-01T00:00:00Z")


def _seller(*more: Registration, vat_id: str | None = "IE6388047V", rates: tuple[ManualRate, ...] = ()) -> SellerFacts:
    return SellerFacts(country="IE", vat_id=vat_id, registrations=more, manual_rates=rates)


def _buyer(
    country: str, vat_id: str | None = None, *, kind: str | None = None, override: Override | None = None
) -> BuyerFacts:
    return BuyerFacts(
        country=country, kind=kind or ("business" if vat_id else "consumer"), vat_id=vat_id, override=override
    )


def _decide(buyer: BuyerFacts, *, seller: SellerFacts | None = None, on: date = ON) -> Decision:
    return determine(seller or _seller(OSS), buyer, on=on)


def _short(decision: Decision) -> tuple[str, int, str, str | None, str]:
    of = decision.treatment
    return of.category, of.rate_bp, of.jurisdiction, of.scheme, decision.facts["rule"]


@pytest.mark.parametrize("vat_id", [None, "IE8256796U"])
def test_a_buyer_in_the_sellers_country_pays_its_standard_rate(vat_id: str | None) -> None:
    assert _short(_decide(_buyer("IE", vat_id))) == ("S", 2300, "IE", "domestic", "domestic")


def test_the_tax_point_decides_the_rate() -> None:
    assert _decide(_buyer("IE"), on=date(2020, 8, 31)).treatment.rate_bp == 2300
    assert _decide(_buyer("IE"), on=date(2020, 9, 1)).treatment.rate_bp == 2100


def test_a_business_of_another_member_state_is_reverse_charged_with_its_code_and_evidence() -> None:
    buyer = BuyerFacts(country="DE", kind="business", vat_id="DE136695976", evidence=VALID)
    found = _decide(buyer)
    assert _short(found) == ("AE", 0, "DE", "reverse_charge", "reverse_charge")
    assert found.treatment.vatex == "VATEX-EU-AE"
    assert found.facts["evidence"] == vars(VALID)
    assert found.facts["article"].endswith("articles 44 and 196")


def test_a_vat_id_that_was_found_invalid_is_none() -> None:
    wrong = Evidence(id="vic_1", method="vies", outcome="invalid", reference=None, at="2016-12-01T00:00:00Z")
    buyer = BuyerFacts(country="DE", kind="business", vat_id="DE136695976", evidence=wrong)
    assert _short(_decide(buyer)) == ("S", 1900, "DE", "oss", "oss")


def test_a_consumer_with_a_vat_id_pays_the_rate_of_home() -> None:
    assert _decide(_buyer("DE", "DE136695976", kind="consumer")).treatment.category == "S"


def test_greece_writes_el_before_its_vat_ids() -> None:
    assert _decide(_buyer("GR", "EL094259216")).treatment.category == "AE"
    assert _decide(_buyer("GR", "GR094259216")).treatment.category == "S"


def test_a_consumer_in_another_member_state_pays_the_rate_of_home_under_the_one_stop_shop() -> None:
    found = _decide(_buyer("DE"))
    assert _short(found) == ("S", 1900, "DE", "oss", "oss")
    assert (found.treatment.registration, found.facts["oss_country"]) == ("IE6388047V", "IE")


def test_without_the_one_stop_shop_a_consumer_pays_the_sellers_rate_under_the_threshold() -> None:
    assert _short(_decide(_buyer("DE"), seller=_seller())) == ("S", 2300, "IE", "domestic", "threshold")


def test_a_local_number_comes_before_the_one_stop_shop_while_it_is_good() -> None:
    local = Registration(scheme="vat", country="DE", number="DE811569869", valid_from=ON, valid_until=date(2017, 1, 31))
    found = _decide(_buyer("DE"), seller=_seller(OSS, local))
    assert (_short(found)[3:], found.treatment.registration) == (("domestic", "local_registration"), "DE811569869")
    assert _decide(_buyer("DE"), seller=_seller(OSS, local), on=date(2017, 2, 1)).facts["rule"] == "oss"


def test_monaco_counts_as_france_and_northern_ireland_as_outside() -> None:
    assert _short(_decide(_buyer("MC"))) == ("S", 2000, "FR", "oss", "oss")
    assert _decide(_buyer("MC", "FR83404833048")).treatment.category == "AE"
    assert _decide(_buyer("GB", "XI123456789")).treatment.category == "O"
    assert _decide(_buyer("IM")).treatment.category == "O"


def test_a_buyer_outside_the_eu_is_not_subject() -> None:
    found = _decide(_buyer("US"))
    assert _short(found) == ("O", 0, "US", "not_subject", "outside_eu")
    assert found.treatment.vatex == "VATEX-EU-O"


def test_a_seller_without_a_vat_id_charges_none() -> None:
    found = _decide(_buyer("IE"), seller=_seller(vat_id=None))
    assert _short(found) == ("O", 0, "IE", "not_subject", "not_registered")
    assert found.treatment.reason == tax.NOT_REGISTERED


def test_a_small_business_charges_none_while_it_is_one() -> None:
    small = Registration(scheme="small_business", country="IE", number=None, valid_from=ON)
    assert _short(_decide(_buyer("IE"), seller=_seller(small))) == ("E", 0, "IE", "small_business", "small_business")
    assert _decide(_buyer("IE"), seller=_seller(small), on=date(2016, 12, 30)).treatment.category == "S"


def _override(category: str, **more: object) -> Override:
    facts: dict[str, object] = {
        "category": category,
        "reason": "Embassy",
        "vatex": None,
        "certificate": "15.10 17/2016",
        "valid_from": None,
        "valid_until": date(2016, 12, 31),
        "delivery_country": None,
    }
    return Override(**facts | more)  # type: ignore[arg-type]


def test_an_exemption_holds_to_its_last_day_and_names_its_certificate() -> None:
    exempt = _override("E", vatex="VATEX-EU-151-1A")
    found = _decide(_buyer("IE", override=exempt))
    assert _short(found) == ("E", 0, "IE", "exempt", "override")
    assert (found.treatment.vatex, found.treatment.reason) == ("VATEX-EU-151-1A", "Embassy")
    assert found.facts["exemption"]["certificate"] == "15.10 17/2016"
    assert _decide(_buyer("IE", override=exempt), on=date(2017, 1, 1)).treatment.category == "S"


@pytest.mark.parametrize(
    ("category", "scheme"), [("Z", "zero_rated"), ("K", "intra_community"), ("G", "export"), ("O", "not_subject")]
)
def test_what_finance_decided_is_done(category: str, scheme: str) -> None:
    found = _decide(_buyer("DE", "DE136695976", override=_override(category, delivery_country="FR")))
    assert _short(found) == (category, 0, "FR", scheme, "override")
    assert (found.treatment.reason is None) == (category == "Z")


def test_a_rate_entered_by_hand_holds_until_another_and_ends_with_none() -> None:
    rates = tuple(
        ManualRate(country="CH", tax_name="MWST", rate_bp=rate, registration="CHE123456788", valid_from=first)
        for rate, first in ((770, date(2018, 1, 1)), (810, date(2024, 1, 1)), (None, date(2025, 1, 1)))
    )
    seller = _seller(rates=rates)
    found = _decide(_buyer("CH"), seller=seller, on=date(2023, 12, 31))
    assert _short(found) == ("S", 770, "CH", "manual", "manual")
    assert found.treatment.registration == "CHE123456788"
    assert _decide(_buyer("CH"), seller=seller, on=date(2024, 1, 1)).treatment.rate_bp == 810
    assert _decide(_buyer("CH"), seller=seller, on=date(2025, 1, 1)).treatment.category == "O"
    assert _decide(_buyer("CH"), seller=seller, on=date(2017, 1, 1)).treatment.category == "O"


def test_a_rate_entered_by_hand_is_charged_by_a_seller_that_is_registered_nowhere_else() -> None:
    rate = ManualRate(country="CH", tax_name="MWST", rate_bp=810, registration="CHE1", valid_from=date(2016, 1, 1))
    found = _decide(_buyer("CH"), seller=_seller(vat_id=None, rates=(rate,)))
    assert found.treatment.rate_bp == 810


def test_no_rate_is_guessed_for_a_day_before_the_table() -> None:
    with pytest.raises(Invalid):
        _decide(_buyer("IE"), on=date(2014, 12, 31))


def test_a_code_stands_only_beside_its_category() -> None:
    assert vatex.require_code("VATEX-EU-132-1A", "E") == "VATEX-EU-132-1A"
    assert "article 132(1)(a)" in vatex.words("VATEX-EU-132-1A")
    with pytest.raises(Invalid):
        vatex.require_code("VATEX-EU-AE", "E")
    with pytest.raises(Invalid):
        vatex.words("VATEX-EU-NONE")


def test_not_subject_stands_alone_on_a_document_and_one_rate_is_of_one_country() -> None:
    at_home = tax.Treatment(category="S", rate_bp=2300, jurisdiction="IE")
    outside = tax.Treatment(category="O", rate_bp=0, jurisdiction="US", reason=tax.OUTSIDE_EU)
    require_one_document([at_home, at_home])
    require_one_document([outside])
    with pytest.raises(TaxMixed):
        require_one_document([at_home, outside])
    with pytest.raises(TaxMixed):
        require_one_document([at_home, tax.Treatment(category="S", rate_bp=2300, jurisdiction="PL")])
