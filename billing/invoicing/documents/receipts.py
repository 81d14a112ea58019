"""All that a receipt says, frozen: the page and the PDF are made from this and nothing else. Pure.

A receipt shows that money came in and what became of it. It bears no VAT: a deposit is no supply, and a paid invoice has its own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from billing.invoicing.documents import glyphs, page
from billing.invoicing.documents.harmless import cleaned
from billing.invoicing.documents.model import Party
from billing.invoicing.errors import DocumentInvalid
from billing.kernel import canonical
from billing.kernel.clock import parse_instant, to_rfc3339
from billing.kernel.money import exponent
from billing.rendering import environment

SNAPSHOT = "receipt-snapshot/1"


@dataclass(frozen=True, kw_only=True)
class Part:
    """Where a part of the money went: `kind` invoice with its number, wallet, or open (invoices that no settlement names)."""

    kind: str
    number: str | None
    invoice_id: str | None
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """A receipt. `method` is stripe_credit or bank_credit as the ledger calls it, `method_label` what the provider said of it."""

    id: str
    number: str
    issued_on: date
    received_at: datetime
    currency: str
    amount_minor: int
    account_code: str
    zone: str
    seller: Party
    buyer: Party
    method: str
    method_label: str | None
    payment_id: str | None
    transaction_id: str
    parts: tuple[Part, ...]
    language: str = "en"
    page_size: str = "A4"
    footer: str | None = None
    logo_sha256: str | None = None

    def __post_init__(self) -> None:
        exponent(self.currency)
        if self.amount_minor <= 0 or any(part.amount_minor <= 0 for part in self.parts):
            raise DocumentInvalid(rule="receipt amount")
        if sum(part.amount_minor for part in self.parts) != self.amount_minor:
            raise DocumentInvalid(rule="receipt parts")
        if any((part.kind == "invoice") != bool(part.number) for part in self.parts):
            raise DocumentInvalid(rule="receipt invoice")

    def to_snapshot(self) -> dict[str, Any]:
        """Plain JSON values, from which `from_snapshot` builds the equal receipt again."""
        plain = asdict(self)
        plain["issued_on"], plain["received_at"] = self.issued_on.isoformat(), to_rfc3339(self.received_at)
        plain["parts"] = list(plain["parts"])
        return plain


def from_snapshot(snapshot: Mapping[str, Any]) -> Receipt:
    """The receipt as it was issued. Raises DocumentInvalid when the snapshot contradicts itself."""
    values = dict(snapshot)
    values["issued_on"] = date.fromisoformat(values["issued_on"])
    values["received_at"] = parse_instant(values["received_at"])
    values["seller"], values["buyer"] = Party(**values["seller"]), Party(**values["buyer"])
    values["parts"] = tuple(Part(**part) for part in values["parts"])
    return Receipt(**values)


def snapshot_hash(snapshot: Mapping[str, Any]) -> str:
    """SHA-256 over the snapshot's canonical bytes, printed on the receipt."""
    return canonical.digest(SNAPSHOT, snapshot)


def to_html(receipt: Receipt, *, snapshot_hash: str, verify_url: str | None = None) -> str:
    """The whole page, in the receipt's language."""
    missing: set[str] = set()
    doc = glyphs.shown(cleaned(receipt), missing)
    return environment.render(
        "documents/receipt.html",
        doc=doc,
        v=page.voice_of(receipt),
        logo=page.logo_address(receipt.logo_sha256),
        snapshot_hash=snapshot_hash,
        verify_url=verify_url,
        has_no_glyph=bool(missing),
    )


def try_out(receipt: Receipt) -> None:
    """Render a receipt that is about to be issued. Raises DocumentInvalid: no number is lost on it."""
    tried = replace(receipt, number=receipt.number or "-")
    try:
        to_html(tried, snapshot_hash="0" * 64)
    except Exception as error:
        raise DocumentInvalid(rule="rendering", cause=f"{type(error).__name__}: {error}"[:300]) from error


def assets_of(receipt: Receipt, *, logo: bytes | None) -> dict[str, bytes]:
    """The pictures that the page names, by their addresses."""
    address = page.logo_address(receipt.logo_sha256)
    return {address: logo} if address is not None and logo is not None else {}
