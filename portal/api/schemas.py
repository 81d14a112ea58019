"""The shapes of the API: what bodies hold and what answers say. Money is `{amount_minor, currency}`, quantities are decimal text."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from billing.kernel import clock, money
from billing.kernel.errors import Invalid
from portal import sentences


def _read_instant(value: object) -> datetime:
    if isinstance(value, datetime):  # of an answer: a body holds text
        return value
    if not isinstance(value, str) or len(value) > 60:
        raise ValueError("An RFC 3339 time such as 2026-11-21T13:00:00Z is needed.")
    try:
        return clock.parse_instant(value)
    except Invalid as refusal:
        raise ValueError(sentences.of(refusal)) from None
    except OverflowError:
        raise ValueError("The time lies too far away.") from None


def _read_decimal(value: object) -> str:
    """Plain decimal text, from text or from a JSON number that was never a float."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("A plain decimal such as 2.333 is needed, as text or number.")
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if len(text) > 60 or not _is_plain(text):
        raise ValueError("A plain decimal such as 2.333 is needed, as text or number.")
    return text


def _read_gpus(value: object) -> str:
    """A GPU count as text: 4, 0.5 or 1/7. What it may be is decided where shapes are made."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("GPUs are a plain number or a share, such as 4, 0.5 or 1/7.")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _is_plain(text: str) -> bool:
    whole, _, rest = text.removeprefix("-").partition(".")
    return text.isascii() and whole.isdigit() and (rest.isdigit() or ("." not in text))


def _read_currency(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("The currency is an ISO 4217 code such as USD.")
    try:
        money.exponent(value)
    except Invalid as refusal:
        raise ValueError(sentences.of(refusal)) from None
    return value


Instant = Annotated[datetime, BeforeValidator(_read_instant), PlainSerializer(clock.to_rfc3339, return_type=str)]
Plain = Annotated[str, BeforeValidator(_read_decimal)]
Gpus = Annotated[str, BeforeValidator(_read_gpus)]
Currency = Annotated[str, BeforeValidator(_read_currency)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class In(BaseModel):
    """A body: nothing unknown in it, nothing turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Money(In):
    """An amount in minor units of its currency: 1234 USD is 12.34."""

    amount_minor: Annotated[int, Field(ge=-money.MAX_MINOR, le=money.MAX_MINOR)]
    currency: Currency


class Shape(In):
    """What an allocation holds. GPUs may be a share: "1/7" or 0.5."""

    gpus: Gpus = "0"
    cpu_cores: Annotated[int, Field(ge=0)] = 0
    memory_gib: Plain = "0"


class AllocationStep(In):
    """One step in the life of an allocation, told once under its `event_id` (or `id`)."""

    type: Literal[
        "provisioning.active", "provisioning.reconfigured", "reconfigured", "released", "release_failed",
        "provisioning.released", "provisioning.release_failed",
    ]  # fmt: skip
    event_id: Name = Field(validation_alias=AliasChoices("event_id", "id"))
    allocation_id: Name
    time: Instant
    account: str | None = None
    resource: str | None = None
    name: str = ""
    shape: Shape | None = None
    project: str | None = None
    submitter: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "AllocationStep":
        if self.type == "provisioning.active" and not self.resource:
            raise ValueError("A step of type provisioning.active names the resource.")
        if self.shape is None and self.type in ("provisioning.active", "provisioning.reconfigured", "reconfigured"):
            raise ValueError("This step needs the shape: gpus, cpu_cores, memory_gib.")
        return self


class AllocationAnswer(Out):
    """What a step did. `status` is the step, or duplicate; `usage_records` is how many windows it recorded."""

    id: str
    allocation_id: str
    account: str
    status: Literal["opened", "reconfigured", "released", "release_failed", "duplicate"]
    usage_records: int


class UsageData(In):
    """The data of a usage event: a counted quantity, or with `start` and `end` a window's."""

    meter: str
    quantity: Plain
    unit: str | None = None
    start: Instant | None = None
    end: Instant | None = None
    project: str | None = None
    submitter: str | None = None
    resource: str = ""
    tags: dict[str, str] = {}

    @model_validator(mode="after")
    def _has_both_ends(self) -> "UsageData":
        if (self.start is None) != (self.end is None):
            raise ValueError("A window needs both start and end.")
        return self


