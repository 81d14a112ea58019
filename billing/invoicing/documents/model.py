"""All that an invoice or credit note says, frozen. The page and the PDF are made from this and nothing else.

A document that contradicts itself cannot be built: DocumentInvalid names the rule of EN 16931 that it breaks.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
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


@dataclass(frozen=True, kw_only=True)
class Tax:
    """VAT of one category and rate."""

    category: str
    rate_bp: int
    jurisdiction: str
    taxable_minor: int
    tax_minor: int
    reason: str | None


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

    def __post_init__(self) -> None:
        exponent(self.currency)
        _require("BR-16", bool(self.lines))
        _require("BR-CO-11", self.allowance_minor == sum(allowance.amount_minor for allowance in self.allowances))
        _require("BR-CO-13", self.net_minor == self.lines_minor - self.allowance_minor)
        _require("BR-31", all(allowance.amount_minor > 0 for allowance in self.allowances))
        _require("BR-CO-14", self.tax_minor == sum(group.tax_minor for group in self.taxes))
        _require("BR-CO-15", self.total_minor == self.net_minor + self.tax_minor)
        _require("BR-CO-16", self.due_minor == self.total_minor - self.prepaid_minor + self.rounding_minor)
        _require("BT-113", 0 <= self.prepaid_minor <= max(0, self.total_minor))
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

    def taxable_minor(self, category: str, rate_bp: int) -> int:
        """Lines less allowances of one VAT group (BT-116)."""
        signed = [(line.tax_category, line.tax_rate_bp, line.amount_minor) for line in self.lines]
        signed += [(one.tax_category, one.tax_rate_bp, -one.amount_minor) for one in self.allowances]
        return sum(amount for *key, amount in signed if key == [category, rate_bp])

    def to_snapshot(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_snapshot` builds the equal document again."""
        plain = asdict(self)
        for name in ("issued_on", "due_on", "corrects_on"):
            plain[name] = plain[name] and plain[name].isoformat()
        for name in ("period_start_at", "period_end_at"):
            plain[name] = plain[name] and to_rfc3339(plain[name])
        for name in ("lines", "taxes", "allowances"):
            plain[name] = list(plain[name])
        return plain


def from_snapshot(snapshot: Mapping[str, Any]) -> InvoiceDocument:
    """The document as it was issued. Raises DocumentInvalid when the snapshot contradicts itself."""
    values = {each.name: snapshot[each.name] for each in fields(InvoiceDocument) if each.name in snapshot}
    for name in ("issued_on", "due_on", "corrects_on"):
        values[name] = values[name] and date.fromisoformat(values[name])
    for name in ("period_start_at", "period_end_at"):
        values[name] = values[name] and parse_instant(values[name])
    values["seller"], values["buyer"] = Party(**values["seller"]), Party(**values["buyer"])
    values["lines"] = tuple(Line(**line) for line in values["lines"])
    values["taxes"] = tuple(Tax(**group) for group in values["taxes"])
    values["allowances"] = tuple(Allowance(**one) for one in values.get("allowances", ()))
    return InvoiceDocument(**values)


def snapshot_hash(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 over the snapshot's canonical bytes: printed on the document, anchored in the ledger's chain (Law 4)."""
    return canonical.digest(SNAPSHOT, snapshot)


def _require(rule: str, holds: bool) -> None:
    if not holds:
        raise DocumentInvalid(rule=rule)
