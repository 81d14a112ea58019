"""Every cent of an e-invoice worked out again from its XML alone, with code that shares nothing with ours: Decimal and the names of
the norm."""

from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from xml.etree import ElementTree

_DECIMALS = {"JPY": 0}


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a file says: lines as (quantity, price, base, amount, category, rate), allowances as (amount, category, rate), charges among
    them below zero, VAT groups as (basis, tax, category, rate), sums by their BT."""

    number: str
    type_code: str
    currency: str
    lines: list[tuple[Decimal, Decimal, Decimal, Decimal, str, str]]
    allowances: list[tuple[Decimal, str, str]]
    groups: list[tuple[Decimal, Decimal, str, str]]
    sums: dict[str, Decimal]
    names: list[str]


def read(xml: bytes, syntax: str) -> Said:
    """A CII or UBL file."""
    tree = ElementTree.fromstring(xml)  # noqa: S314  ours, or the norm's own examples
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    return _cii(tree) if syntax == "cii" else _ubl(tree)


def differences(said: Said) -> list[str]:
    """Sums that are not what their parts come to. A credit note's VAT may differ by one smallest unit: it is a difference of sums."""
    unit = Decimal(1).scaleb(-_DECIMALS.get(said.currency, 2))
    found = []

    def same(what: str, stated: Decimal, expected: Decimal, tolerance: Decimal = Decimal(0)) -> None:
        if abs(stated - expected) > tolerance:
            found.append(f"{what}: {stated}, not {expected}")

    groups: Counter[tuple[str, str]] = Counter()
    for seq, (quantity, price, base, amount, category, rate) in enumerate(said.lines, start=1):
        same(f"line {seq}", amount, (quantity * price / base).quantize(unit, ROUND_HALF_UP))
        if price < 0:
            found.append(f"line {seq}: a price below zero")
        groups[category, rate] += amount  # type: ignore[assignment]
    for amount, category, rate in said.allowances:
        groups[category, rate] -= amount  # type: ignore[assignment]
    for basis, tax, category, rate in said.groups:
        same(f"BT-116 {category} {rate}", basis, Decimal(groups.pop((category, rate), -1)))
        expected = (basis * Decimal(rate or 0) / 100).quantize(unit, ROUND_HALF_UP)
        same(f"BT-117 {category} {rate}", tax, expected, unit if said.type_code == "381" else Decimal(0))
    found += [f"no VAT group {key}" for key in groups]
    sums = said.sums
    same("BT-106", sums["BT-106"], sum((line[3] for line in said.lines), Decimal(0)))
    same("BT-107", sums["BT-107"], sum((one[0] for one in said.allowances if one[0] > 0), Decimal(0)))
    same("BT-108", sums["BT-108"], -sum((one[0] for one in said.allowances if one[0] < 0), Decimal(0)))
    same("BT-109", sums["BT-109"], sums["BT-106"] - sums["BT-107"] + sums["BT-108"])
    same("BT-110", sums["BT-110"], sum((group[1] for group in said.groups), Decimal(0)))
    same("BT-112", sums["BT-112"], sums["BT-109"] + sums["BT-110"])
    same("BT-115", sums["BT-115"], sums["BT-112"] - sums["BT-113"] + sums["BT-114"])
    return found


def _number(element: ElementTree.Element, path: str) -> Decimal:
    return Decimal(element.findtext(path) or 0)


def _rate(element: ElementTree.Element, path: str) -> str:
    """A rate without further zeros, "" where none is said."""
    text = element.findtext(path)
    return f"{Decimal(text).normalize():f}" if text else ""


def _is(element: ElementTree.Element, path: str) -> bool:
    return element.findtext(path, "").strip() == "true"


def _one(element: ElementTree.Element, path: str) -> ElementTree.Element:
    found = element.find(path)
    assert found is not None, path
    return found