class UsageEvent(BaseModel):
    """A CloudEvents 1.0 event of type billing.usage.metered; `subject` is the billing account's code. Extensions are allowed."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    specversion: Literal["1.0"]
    id: Name
    source: Annotated[str, Field(min_length=1, max_length=150)]
    type: Literal["billing.usage.metered"]
    subject: str | None = None
    time: Instant | None = None
    datacontenttype: str | None = None
    correlationid: Annotated[str, Field(max_length=200)] | None = None
    data: UsageData


class EventAnswer(Out):
    """What became of one event, in the order in which they were sent."""

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = None
    detail: str | None = None


class IngestAnswer(Out):
    """Counts that sum to what was sent, and one result each."""

    accepted: int
    duplicate: int
    rejected: int
    results: list[EventAnswer]


class UsageBucket(Out):
    """One sum. `period` is such as 2026-11, 2026-11-21 or 2026-11-21T05:00Z."""

    period: str
    meter: str
    unit: str
    quantity: str


class UsageSummary(Out):
    """Sums of one account; windows are split at the borders of buckets."""

    account: str
    by: str
    zone: str
    rows: list[UsageBucket]


class CurrencyBalance(Out):
    """What the account has and owes in one currency: signed, what is owed is negative."""

    currency: str
    balance: Money
    wallet: Money
    promo: Money
    unbilled: Money
    receivable: Money
    disputed: Money
    deferred: Money
    refund_pending: Money
    available: Money


class BalanceAnswer(Out):
    """All balances, and in `balance` the one of the account's own currency."""

    account: str
    as_of: Instant
    balance: Money
    balances: list[CurrencyBalance]


class ExactAmount(Out):
    """An exact amount: minor units with six decimals, as text."""

    amount_minor: str
    currency: str


class RatedUsage(Out):
    """One rated line."""

    id: str
    sequence: int
    usage_id: str
    start: Instant
    end: Instant
    period: str
    meter: str
    unit: str
    quantity: str
    sku: str
    project: str | None
    submitter: str | None
    allocation: str | None
    resource: str
    price_version: str
    amount: ExactAmount
    rated_at: Instant
    is_posted: bool


class RatedUsagePage(Out):
    """Lines in the order in which they were rated; `next_cursor` is None at the present end."""

    data: list[RatedUsage]
    next_cursor: str | None


class DerivationStep(Out):
    """One step of the sum; values are text, exact ones may be fractions such as 7/3."""

    operation: str
    inputs: dict[str, str]
    unit: str
    exact: str
    rounding: str
    result: str


class RatedUsageDetail(Out):
    """A line with everything it stands on and everything that stands on it. `is_reproduced`: worked again, it is the same."""

    line: RatedUsage
    line_hash: str
    is_reproduced: bool
    usage: dict[str, Any]
    pricing: dict[str, Any]
    derivation: list[DerivationStep]
    derivation_hash: str
    ledger: dict[str, Any] | None
    invoice: dict[str, Any] | None


class Invoice(Out):
    """One issued invoice or credit note. `due` is what is left to pay."""

    id: str
    number: str
    kind: Literal["invoice", "credit_note"]
    account: str
    period: str | None
    state: str
    issued_on: str
    due_on: str | None
    net: Money
    tax: Money
    total: Money
    due: Money
    corrects: str | None


class InvoicePage(Out):
    """Documents in the order in which they were issued."""

    data: list[Invoice]
    next_cursor: str | None


class InvoiceDetail(Out):
    """A document with its lines, taxes and what settled it; `document` is what was frozen at issue, word for word."""

    invoice: Invoice
    document: dict[str, Any]
    content_hash: str
    ledger_transaction: str
    settlements: list[dict[str, Any]]
    credit_notes: list[str]
    pdf_sha256: str | None


class CheckoutRequest(In):
    """A payment to begin: a top-up of an amount, or an invoice (by default what is left to pay of it)."""

    account: str | None = None
    purpose: Literal["top_up", "invoice"] = "top_up"
    amount: Money | None = None
    invoice_id: str | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "CheckoutRequest":
        if self.purpose == "top_up" and (self.amount is None or self.invoice_id is not None):
            raise ValueError("A top-up has an amount and no invoice_id.")
        if self.purpose == "invoice" and self.invoice_id is None:
            raise ValueError("The payment of an invoice names its invoice_id.")
        return self


class CheckoutAnswer(Out):
    """A payment session: send the person to `redirect_url` while its state is open."""

    id: str
    account: str
    purpose: str
    invoice_id: str | None
    amount: Money
    state: str
    redirect_url: str | None
    created_at: Instant


class RefundRequest(In):
    """Money back: to the card of a payment, or as a credit note on an invoice."""

    account: str | None = None
    mode: Literal["card", "credit"]
    payment_id: str | None = None
    invoice_id: str | None = None
    amount: Money
    reason: Annotated[str, Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _names_one(self) -> "RefundRequest":
        if (self.payment_id is not None) != (self.mode == "card") or (self.invoice_id is not None) != (
            self.mode == "credit"
        ):
            raise ValueError("Mode card names a payment_id, mode credit an invoice_id.")
        return self


class Refund(Out):
    """A refund request; `state` is requested, approved, sent, succeeded, failed, rejected or unknown."""

    id: str
    account: str
    mode: str
    payment_id: str | None
    invoice_id: str | None
    amount: Money
    reason: str
    state: str
    requested_at: Instant
    decided_at: Instant | None
    decision_note: str | None
    credit_note_id: str | None
    ended_at: Instant | None


class RefundPage(Out):
    """Requests, newest first."""

    data: list[Refund]
    next_cursor: str | None
