"""The shapes of the API: what bodies hold and what answers say. Money is `{amount_minor, currency}`, quantities are decimal text."""

from typing import Annotated, Any, Literal

from msgspec.json import schema_components
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from billing.controls import thresholds
from billing.metering.sources.registry import BY_TYPE, EVENT_SOURCES
from portal.api.values import Currency, Gpus, In, Instant, Money, Name, Out, Plain


class Shape(In):
    """What an allocation holds. GPUs may be a share: "1/7" or 0.5. Storage stays billed while the allocation is stopped."""

    gpus: Gpus = "0"
    cpu_cores: Annotated[int, Field(ge=0)] = 0
    memory_gib: Plain = "0"
    storage_gib: Plain = "0"


class AllocationStep(In):
    """One step in the life of an allocation, told once under its `event_id` (or `id`)."""

    type: Literal[
        "provisioning.active", "provisioning.reconfigured", "reconfigured", "released", "release_failed",
        "provisioning.released", "provisioning.release_failed", "provisioning.stopped", "stopped",
        "provisioning.started", "started",
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
    variant: Annotated[str, Field(max_length=64, description="The model of its GPUs, such as h100.")] = ""
    mode: Literal["on_demand", "spot"] = "on_demand"
    tags: dict[str, str] = {}

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
    status: Literal["opened", "reconfigured", "stopped", "started", "released", "release_failed", "duplicate"]
    usage_records: int


def _data_schemas() -> list[dict[str, Any]]:
    """The data of each source's events, as the source itself declares it."""
    found = []
    for source in EVENT_SOURCES:
        _, components = schema_components([source.data])
        found.append(
            components[source.data.__name__] | {"title": source.name, "description": source.data.__doc__ or ""}
        )
    return found


class UsageEvent(BaseModel):
    """A CloudEvents 1.0 event; `subject` is the billing account's code. Extensions are allowed. The type says which data it has."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    specversion: Literal["1.0"]
    id: Name
    source: Annotated[str, Field(min_length=1, max_length=150)]
    type: Annotated[str, Field(json_schema_extra={"enum": list(BY_TYPE)})]
    subject: str | None = None
    time: Instant | None = None
    datacontenttype: str | None = None
    correlationid: Annotated[str, Field(max_length=200)] | None = None
    data: Annotated[dict[str, Any], WithJsonSchema({"anyOf": _data_schemas()})]


class UsageReport(In):
    """One report of the older simple service: service and usage type name what is sold; the timestamp is in seconds since 1970."""

    tenant_id: Name
    service: Name
    usage_type: Name
    quantity: Plain
    timestamp: int


class UsageReportAnswer(Out):
    """What became of a report; the quantity as it was told."""

    id: str
    status: Literal["recorded"]
    tenant_id: str
    quantity: Annotated[str, WithJsonSchema({"type": "number"})]
    message: str


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


class Address(Out):
    """Where the buyer is."""

    street: str
    city: str
    postcode: str
    country: str


class BuyerProfile(Out):
    """What invoices say about the buyer."""

    legal_name: str
    address: Address
    vat_id: str | None
    email: str | None
    purchase_order: str | None
    updated_at: Instant


class Account(Out):
    """The party that is billed."""

    account: str
    name: str
    kind: str = Field(json_schema_extra={"enum": ["tenant", "reseller", "end_customer"]})
    policy: str = Field(json_schema_extra={"enum": ["prepaid", "postpaid"]})
    currency: Currency
    zone: str
    opened_at: Instant
    profile: BuyerProfile


class CurrencySetting(Out):
    """One currency of the account. Top-ups are taken in the account's own currency alone, between the two limits."""

    currency: Currency
    exponent: int
    is_account_currency: bool
    top_up_min: Money | None
    top_up_max: Money | None


class CurrencySettings(Out):
    """The currency that the account is priced in, that of its invoices, and every other in which it holds or owes something."""

    account: str
    currency: Currency
    invoice_currency: Currency
    currencies: list[CurrencySetting]


class CurrencyBalance(Out):
    """What the account has and owes in one currency: signed, what is owed is negative.

    `available` counts the tax of pending usage in, and of `deferred` what can pay for usage.
    """

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
    """Lines in the order in which they were rated; `next_cursor` is null at the present end."""

    data: list[RatedUsage]
    next_cursor: str | None


class Invoice(Out):
    """One issued invoice or credit note. `allowance` was taken off its lines before tax; `total` is net, tax and
    `rounding` (the cent of prices that include tax that is neither); `due` is what is left to pay."""

    id: str
    number: str
    kind: Literal["invoice", "credit_note"]
    account: str
    period: str | None
    state: str
    issued_on: str
    due_on: str | None
    allowance: Money
    net: Money
    tax: Money
    rounding: Money
    total: Money
    due: Money
    corrects: str | None


class InvoicePage(Out):
    """Documents in the order in which they were issued."""

    data: list[Invoice]
    next_cursor: str | None


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


class BudgetPlan(In):
    """What is watched: a monthly amount, and the percentages of it at which to tell someone."""

    name: Name
    amount: Money
    thresholds_percent: Annotated[
        list[Annotated[int, Field(ge=1, le=1000)]], Field(min_length=1, max_length=thresholds.MAX_THRESHOLDS)
    ] = [50, 80, 100]


class BudgetRequest(BudgetPlan):
    """A budget to be set, for the account or one of its projects."""

    account: str | None = None
    project: str | None = None


class BudgetEdit(BudgetPlan):
    """All of a budget that can change; what it covers does not. An inactive budget is not watched."""

    is_active: bool


class Budget(Out):
    """A budget. It stops nothing; `project` is null for the whole account."""

    id: str
    account: str
    name: str
    project: str | None
    amount: Money
    thresholds_percent: list[int]
    is_active: bool
    created_at: Instant
    updated_at: Instant


class BudgetPage(Out):
    """Budgets in the order in which they were set."""

    data: list[Budget]
    next_cursor: str | None


class Received(Out):
    """A provider's event is stored; `duplicate` tells that it was before."""

    received: bool
    duplicate: bool
