"""The document as CSV: its lines with what proves them, what was taken off, its taxes and sums. From the frozen model alone.

One table with a `record` column, so that a spreadsheet can filter: line, allowance, tax, total. Amounts are major units as plain
decimals, never grouped. The sum of `net` over lines less allowances is the document's net.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from fractions import Fraction

from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line, Tax
from billing.kernel.money import Money
from billing.rendering import csv_cells
from billing.rendering.csv_cells import Cell

COLUMNS = (
    "record",
    "document",
    "document_id",
    "kind",
    "issued_on",
    "account",
    "currency",
    "seq",
    "description",
    "detail",
    "project",
    "family",
    "period",
    "service_from",
    "service_to",
    "quantity",
    "unit",
    "unit_price",
    "price_per_quantity",
    "priced_quantity",
    "priced_unit",
    "net",
    "gross",
    "tax_category",
    "tax_rate_percent",
    "tax",
    "tax_jurisdiction",
    "tax_reason",
    "tax_reason_code",
    "converted_from",
    "converted_amount",
    "conversion_rate",
    "conversion_rate_on",
    "conversion_snapshot",
    "line_id",
    "charge_id",
    "contract_id",
    "grant_id",
    "corrects",
)


def to_csv(document: InvoiceDocument) -> bytes:
    """UTF-8, CRLF, one head row. Text that a spreadsheet would run is disarmed; numbers stay numbers."""
    rows = [*_lines(document), *_allowances(document), *_taxes(document), *_totals(document)]
    head = {
        "document": document.number,
        "document_id": document.id,
        "kind": document.kind,
        "issued_on": document.issued_on,
        "account": document.account_code,
        "currency": document.currency,
        "corrects": document.corrects_number,
    }
    return "".join(_written(head, rows)).encode()


def _written(head: Mapping[str, Cell], rows: Iterable[Mapping[str, Cell]]) -> Iterator[str]:
    yield csv_cells.line(COLUMNS)
    for row in rows:
        stated = {**head, **row}
        if unknown := stated.keys() - set(COLUMNS):
            raise KeyError(f"no columns {sorted(unknown)}")
        yield csv_cells.line([stated.get(name) for name in COLUMNS])


def _lines(document: InvoiceDocument) -> Iterator[dict[str, Cell]]:
    for line in document.lines:
        yield {
            "record": "line",
            "seq": line.seq,
            "description": line.description,
            "detail": line.detail,
            "project": line.project_code,
            "family": line.family,
            "period": line.period_label,
            "service_from": line.service_from_on,
            "service_to": line.service_to_on,
            "quantity": Decimal(line.quantity_text),
            "unit": line.unit,
            "unit_price": Decimal(line.unit_price_text),
            "price_per_quantity": Decimal(line.price_base_text),
            "priced_quantity": Decimal(line.beside_text) if line.beside_text else None,
            "priced_unit": line.priced_unit,
            **_amounts(document, line),
            **_converted(line),
            "line_id": line.id,
            "charge_id": line.charge_id,
            "contract_id": line.contract_id,
        }


def _converted(line: Line) -> dict[str, Cell]:
    if line.converted is None:
        return {}
    return {
        "converted_from": line.converted.currency,
        "converted_amount": Fraction(line.converted.amount_text),
        "conversion_rate": line.converted.rate_text,
        "conversion_rate_on": line.converted.rate_on,
        "conversion_snapshot": line.converted.snapshot_id,
    }


def _allowances(document: InvoiceDocument) -> Iterator[dict[str, Cell]]:
    for one in document.allowances:
        yield {
            "record": "allowance",
            "seq": one.seq,
            "description": one.reason,
            "detail": one.kind,
            **_amounts(document, one),
            "grant_id": one.grant_id,
        }


def _taxes(document: InvoiceDocument) -> Iterator[dict[str, Cell]]:
    for seq, group in enumerate(document.taxes, start=1):
        yield {
            "record": "tax",
            "seq": seq,
            "description": f"VAT {group.jurisdiction}",
            "net": _major(document, group.taxable_minor),
            "tax": _major(document, group.tax_minor),
            **_rate(group.category, group.rate_bp),
            **_reason(group),
        }


def _reason(group: Tax) -> dict[str, Cell]:
    return {"tax_jurisdiction": group.jurisdiction, "tax_reason": group.reason, "tax_reason_code": group.vatex}


def _totals(document: InvoiceDocument) -> Iterator[dict[str, Cell]]:
    """The sums of the document by the names that EN 16931 gives them, in the order in which they follow from each other."""
    sums = [
        ("Sum of the lines", "BT-106", document.lines_minor),
        ("Sum of allowances", "BT-107", document.allowance_minor),
        ("Total without VAT", "BT-109", document.net_minor),
        ("Total VAT", "BT-110", document.tax_minor),
        ("Total with VAT", "BT-112", document.total_minor),
        ("Paid from the wallet", "BT-113", document.prepaid_minor),
        ("Rounding", "BT-114", document.rounding_minor),
        ("Amount due", "BT-115", document.due_minor),
    ]
    if document.kind == "credit_note":
        sums[5:] = [
            ("Rounding", "BT-114", document.rounding_minor),
            ("Taken off the invoice", "receivable", document.to_receivable_minor),
            ("Added to the wallet", "wallet", document.to_wallet_minor),
        ]
    for seq, (words, term, minor) in enumerate(sums, start=1):
        yield {"record": "total", "seq": seq, "description": words, "detail": term, "net": _major(document, minor)}
    if document.tax_currency is not None:
        tax = document.tax_currency
        yield {
            "record": "total",
            "seq": len(sums) + 1,
            "currency": tax.currency,
            "description": f"Total VAT in {tax.currency}",
            "detail": "BT-111",
            "net": Money(minor=tax.tax_minor, currency=tax.currency).to_decimal(),
            "conversion_rate": tax.rate_text,
            "conversion_rate_on": tax.rate_on,
            "conversion_snapshot": tax.snapshot_id,
        }


def _amounts(document: InvoiceDocument, one: Line | Allowance) -> dict[str, Cell]:
    return {
        "net": _major(document, one.amount_minor),
        "gross": _major(document, one.gross_minor) if one.gross_minor is not None else None,
        **_rate(one.tax_category, one.tax_rate_bp),
    }


def _rate(category: str, rate_bp: int) -> dict[str, Cell]:
    return {"tax_category": category, "tax_rate_percent": Fraction(rate_bp, 100)}


def _major(document: InvoiceDocument, minor: int) -> Decimal:
    return Money(minor=minor, currency=document.currency).to_decimal()
