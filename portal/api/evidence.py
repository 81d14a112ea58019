"""Shapes of what stands behind a figure: a rated line with its derivation, an issued document with what settled it."""

from typing import Annotated, Any

from pydantic import Field

from portal.api.schemas import Invoice, RatedUsage
from portal.api.values import Instant, Money, Out

Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class UsageEvidence(Out):
    """The usage record that was rated, as it was taken in."""

    id: str
    source: str
    source_id: str
    start: Instant
    end: Instant
    quantity_base: str
    resource: str
    tags: dict[str, str]
    project: str | None
    submitter: str | None
    allocation: str | None
    correlation_id: str | None
    content_hash: Hash
    record_hash: Hash
    recorded_at: Instant


class PricingEvidence(Out):
    """The price that was in force, and where on its counter the line begins."""

    price_version: str
    price_book: str
    sku: str
    meter: str
    unit: str
    base_unit: str
    base_per_unit: str
    currency: str
    model: str
    parameters: dict[str, Any]
    valid_from: Instant
    price_hash: Hash
    counter: str
    counter_seq: int
    before_base: str
    quantity_base: str


class DerivationStep(Out):
    """One step of the sum; values are text, exact ones may be fractions such as 7/3."""

    operation: str
    inputs: dict[str, str]
    unit: str
    exact: str
    rounding: str
    result: str


class LedgerEvidence(Out):
    """The posting and the ledger transaction that anchors the line."""

    posting: str
    charge: str
    increment: Money
    posted: Money
    transaction: str
    chain_seq: int
    recorded_at: Instant
    effective_at: Instant
    anchor_hash: Hash | None
    transaction_hash: Hash


class InvoiceEvidence(Out):
    """The issued invoice that billed the line, and which of its lines."""

    id: str
    number: str
    line: str | None
    content_hash: Hash | None


class RatedUsageDetail(Out):
    """A line with everything it stands on and everything that stands on it. `is_reproduced`: worked again, it is the same."""

    line: RatedUsage
    line_hash: Hash
    is_reproduced: bool
    usage: UsageEvidence
    pricing: PricingEvidence
    derivation: list[DerivationStep]
    derivation_hash: Hash
    ledger: LedgerEvidence | None
    invoice: InvoiceEvidence | None


class Settlement(Out):
    """One movement that settled a part of the document."""

    kind: str = Field(json_schema_extra={"enum": ["payment", "wallet", "credit_note"]})
    amount: Money
    transaction: str
    settled_at: Instant


class InvoiceDetail(Out):
    """A document with its lines, taxes and what settled it; `document` is what was frozen at issue, word for word."""

    invoice: Invoice
    document: dict[str, Any]
    content_hash: str
    ledger_transaction: str
    settlements: list[Settlement]
    credit_notes: list[str]
    pdf_sha256: Hash | None
