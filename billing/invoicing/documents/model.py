"""All that an invoice or credit note says, frozen. The page and the PDF are made from this and nothing else.

A document that contradicts itself cannot be built: DocumentInvalid names the rule of EN 16931 that it breaks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from typing import Any

from billing.invoicing import tax
from billing.invoicing.errors import DocumentInvalid
from billing.kernel import canonical
from billing.kernel.clock import parse_instant, to_rfc3339
from billing.kernel.money import exponent

SNAPSHOT = "invoice-snapshot/1"


@dataclass(frozen=True, kw_only=True)
class Party:
    """Seller or buyer as the document names them."""

    name: str
    street: str
    city: str
    postcode: str
    country: str
    vat_id: str | None
    email: str | None
    legal_id: str | None = None  # BT-30, BT-47: number in the register of companies
    tax_number: str | None = None  # BT-32: the seller's local tax number
    phone: str | None = None


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """Where a line's amount comes from: an exact amount of another currency, and the rate that turned it into the document's.

    `rate_text` is units of the document's currency for one of `currency`, as plain decimal or fraction "a/b"; rounded once.
    """

    currency: str
    amount_text: str  # major units, exact
    rate_text: str
    rate_on: str  # ISO date on which the rates were published
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class TaxCurrency:
    """VAT in the currency of the seller's tax office (BT-6, BT-111), with the rate: its units for one of the document's."""

    currency: str
    tax_minor: int
    rate_text: str
    rate_on: str
    snapshot_id: str


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line. `quantity_text` of `unit` is exact, the price is per `price_base_text` of it. Where that is not the unit that is
    priced, `beside_text` is the quantity in `priced_unit`, rounded, for the reader."""

    id: str
    seq: int
    description: str
    detail: str
    quantity_text: str
    unit: str
    unit_price_text: str
    price_base_text: str
    beside_text: str
    priced_unit: str
    amount_minor: int
    tax_category: str
    tax_rate_bp: int
    charge_id: str | None = None
    project_code: str | None = None
    family: str | None = None  # of its charge, as its period; None on lines of documents older than these fields
    period_label: str | None = None
    contract_id: str | None = None  # the commitment that this line sells or draws down
    covers: Mapping[str, int] = field(
        default_factory=dict
    )  # a drawdown: minor units it takes off each family's charges
    service_from_on: date | None = None  # BT-134, BT-135: first and last day of what is billed, in the account's zone
    service_to_on: date | None = None
    gross_minor: int | None = None  # what the books hold where prices include tax; `amount_minor` is its net share
    converted: Conversion | None = None

    @property
    def booked_minor(self) -> int:
        """What the books hold of it: gross where prices include tax."""
        return self.amount_minor if self.gross_minor is None else self.gross_minor


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """What is taken off one VAT group before tax (BG-20): `kind` promo, naming its grant, or discount; above zero."""

    seq: int
    kind: str
    grant_id: str | None
    reason: str
    tax_category: str
    tax_rate_bp: int
    amount_minor: int
    gross_minor: int | None = None  # where prices include tax

    @property
    def booked_minor(self) -> int:
        """What the books hold of it: gross where prices include tax."""
        return self.amount_minor if self.gross_minor is None else self.gross_minor


@dataclass(frozen=True, kw_only=True)
class Tax:
    """VAT of one category and rate. `scheme` says by which rule, `registration` under which number of the seller."""

    category: str
    rate_bp: int
    jurisdiction: str
    taxable_minor: int
    tax_minor: int
    reason: str | None
    vatex: str | None = None  # BT-121
    scheme: str | None = None  # domestic, oss, reverse_charge, export, exempt, not_subject, manual, provider
    registration: str | None = None


