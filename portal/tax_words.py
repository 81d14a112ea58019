"""Why a document is taxed as it is, in sentences: from the facts that were frozen with it and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.taxes.determination import Decision
from billing.kernel.clock import parse_instant
from billing.rendering import formats, places
from portal.filters import reader_locale

SCHEMES = {
    "domestic": "Domestic",
    "oss": "One stop shop",
    "reverse_charge": "Reverse charge",
    "export": "Export",
    "intra_community": "Intra-community supply",
    "zero_rated": "Zero-rated",
    "exempt": "Exempt",
    "small_business": "Small business",
    "not_subject": "Not subject to VAT",
    "manual": "Rate entered by hand",
    "provider": "Worked out by a provider",
    "bad_debt_relief": "Relief for bad debt",
    "correction": "Correction by finance",
}
KINDS = {"business": "Business", "consumer": "Consumer"}
METHODS = {
    "format": "Its form and check digits are right; no register was asked",
    "vies": "Asked at VIES",
    "manual": "Accepted by hand, with a reason",
}
OUTCOMES = {"asked": "Asked", "valid": "Valid", "invalid": "Not valid", "unavailable": "No answer"}
OVERRIDES = {
    "E": "Exempt, with a certificate",
    "Z": "Zero-rated",
    "K": "Intra-community supply of goods",
    "G": "Export",
    "O": "Not subject to VAT",
}


@dataclass(frozen=True, kw_only=True)
class Why:
    """One decision: a sentence that says it, then facts as label and value."""

    title: str
    sentence: str
    facts: tuple[tuple[str, str], ...]


def why(document: InvoiceDocument) -> list[Why]:
    """The decisions of a document, one per tax point; none for documents from before they were kept."""
    return [_why(facts) for facts in document.tax_facts.get("decisions", ())]


def of_decision(decision: Decision) -> Why:
    """A decision that no document holds yet."""
    return _why(decision.facts)


def scheme(code: str | None) -> str:
    """A scheme in words."""
    return SCHEMES.get(code or "", code or "")


def _why(facts: Mapping[str, Any]) -> Why:
    rate = formats.percent(facts["rate_bp"], locale=reader_locale())
    where = places.country(facts["jurisdiction"])
    title = f"VAT {rate}, {where}" if facts["rate_bp"] else f"No VAT charged: {_lowered(scheme(facts['scheme']))}"
    return Why(title=title, sentence=_sentence(facts, rate), facts=tuple(_facts(facts)))


def _lowered(words: str) -> str:
    """As it stands inside a sentence: "not subject to VAT"."""
    return words[:1].lower() + words[1:]


def _sentence(facts: Mapping[str, Any], rate: str) -> str:
    seller, buyer = places.country(facts["seller_country"]), places.country(facts["buyer_country"])
    where = places.country(facts["jurisdiction"])
    sentences = {
        "small_business": "The seller is a small business and charges no VAT.",
        "not_registered": "The seller is not registered for VAT and charges none.",
        "manual": f"{where} taxes this supply at {rate}: a rate that two people of the seller's finance entered.",
        "outside_eu": f"The customer is in {buyer}, outside the European Union: the supply is not subject to VAT here.",
        "domestic": f"Seller and customer are both in {seller}: its standard rate of {rate} applies.",
        "reverse_charge": (
            f"The customer is a business in {buyer} with a VAT id, the seller is in {seller}: the customer owes the VAT itself."
        ),
        "local_registration": f"The customer is in {buyer}, where the seller is registered for VAT: {rate} applies.",
        "oss": (
            f"The customer is a consumer in {buyer}, or a business without a valid VAT id: {buyer}'s rate of {rate} "
            f"applies, declared through the one stop shop."
        ),
        "threshold": (
            f"The customer is a consumer in {buyer}. The seller has not joined the one stop shop and stays below the "
            f"European threshold: the rate of {seller}, {rate}, applies."
        ),
        "provider": f"A tax provider worked out {rate} for {where}.",
    }
    if facts["rule"] == "override":
        exemption = facts.get("exemption") or {}
        return f"{OVERRIDES.get(exemption.get('category', ''), 'Decided by finance')}: {exemption.get('reason', '')}."
    return sentences.get(facts["rule"], f"{scheme(facts['scheme'])}: {rate}.")


def _facts(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    evidence, exemption, provider = facts.get("evidence"), facts.get("exemption"), facts.get("provider")
    made = [
        ("Tax point", _day(facts["on"])),
        ("Jurisdiction", places.country(facts["jurisdiction"])),
        ("Rule", facts["article"]),
        ("Declared under", facts.get("registration") or ""),
        ("One stop shop in", places.country(facts["oss_country"]) if facts.get("oss_country") else ""),
        ("Customer", f"{KINDS[facts['buyer_kind']]} in {places.country(facts['buyer_country'])}"),
        ("Customer's VAT id", facts.get("buyer_vat_id") or ""),
    ]
    if evidence and facts.get("buyer_vat_id"):
        at = formats.day(parse_instant(evidence["at"]).date(), locale=reader_locale())
        told = f"{OUTCOMES[evidence['outcome']]} on {at}. {METHODS[evidence['method']]}."
        made.append(("VAT id looked at", told))
        made.append(("Consultation number", evidence.get("reference") or ""))
    if exemption:
        made.append(("Reason code", exemption.get("vatex") or ""))
        made.append(("Certificate", exemption.get("certificate") or ""))
        made.append(("Good until", _day(exemption["valid_until"]) if exemption.get("valid_until") else ""))
        delivery = exemption.get("delivery_country")
        made.append(("Delivered to", places.country(delivery) if delivery else ""))
    if provider:
        made.append(("Worked out by", provider.get("name", "")))
        made.append(("Calculation", provider.get("reference", "")))
    return [(label, value) for label, value in made if value]


def _day(text: str) -> str:
    return formats.day(date.fromisoformat(text), locale=reader_locale())
