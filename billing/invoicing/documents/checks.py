"""Our own quick check of a document that is about to be issued: the rules that a frozen document can still break, and every cent
worked out again from the XML alone. Pure.

The official schematron is slow, and lets a VAT amount pass that is off by up to 1.00 (BR-CO-17): this one knows cents.
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal

from billing.invoicing.documents import cii, codes, en16931
from billing.invoicing.documents.en16931 import Terms
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DocumentInvalid
from billing.kernel.money import exponent

_RAM = "{urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100}"
_RSM = "{urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100}"
_REASON_NEEDED = ("E", "AE", "K", "G", "O")


def check(document: InvoiceDocument) -> None:
    """Raise DocumentInvalid(rule=...) for a numbered document that EN 16931 refuses, naming the first rule that it breaks.

    A document for which the norm has no XML (`en16931.absence`) has nothing to check here.
    """
    if en16931.absence(document) is not None:
        return
    terms = en16931.of(document)
    _check_parties(terms)
    _check_days(terms)
    _check_groups(terms)
    recompute(cii.write(terms))


def _check_parties(terms: Terms) -> None:
    seller, buyer = terms.seller, terms.buyer
    for party in (seller, buyer):
        _require("BR-CL-14", party.country in codes.COUNTRIES)
    categories = {group.category for group in terms.taxes}
    for category in sorted(categories & {"S", "Z", "E"}):
        _require(f"BR-{category}-02", bool(seller.vat_id or seller.tax_number))
    if "AE" in categories:
        _require("BR-AE-02", bool(seller.vat_id or seller.tax_number) and bool(buyer.vat_id or buyer.legal_id))
    if "K" in categories:
        _require("BR-IC-02", bool(seller.vat_id) and bool(buyer.vat_id))
    if "G" in categories:
        _require("BR-G-02", bool(seller.vat_id))


def _check_days(terms: Terms) -> None:
    if terms.days is not None:
        _require("BR-29", terms.days[0] <= terms.days[1])
    for line in terms.lines:
        if line.days is not None:
            _require("BR-30", line.days[0] <= line.days[1])


def _check_groups(terms: Terms) -> None:
    for group in terms.taxes:
        if group.category in _REASON_NEEDED:
            _require(f"BR-{_rule_name(group.category)}-10", bool(group.reason or group.reason_code))
        else:
            _require(f"BR-{group.category}-10", not group.reason and not group.reason_code)
    _require("BR-53", terms.tax_currency is None or terms.tax_total_in_tax_currency is not None)


def _rule_name(category: str) -> str:
    return {"K": "IC"}.get(category, category)


def recompute(xml: bytes) -> None:
    """Work every sum of a CII file out again from its own texts. Raises DocumentInvalid naming the rule whose cent is missing."""
    invoice = ET.fromstring(xml)  # noqa: S314  we wrote it a moment ago
    deal = _one(invoice, f"{_RSM}SupplyChainTradeTransaction")
    settlement = _one(deal, f"{_RAM}ApplicableHeaderTradeSettlement")
    sums = _one(settlement, f"{_RAM}SpecifiedTradeSettlementHeaderMonetarySummation")
    unit = Decimal(1).scaleb(-exponent(_text(settlement, "InvoiceCurrencyCode")))
    is_credit = _text(_one(invoice, f"{_RSM}ExchangedDocument"), "TypeCode") == codes.CREDIT_NOTE

    groups: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    lines = Decimal(0)
    for line in deal.iterfind(f"{_RAM}IncludedSupplyChainTradeLineItem"):
        amount, group = _line(line, unit)
        groups[group] += amount
        lines += amount
    allowances = Decimal(0)
    for one in settlement.iterfind(f"{_RAM}SpecifiedTradeAllowanceCharge"):
        amount = _amount(one, "ActualAmount")
        _require("BR-31", amount > 0)
        groups[_group(_one(one, f"{_RAM}CategoryTradeTax"))] -= amount
        allowances += amount
    tax = _check_taxes(settlement, dict(groups), unit, is_credit=is_credit)

    net, gross = _amount(sums, "TaxBasisTotalAmount"), _amount(sums, "GrandTotalAmount")
    _require("BR-CO-10", _amount(sums, "LineTotalAmount") == lines)
    _require("BR-CO-11", _amount(sums, "AllowanceTotalAmount") == allowances)
    _require("BR-CO-13", net == lines - allowances)
    _require("BR-CO-14", _amount(sums, "TaxTotalAmount") == tax)
    _require("BR-CO-15", gross == net + tax)
    due = gross - _amount(sums, "TotalPrepaidAmount") + _amount(sums, "RoundingAmount")
    _require("BR-CO-16", _amount(sums, "DuePayableAmount") == due)


def _line(line: ET.Element, unit: Decimal) -> tuple[Decimal, tuple[str, str]]:
    """The net amount of a line, which quantity, price and base explain, and its VAT group."""
    price = _one(line, f"{_RAM}SpecifiedLineTradeAgreement/{_RAM}NetPriceProductTradePrice")
    quantity = _amount(_one(line, f"{_RAM}SpecifiedLineTradeDelivery"), "BilledQuantity")
    settlement = _one(line, f"{_RAM}SpecifiedLineTradeSettlement")
    sums = _one(settlement, f"{_RAM}SpecifiedTradeSettlementLineMonetarySummation")
    amount, charged = _amount(sums, "LineTotalAmount"), _amount(price, "ChargeAmount")
    _require("BR-27", charged >= 0)
    exact = quantity * charged / _amount(price, "BasisQuantity")
    _require("BT-131", exact.quantize(unit, ROUND_HALF_UP) == amount)
    return amount, _group(_one(settlement, f"{_RAM}ApplicableTradeTax"))


def _check_taxes(
    settlement: ET.Element, groups: dict[tuple[str, str], Decimal], unit: Decimal, *, is_credit: bool
) -> Decimal:
    """The sum of the VAT groups, each of which is its lines less allowances, and its rate of that.

    A credit note's VAT is a difference of two rounded sums (`credits`): alone it may be off by one of the currency's smallest unit.
    """
    total = Decimal(0)
    seen = set()
    for one in settlement.iterfind(f"{_RAM}ApplicableTradeTax"):
        group = _group(one)
        basis, tax = _amount(one, "BasisAmount"), _amount(one, "CalculatedAmount")
        _require("BR-S-08", groups.get(group) == basis)
        expected = (basis * Decimal(group[1] or 0) / 100).quantize(unit, ROUND_HALF_UP)
        _require("BR-CO-17", abs(tax - expected) <= (unit if is_credit else 0))
        seen.add(group)
        total += tax
    _require("BR-CO-18", seen == set(groups))
    return total


def _group(tax: ET.Element) -> tuple[str, str]:
    return _text(tax, "CategoryCode"), _text(tax, "RateApplicablePercent")


def _one(element: ET.Element, path: str) -> ET.Element:
    found = element.find(path)
    if found is None:
        raise DocumentInvalid(rule="structure", cause=path.rpartition("}")[2])
    return found


def _text(element: ET.Element, name: str) -> str:
    return element.findtext(f"{_RAM}{name}", "")


def _amount(element: ET.Element, name: str) -> Decimal:
    """The first amount of that name; what is not there is nothing."""
    return Decimal(_text(element, name) or 0)


def _require(rule: str, holds: bool) -> None:
    if not holds:
        raise DocumentInvalid(rule=rule)