def _cii(tree: ElementTree.Element) -> Said:
    settlement = _one(tree, ".//ApplicableHeaderTradeSettlement")
    sums = _one(settlement, "SpecifiedTradeSettlementHeaderMonetarySummation")
    lines = list(tree.iter("IncludedSupplyChainTradeLineItem"))
    line = "SpecifiedLineTradeSettlement"
    currency = settlement.findtext("InvoiceCurrencyCode", "")
    taxes = {one.get("currencyID"): Decimal(one.text or 0) for one in sums.findall("TaxTotalAmount")}
    return Said(
        number=tree.findtext("ExchangedDocument/ID", ""),
        type_code=tree.findtext("ExchangedDocument/TypeCode", ""),
        currency=currency,
        lines=[
            (
                _number(one, "SpecifiedLineTradeDelivery/BilledQuantity"),
                _number(one, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/ChargeAmount"),
                _number(one, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/BasisQuantity"),
                _number(one, f"{line}/SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount"),
                one.findtext(f"{line}/ApplicableTradeTax/CategoryCode", ""),
                _rate(one, f"{line}/ApplicableTradeTax/RateApplicablePercent"),
            )
            for one in lines
        ],
        allowances=[
            (
                -_number(one, "ActualAmount")
                if _is(one, "ChargeIndicator/Indicator")
                else _number(one, "ActualAmount"),
                one.findtext("CategoryTradeTax/CategoryCode", ""),
                _rate(one, "CategoryTradeTax/RateApplicablePercent"),
            )
            for one in settlement.findall("SpecifiedTradeAllowanceCharge")
        ],
        groups=[
            (
                _number(one, "BasisAmount"),
                _number(one, "CalculatedAmount"),
                one.findtext("CategoryCode", ""),
                _rate(one, "RateApplicablePercent"),
            )
            for one in settlement.findall("ApplicableTradeTax")
        ],
        sums={
            "BT-106": _number(sums, "LineTotalAmount"),
            "BT-107": _number(sums, "AllowanceTotalAmount"),
            "BT-108": _number(sums, "ChargeTotalAmount"),
            "BT-109": _number(sums, "TaxBasisTotalAmount"),
            "BT-110": taxes.get(currency, Decimal(0)),
            "BT-111": next((tax for code, tax in taxes.items() if code != currency), Decimal(0)),
            "BT-112": _number(sums, "GrandTotalAmount"),
            "BT-113": _number(sums, "TotalPrepaidAmount"),
            "BT-114": _number(sums, "RoundingAmount"),
            "BT-115": _number(sums, "DuePayableAmount"),
        },
        names=[one.findtext("SpecifiedTradeProduct/Name", "") for one in lines],
    )


def _ubl(tree: ElementTree.Element) -> Said:
    is_note = tree.tag == "CreditNote"
    lines = tree.findall("CreditNoteLine" if is_note else "InvoiceLine")
    sums = _one(tree, "LegalMonetaryTotal")
    currency = tree.findtext("DocumentCurrencyCode", "")
    totals = {_one(one, "TaxAmount").get("currencyID"): one for one in tree.findall("TaxTotal")}
    other = next((one for code, one in totals.items() if code != currency), None)
    return Said(
        number=tree.findtext("ID", ""),
        type_code=tree.findtext("CreditNoteTypeCode" if is_note else "InvoiceTypeCode", ""),
        currency=currency,
        lines=[
            (
                _number(one, "CreditedQuantity" if is_note else "InvoicedQuantity"),
                _number(one, "Price/PriceAmount"),
                _number(one, "Price/BaseQuantity"),
                _number(one, "LineExtensionAmount"),
                one.findtext("Item/ClassifiedTaxCategory/ID", ""),
                _rate(one, "Item/ClassifiedTaxCategory/Percent"),
            )
            for one in lines
        ],
        allowances=[
            (
                -_number(one, "Amount") if _is(one, "ChargeIndicator") else _number(one, "Amount"),
                one.findtext("TaxCategory/ID", ""),
                _rate(one, "TaxCategory/Percent"),
            )
            for one in tree.findall("AllowanceCharge")
        ],
        groups=[
            (
                _number(one, "TaxableAmount"),
                _number(one, "TaxAmount"),
                one.findtext("TaxCategory/ID", ""),
                _rate(one, "TaxCategory/Percent"),
            )
            for one in totals[currency].findall("TaxSubtotal")
        ],
        sums={
            "BT-106": _number(sums, "LineExtensionAmount"),
            "BT-107": _number(sums, "AllowanceTotalAmount"),
            "BT-108": _number(sums, "ChargeTotalAmount"),
            "BT-109": _number(sums, "TaxExclusiveAmount"),
            "BT-110": _number(totals[currency], "TaxAmount"),
            "BT-111": _number(other, "TaxAmount") if other is not None else Decimal(0),
            "BT-112": _number(sums, "TaxInclusiveAmount"),
            "BT-113": _number(sums, "PrepaidAmount"),
            "BT-114": _number(sums, "PayableRoundingAmount"),
            "BT-115": _number(sums, "PayableAmount"),
        },
        names=[one.findtext("Item/Name", "") for one in lines],
    )
