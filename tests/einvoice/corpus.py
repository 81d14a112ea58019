"""Documents of every kind that we issue, frozen by hand where the small worlds of the services have none: names and what they are."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from billing.invoicing.documents.model import (
    Allowance,
    Conversion,
    InvoiceDocument,
    Line,
    Party,
    Tax,
    TaxCurrency,
)

ON = date(2026, 11, 21)
SELLER = Party(
    name="Plumbline Cloud Ltd",
    street="1 Quay Street",
    city="Dublin",
    postcode="D02 X285",
    country="IE",
    vat_id="IE6388047V",
    email="billing@plumbline.example",
    legal_id="512345",
    tax_number="6388047V",
    phone="+353 1 555 0100",
)
BUYER = Party(
    name="Calla Labs GmbH",
    street="Torstraße 1",
    city="Berlin",
    postcode="10119",
    country="DE",
    vat_id="DE136695976",
    email="ap@calla.example",
)
_FACTS: dict[str, dict[str, Any]] = {
    "S": {"reason": None},
    "Z": {"reason": None},
    "E": {"reason": "Exempt: medical research, article 132", "vatex": "VATEX-EU-132-1B"},
    "AE": {"reason": "Reverse charge", "vatex": "VATEX-EU-AE"},
    "K": {"reason": "Intra-community supply", "vatex": "VATEX-EU-IC"},
    "G": {"reason": "Export outside the European Union", "vatex": "VATEX-EU-G"},
    "O": {"reason": "Not subject to VAT: the place of supply is outside the Union", "vatex": "VATEX-EU-O"},
}


def item(net_minor: int, category: str = "S", rate_bp: int = 1900, **changes: Any) -> Line:
    """One item at its amount."""
    values: dict[str, Any] = {
        "id": "inl_1",
        "seq": 1,
        "description": "Analytics reports",
        "detail": "1500 reports: up to 1000 at 1.00, then 0.50",
        "quantity_text": "-1" if net_minor < 0 else "1",
        "unit": "item",
        "unit_price_text": f"{Decimal(abs(net_minor)).scaleb(-2)}",
        "price_base_text": "1",
        "beside_text": "",
        "priced_unit": "item",
        "amount_minor": net_minor,
        "tax_category": category,
        "tax_rate_bp": rate_bp if category == "S" else 0,
        "charge_id": "chg_1",
        "service_from_on": date(2026, 10, 1),
        "service_to_on": date(2026, 10, 31),
    }
    return Line(**(values | changes))


def usage(quantity: str, unit: str, price: str, base: str = "1", **changes: Any) -> Line:
    """Plain usage at a price, its amount the exact product rounded once."""
    exact = Decimal(quantity) * Decimal(price) / Decimal(base)
    net = int((exact * 100).quantize(Decimal(1), ROUND_HALF_UP))
    stated = {"quantity_text": quantity, "unit": unit, "unit_price_text": price, "price_base_text": base, "detail": ""}
    return item(net, **(stated | {"description": "CPU time", "priced_unit": unit} | changes))


def document(*lines: Line, allowances: tuple[Allowance, ...] = (), **changes: Any) -> InvoiceDocument:
    """An invoice of these lines with the VAT and sums that follow from them."""
    signed = [(one.tax_category, one.tax_rate_bp, one.amount_minor) for one in lines]
    signed += [(one.tax_category, one.tax_rate_bp, -one.amount_minor) for one in allowances]
    sums: dict[tuple[str, int], int] = {}
    for category, rate_bp, amount in signed:
        sums[category, rate_bp] = sums.get((category, rate_bp), 0) + amount
    taxes = []
    for (category, rate_bp), net in sorted(sums.items()):
        tax = int((Decimal(net) * rate_bp / 10_000).quantize(Decimal(1), ROUND_HALF_UP))
        taxes.append(
            Tax(
                category=category,
                rate_bp=rate_bp,
                jurisdiction="IE",
                taxable_minor=net,
                tax_minor=tax,
                **_FACTS[category],
            )
        )
    taxes = changes.pop("taxes", taxes)
    net_minor, tax_minor = sum(sums.values()), sum(group.tax_minor for group in taxes)
    prepaid, rounding = changes.get("prepaid_minor", 0), changes.get("rounding_minor", 0)
    total = net_minor + tax_minor
    is_note = changes.get("kind") == "credit_note"
    note = {"corrects_number": "INV-2026-000007", "corrects_on": date(2026, 11, 2), "reason": "Outage in October"}
    values: dict[str, Any] = {
        "id": "drf_1",
        "kind": "invoice",
        "number": "CN-2026-000042" if is_note else "INV-2026-000042",
        "issued_on": ON,
        "due_on": None if is_note else date(2026, 12, 5),
        "currency": "EUR",
        "account_code": "calla",
        "zone": "Europe/Berlin",
        "period_label": "2026-10",
        "period_start_at": datetime(2026, 9, 30, 22, tzinfo=UTC),
        "period_end_at": datetime(2026, 10, 31, 23, tzinfo=UTC),
        "seller": SELLER,
        "buyer": BUYER,
        "purchase_order": "PO-4711",
        "bank_account": None if is_note else "IE29AIBK93115212345678",
        "bic": None if is_note else "AIBKIE2D",
        "bank_name": None if is_note else "AIB",
        "terms_days": None if is_note else 14,
        "corrects_number": None,
        "corrects_on": None,
        "reason": None,
        "lines": tuple(replace(one, id=f"inl_{seq}", seq=seq) for seq, one in enumerate(lines, start=1)),
        "taxes": tuple(taxes),
        "net_minor": net_minor,
        "tax_minor": tax_minor,
        "total_minor": total,
        "rounding_minor": 0,
        "prepaid_minor": 0,
        "due_minor": total - prepaid + rounding,
        "to_receivable_minor": total + rounding if is_note else 0,
        "to_wallet_minor": 0,
        "allowances": tuple(replace(one, seq=seq) for seq, one in enumerate(allowances, start=1)),
        "allowance_minor": sum(one.amount_minor for one in allowances),
        "tax_point_on": date(2026, 10, 31),
    }
    return InvoiceDocument(**(values | (note if is_note else {}) | changes))


def allowance(amount_minor: int, kind: str = "discount", category: str = "S", rate_bp: int = 1900) -> Allowance:
    """A discount or a gift."""
    return Allowance(
        seq=1,
        kind=kind,
        grant_id="grt_1" if kind == "promo" else None,
        reason="Welcome" if kind == "promo" else "Launch partner",
        tax_category=category,
        tax_rate_bp=rate_bp if category == "S" else 0,
        amount_minor=amount_minor,
    )


def many(count: int) -> InvoiceDocument:
    """A document of that many lines of usage."""
    some = [usage(f"{94439347 + 7 * seq}.2", "core-second", "0.50", "3600") for seq in range(count)]
    return document(*some)


def _yen(amount: int, **changes: Any) -> Line:
    return item(amount, rate_bp=1000, unit_price_text=str(abs(amount)), **changes)


def _gross(net: int, gross: int, rate_bp: int) -> Line:
    return item(net, rate_bp=rate_bp, gross_minor=gross, unit_price_text=f"{Decimal(gross).scaleb(-2)}")


_ABROAD = replace(BUYER, country="US", vat_id=None, city="Portland", postcode="97201", name="Tidewater Inc.")
_CONSUMER = replace(BUYER, vat_id=None, name="Jane Müller", email=None)
_GREEK = replace(BUYER, country="GR", vat_id="EL094259216", city="Αθήνα", name="Κύμα ΑΕ")
_PLAIN_SELLER = replace(SELLER, legal_id=None, tax_number=None, phone=None, email=None)
_UNREGISTERED = replace(SELLER, vat_id=None, legal_id=None, tax_number=None)
_CONVERTED = Conversion(
    currency="USD", amount_text="12.5", rate_text="0.8951", rate_on="2026-10-30", snapshot_id="fxs_1"
)
_IN_STERLING = TaxCurrency(
    currency="GBP", tax_minor=1652, rate_text="0.8695", rate_on="2026-10-30", snapshot_id="fxs_1"
)
_SALE = item(
    100_000,
    description="Commitment 2026",
    detail="",
    contract_id="con_1",
    charge_id=None,
    service_from_on=None,
    service_to_on=None,
)
_NO_PERIOD = {"period_label": None, "period_start_at": None, "period_end_at": None}
_DRAWDOWN = item(
    -80_000, description="Commitment 2026", contract_id="con_1", covers={"compute": 80_000}, charge_id=None
)
_OFF_BY_ONE = (Tax(category="S", rate_bp=1900, jurisdiction="DE", taxable_minor=33, tax_minor=7, reason=None),)

CORPUS: dict[str, InvoiceDocument] = {
    "standard": document(usage("94439347.2", "core-second", "0.50", "3600"), item(125_000)),
    "zero rate": document(item(12_345, "Z")),
    "exempt": document(item(12_345, "E")),
    "reverse charge": document(usage("1200", "core-second", "0.50", "3600", tax_category="AE", tax_rate_bp=0)),
    "intra-community": document(item(5_000, "K")),
    "intra-community without a period": document(item(5_000, "K"), **_NO_PERIOD),
    "export": document(item(5_000, "G"), buyer=_ABROAD),
    "not subject": document(item(5_000, "O"), buyer=_ABROAD),
    "not subject, seller without any number": document(item(5_000, "O"), seller=_UNREGISTERED, buyer=_ABROAD),
    "dollars": document(item(10_007), currency="USD"),
    "yen": document(_yen(12_345), _yen(7), currency="JPY"),
    "sterling for a tax office": document(item(10_000), tax_currency=_IN_STERLING),
    "three times 0.33": document(item(33), item(33), item(33)),
    "two rates": document(item(10_001), item(10_001, rate_bp=700)),
    "late usage at another rate": document(
        item(10_000), item(990, rate_bp=1600, detail="Late usage for 2026-09", service_from_on=date(2026, 9, 1))
    ),
    "standard and reverse charge": document(item(10_000), item(5_000, "AE")),
    "standard and exempt and zero": document(item(10_000), item(5_000, "E"), item(100, "Z")),
    "prepaid in part": document(item(13_000), prepaid_minor=10_000),
    "prepaid whole": document(item(13_000), prepaid_minor=15_470),
    "inclusive 2.99 at 4 %": document(_gross(288, 299, 400), prices_include_tax=True, rounding_minor=-1),
    "inclusive of two rates": document(_gross(10_000, 11_900, 1900), _gross(935, 1_000, 700), prices_include_tax=True),
    "a correction below zero": document(item(10_000), item(-2_000, detail="Corrected usage")),
    "corrected seconds": document(item(10_000), usage("-1200", "core-second", "0.50", "3600")),
    "a discount": document(item(10_000), allowances=(allowance(1_000),)),
    "a gift": document(item(13_000), allowances=(allowance(2_000, "promo"),)),
    "discount and gift over two rates": document(
        item(10_000),
        item(5_000, rate_bp=700),
        allowances=(allowance(667), allowance(333, rate_bp=700), allowance(100, "promo")),
    ),
    "a gift that covers all": document(item(2_000), allowances=(allowance(2_000, "promo"),)),
    "a discount on exports": document(item(5_000, "G"), allowances=(allowance(500, category="G"),), buyer=_ABROAD),
    "a commitment sold": document(_SALE, **_NO_PERIOD),
    "a commitment drawn down": document(item(100_000), _DRAWDOWN),
    "converted from dollars": document(item(1_119, converted=_CONVERTED, unit_price_text="0.125")),
    "prices of twelve decimals": document(
        usage("10000000", "token", "0.000000006000"), usage("1", "token", "0.000000006")
    ),
    "parts of a GPU": document(usage("49000", "1/21000 GPU-millisecond", "2.95", "75600000000")),
    "bytes and gibibytes": document(usage("1.0009765625", "GiB-second", "0.02", "3600"), usage("12.5", "GiB", "0.09")),
    "every unit": document(
        *(usage("3", unit, "1.25") for unit in ("core-hour", "GPU-second", "request", "month", "query"))
    ),
    "nothing used": document(item(0)),
    "a consumer": document(item(10_000, rate_bp=2300), buyer=_CONSUMER),
    "a Greek": document(item(10_000, "AE"), buyer=_GREEK, language="de"),
    "a plain seller": document(item(10_000), seller=_PLAIN_SELLER, language="fr"),
    "no bank": document(item(10_000), bank_account=None, bic=None),
    "an account that is no IBAN": document(item(10_000), bank_account="000123456789", bic=None, currency="USD"),
    "references": document(item(10_000), buyer_reference="04011000-12345-34", footer="Directors: A. Byrne"),
    "a credit note": document(item(5_000), kind="credit_note"),
    "a credit note of reverse charge": document(item(5_000, "AE"), kind="credit_note"),
    "a credit note, VAT as a difference": document(item(33), kind="credit_note", taxes=_OFF_BY_ONE),
    "a credit note with a rounding": document(item(1_001), kind="credit_note", rounding_minor=1),
    "a credit note in yen": document(_yen(500), kind="credit_note", currency="JPY"),
    "a credit note that gives a discount back": document(item(5_000), allowances=(allowance(500),), kind="credit_note"),
    "one hundred lines": many(100),
    "two thousand lines": many(2_000),
}
SLICE = (
    "standard",
    "zero rate",
    "exempt",
    "reverse charge",
    "intra-community",
    "export",
    "not subject",
    "yen",
    "inclusive 2.99 at 4 %",
    "discount and gift over two rates",
    "a commitment drawn down",
    "a credit note",
)
