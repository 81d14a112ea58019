"""How a supply is taxed, from dated facts about seller and buyer. Pure: the same facts give the same answer for ever.

What led to it is given back beside it, in plain values: it is frozen with the document and shown as "why this tax".
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.invoicing.tax import NOT_REGISTERED, OUTSIDE_EU, REVERSE_CHARGE, Treatment, is_vat_id_of
from billing.reference import vat_rates, vatex

_DIRECTIVE = "Directive 2006/112/EC"
_SMALL_BUSINESS = f"Exempt: the seller is a small business ({_DIRECTIVE}, article 284)"
ARTICLES = {
    "small_business": f"{_DIRECTIVE}, article 284",
    "not_registered": "",
    "override": "",
    "manual": "",
    "outside_eu": f"{_DIRECTIVE}, articles 44 and 59",
    "domestic": f"{_DIRECTIVE}, articles 44 and 45",
    "reverse_charge": f"{_DIRECTIVE}, articles 44 and 196",
    "local_registration": f"{_DIRECTIVE}, article 58",
    "oss": f"{_DIRECTIVE}, articles 58 and 369a to 369k",
    "threshold": f"{_DIRECTIVE}, article 59c",
}
"""Rule -> the article that says so; empty where it is not the directive that does."""


@dataclass(frozen=True, kw_only=True)
class Registration:
    """Where the seller is registered: scheme vat, oss or small_business, from a first to a last day (None: until further notice)."""

    scheme: str
    country: str
    number: str | None
    valid_from: date
    valid_until: date | None = None

    def holds(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return self.valid_from <= on and (self.valid_until is None or on <= self.valid_until)


@dataclass(frozen=True, kw_only=True)
class ManualRate:
    """A rate entered by hand for a country from a day on; `rate_bp` None ends it."""

    country: str
    tax_name: str
    rate_bp: int | None
    registration: str
    valid_from: date


@dataclass(frozen=True, kw_only=True)
class Override:
    """What finance decided about a buyer: its supplies are of this category, by which certificate, on which days."""

    category: str
    reason: str
    vatex: str | None
    certificate: str | None
    valid_from: date | None
    valid_until: date | None
    delivery_country: str | None

    def holds(self, on: date) -> bool:
        """Whether it is in force on a day."""
        return (self.valid_from is None or self.valid_from <= on) and (
            self.valid_until is None or on <= self.valid_until
        )


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The last answer about the buyer's VAT id: method format, vies or manual; outcome valid, invalid or unavailable."""

    id: str
    method: str
    outcome: str
    reference: str | None
    at: str  # RFC 3339


@dataclass(frozen=True, kw_only=True)
class SellerFacts:
    """What matters of the seller."""

    country: str
    vat_id: str | None
    registrations: Sequence[Registration] = ()
    manual_rates: Sequence[ManualRate] = ()