@dataclass(frozen=True, kw_only=True)
class InvoiceDocument:
    """An invoice or credit note. `number` and `issued_on` are None in a draft; `due_minor` is what is left to pay (BT-115)."""

    id: str
    kind: str
    number: str | None
    issued_on: date | None
    due_on: date | None
    currency: str
    account_code: str
    zone: str
    period_label: str | None
    period_start_at: datetime | None
    period_end_at: datetime | None
    seller: Party
    buyer: Party
    purchase_order: str | None
    bank_account: str | None
    corrects_number: str | None
    corrects_on: date | None
    reason: str | None
    lines: tuple[Line, ...]
    taxes: tuple[Tax, ...]
    net_minor: int
    tax_minor: int
    total_minor: int
    rounding_minor: int
    prepaid_minor: int
    due_minor: int
    to_receivable_minor: int
    to_wallet_minor: int
    allowances: tuple[Allowance, ...] = ()
    allowance_minor: int = 0  # BT-107
    prices_include_tax: bool = False
    tax_point_on: date | None = None  # BT-7
    tax_currency: TaxCurrency | None = None
    tax_facts: Mapping[str, Any] = field(default_factory=dict)  # what led to the treatment: "why this tax"
    language: str = "en"
    page_size: str = "A4"
    buyer_reference: str | None = None  # BT-10
    terms_days: int | None = None
    bank_name: str | None = None
    bic: str | None = None
    footer: str | None = None
    logo_sha256: str | None = None

    def __post_init__(self) -> None:
        exponent(self.currency)
        _require("BR-16", bool(self.lines))
        _require("BR-CO-11", self.allowance_minor == sum(allowance.amount_minor for allowance in self.allowances))
        _require("BR-CO-13", self.net_minor == self.lines_minor - self.allowance_minor)
        _require("BR-31", all(one.amount_minor > 0 or (one.gross_minor or 0) > 0 for one in self.allowances))
        _require("BR-CO-14", self.tax_minor == sum(group.tax_minor for group in self.taxes))
        _require("BR-CO-15", self.total_minor == self.net_minor + self.tax_minor)
        _require("BR-CO-16", self.due_minor == self.total_minor - self.prepaid_minor + self.rounding_minor)
        _require("BT-113", 0 <= self.prepaid_minor <= max(0, self.payable_minor))
        _require("BT-114", self.kind == "credit_note" or self.prices_include_tax or self.rounding_minor == 0)
        for group in self.taxes:
            key = (group.category, group.rate_bp)
            _require("BR-S-08", group.taxable_minor == self.taxable_minor(*key))
            # A credit note's VAT is a difference of two rounded sums (credits.py), so only an invoice's can be redone alone.
            expected = tax.tax_of(group.taxable_minor, group.rate_bp)
            _require("BR-CO-17", abs(group.tax_minor - expected) <= (1 if self.kind == "credit_note" else 0))
        keys = {(line.tax_category, line.tax_rate_bp) for line in self.lines}
        keys |= {(one.tax_category, one.tax_rate_bp) for one in self.allowances}
        _require("BR-CO-18", {(group.category, group.rate_bp) for group in self.taxes} == keys)
        if self.kind == "credit_note":
            _require("BR-55", bool(self.corrects_number))
            _require(
                "credit", self.to_receivable_minor + self.to_wallet_minor == self.total_minor + self.rounding_minor
            )
        for party in (self.seller, self.buyer):
            _require("BR-06", bool(party.name.strip()) and len(party.country) == 2)

    @property
    def lines_minor(self) -> int:
        """The sum of the lines before allowances (BT-106)."""
        return sum(line.amount_minor for line in self.lines)

    @property
    def payable_minor(self) -> int:
        """What it asks for, or gives back, before anything was paid (BT-112 + BT-114)."""
        return self.total_minor + self.rounding_minor

    def taxable_minor(self, category: str, rate_bp: int) -> int:
        """Lines less allowances of one VAT group (BT-116)."""
        signed = [(line.tax_category, line.tax_rate_bp, line.amount_minor) for line in self.lines]
        signed += [(one.tax_category, one.tax_rate_bp, -one.amount_minor) for one in self.allowances]
        return sum(amount for *key, amount in signed if key == [category, rate_bp])

    def to_snapshot(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_snapshot` builds the equal document again."""
        plain: dict[str, Any] = _plain(self)
        return plain


def from_snapshot(snapshot: Mapping[str, Any]) -> InvoiceDocument:
    """The document as it was issued. Raises DocumentInvalid when the snapshot contradicts itself."""
    values = {each.name: snapshot[each.name] for each in fields(InvoiceDocument) if each.name in snapshot}
    for name in ("issued_on", "due_on", "corrects_on", "tax_point_on"):
        values[name] = _day(values.get(name))
    for name in ("period_start_at", "period_end_at"):
        values[name] = values[name] and parse_instant(values[name])
    values["seller"], values["buyer"] = Party(**values["seller"]), Party(**values["buyer"])
    values["lines"] = tuple(_line(line) for line in values["lines"])
    values["taxes"] = tuple(Tax(**group) for group in values["taxes"])
    values["allowances"] = tuple(Allowance(**one) for one in values.get("allowances", ()))
    if values.get("tax_currency") is not None:
        values["tax_currency"] = TaxCurrency(**values["tax_currency"])
    return InvoiceDocument(**values)


def _line(stored: Mapping[str, Any]) -> Line:
    values = dict(stored)
    for name in ("service_from_on", "service_to_on"):
        values[name] = _day(values.get(name))
    if values.get("converted") is not None:
        values["converted"] = Conversion(**values["converted"])
    return Line(**values)


def _day(stored: str | None) -> date | None:
    return date.fromisoformat(stored) if stored else None


def _plain(value: Any) -> Any:
    """Members by name, days and instants as text, tuples as lists, down to the last; text and integers, of which there are most, first."""
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool:
        return value
    if kind in _NAMES:
        return {name: _plain(getattr(value, name)) for name in _NAMES[kind]}
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, datetime):
        return to_rfc3339(value)
    return value.isoformat() if isinstance(value, date) else value


_NAMES = {
    kind: tuple(each.name for each in fields(kind))
    for kind in (Party, Conversion, TaxCurrency, Line, Allowance, Tax, InvoiceDocument)
}


def snapshot_hash(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 over the snapshot's canonical bytes: printed on the document, anchored in the ledger's chain (Law 4)."""
    return canonical.digest(SNAPSHOT, snapshot)


def _require(rule: str, holds: bool) -> None:
    if not holds:
        raise DocumentInvalid(rule=rule)