@dataclass(frozen=True, kw_only=True)
class BuyerFacts:
    """What matters of the buyer; kind is business or consumer."""

    country: str
    kind: str
    vat_id: str | None = None
    evidence: Evidence | None = None
    override: Override | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A treatment and what led to it, as plain values."""

    treatment: Treatment
    facts: dict[str, Any]


def determine(seller: SellerFacts, buyer: BuyerFacts, *, on: date) -> Decision:
    """The treatment of a cloud service supplied on a day (`on` is the tax point: the last day of what is billed).

    In this order: a small business charges none; a seller that is registered nowhere charges none; what finance decided about the
    buyer; a rate entered by hand for the buyer's country; outside the EU not subject; at home the home rate; to a business of
    another member state with a VAT id that was not found invalid, reverse charge; to anybody else there its own rate, under a local
    number or the one stop shop, and without either the seller's own rate under the threshold. Raises Invalid where no rate is held.
    """
    home, there = vat_rates.vat_country(seller.country), vat_rates.vat_country(buyer.country)
    rule, treatment = _decide(seller, buyer, home, there, on)
    return Decision(treatment=treatment, facts=_facts(seller, buyer, on, rule, treatment))


def _decide(seller: SellerFacts, buyer: BuyerFacts, home: str, there: str, on: date) -> tuple[str, Treatment]:
    small = _registration(seller, "small_business", home, on)
    if small is not None:
        code = "VATEX-FR-FRANCHISE" if home == "FR" else None
        reason = vatex.words(code) if code else _SMALL_BUSINESS
        return "small_business", _none("E", home, reason, "small_business", small.number, code)
    manual = _manual_rate(seller, there, on)
    is_registered = bool(seller.vat_id) and vat_rates.is_member_state(home)
    if not is_registered and manual is None:
        return "not_registered", _none("O", home, NOT_REGISTERED, "not_subject", None, "VATEX-EU-O")
    override = buyer.override
    if override is not None and override.holds(on):
        return "override", _overridden(override, seller, there)
    if manual is not None:
        return "manual", _manual(manual)
    if not vat_rates.is_member_state(there):
        return "outside_eu", _none("O", there, OUTSIDE_EU, "not_subject", None, "VATEX-EU-O")
    return _inside(seller, buyer, home, there, on)


def _inside(seller: SellerFacts, buyer: BuyerFacts, home: str, there: str, on: date) -> tuple[str, Treatment]:
    """Within the European Union, by a seller that is registered in it."""
    if there == home:
        return "domestic", _standard(home, on, "domestic", seller.vat_id)
    if buyer.kind == "business" and is_vat_id_of(buyer.vat_id, there) and not _is_invalid(buyer):
        return "reverse_charge", _none("AE", there, REVERSE_CHARGE, "reverse_charge", seller.vat_id, "VATEX-EU-AE")
    local = _registration(seller, "vat", there, on)
    if local is not None:
        return "local_registration", _standard(there, on, "domestic", local.number)
    oss = _registration(seller, "oss", None, on)
    if oss is not None:
        return "oss", _standard(there, on, "oss", oss.number)
    return "threshold", _standard(home, on, "domestic", seller.vat_id)


def _standard(country: str, on: date, scheme: str, registration: str | None) -> Treatment:
    rate_bp = vat_rates.standard_rate_bp(country, on)
    return Treatment(category="S", rate_bp=rate_bp, jurisdiction=country, scheme=scheme, registration=registration)


def _none(
    category: str, jurisdiction: str, reason: str, scheme: str, registration: str | None, code: str | None
) -> Treatment:
    return Treatment(
        category=category,
        rate_bp=0,
        jurisdiction=jurisdiction,
        reason=reason,
        vatex=code,
        scheme=scheme,
        registration=registration,
    )


_SCHEMES = {"Z": "zero_rated", "E": "exempt", "K": "intra_community", "G": "export", "O": "not_subject"}


def _overridden(override: Override, seller: SellerFacts, there: str) -> Treatment:
    jurisdiction = override.delivery_country or there
    registration = None if override.category == "O" else seller.vat_id
    if override.category == "Z":  # BR-Z-10: says no reason
        return Treatment(
            category="Z", rate_bp=0, jurisdiction=jurisdiction, scheme="zero_rated", registration=registration
        )
    scheme = _SCHEMES[override.category]
    return _none(override.category, jurisdiction, override.reason, scheme, registration, override.vatex)


def _manual(rate: ManualRate) -> Treatment:
    category = "S" if rate.rate_bp else "Z"
    return Treatment(
        category=category,
        rate_bp=rate.rate_bp or 0,
        jurisdiction=rate.country,
        scheme="manual",
        registration=rate.registration,
    )


def _manual_rate(seller: SellerFacts, country: str, on: date) -> ManualRate | None:
    """The rate in force: the last one entered among those of the latest first day. None where it was ended, or none was entered."""
    if vat_rates.is_member_state(country):
        return None
    own = [rate for rate in seller.manual_rates if rate.country == country and rate.valid_from <= on]
    last = max(enumerate(own), key=lambda item: (item[1].valid_from, item[0]), default=None)
    return last[1] if last is not None and last[1].rate_bp is not None else None


def _registration(seller: SellerFacts, scheme: str, country: str | None, on: date) -> Registration | None:
    for each in seller.registrations:
        if each.scheme == scheme and country in (None, vat_rates.vat_country(each.country)) and each.holds(on):
            return each
    return None


def _is_invalid(buyer: BuyerFacts) -> bool:
    return buyer.evidence is not None and buyer.evidence.outcome == "invalid"


def _facts(seller: SellerFacts, buyer: BuyerFacts, on: date, rule: str, treatment: Treatment) -> dict[str, Any]:
    evidence, override = buyer.evidence, buyer.override
    oss = _registration(seller, "oss", None, on)
    return {
        "on": on.isoformat(),
        "category": treatment.category,
        "rate_bp": treatment.rate_bp,
        "jurisdiction": treatment.jurisdiction,
        "scheme": treatment.scheme,
        "registration": treatment.registration,
        "rule": rule,
        "article": ARTICLES[rule],
        "seller_country": seller.country,
        "seller_vat_id": seller.vat_id,
        "oss_country": oss.country if oss is not None and rule == "oss" else None,
        "buyer_country": buyer.country,
        "buyer_kind": buyer.kind,
        "buyer_vat_id": buyer.vat_id,
        "evidence": None if evidence is None else dict(vars(evidence)),
        "exemption": None
        if override is None or rule != "override"
        else {
            "category": override.category,
            "reason": override.reason,
            "vatex": override.vatex,
            "certificate": override.certificate,
            "valid_until": override.valid_until.isoformat() if override.valid_until else None,
            "delivery_country": override.delivery_country,
        },
        "provider": None,
    }
