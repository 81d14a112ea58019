"""The shapes of plans, subscriptions and price lists."""

from typing import Annotated, Any, Literal

from pydantic import Field

from portal.api.values import Currency, In, Instant, Money, Name, Out, Plain


class PercentageIn(In):
    """A share of a period's other charges."""

    code: Name
    percent: Plain
    families: list[Name] = []


class TermsIn(In):
    """What a plan asks for and gives beside its prices. Amounts are decimal text in major units, by currency."""

    fees: list[Name] = []
    locks_price: bool = False
    minimum: dict[str, Plain] = {}
    grant: dict[str, Plain] = {}
    percentages: list[PercentageIn] = []


class PlanRequest(In):
    """A new plan, or a new version of one. Without `valid_from` it has always applied."""

    code: Name
    name: Name
    book: Name
    valid_from: Instant | None = None
    terms: TermsIn = TermsIn()


class Percentage(Out):
    """A share of a period's other charges; no families means all of them."""

    code: str
    percent: str
    families: list[str]


class Terms(Out):
    """What a plan asks for and gives beside its prices."""

    fees: list[str]
    locks_price: bool
    minimums: list[Money]
    grants: list[Money]
    percentages: list[Percentage]


class PlanVersion(Out):
    """One version of a plan: its price book and terms from an instant on."""

    plan: str
    name: str
    version: int
    book: str
    valid_from: Instant
    terms: Terms


class PlanVersionPage(Out):
    """Versions of plans, by plan and start."""

    data: list[PlanVersion]


class PlanStretch(Out):
    """A version of a plan that the account is on from an instant on, until another one."""

    plan: PlanVersion
    from_: Instant = Field(serialization_alias="from")
    until: Instant | None
    state: Literal["past", "in_force", "coming"]


class PlanStretchPage(Out):
    """Every plan of the account, oldest first."""

    account: str
    data: list[PlanStretch]


class SubscriptionRequest(In):
    """Put the account on a plan from an instant on, also inside a billing period."""

    account: str | None = None
    plan: Name
    valid_from: Instant


class Subscription(Out):
    """The account's plan from an instant on, until its next subscription."""

    id: str
    account: str
    plan: str
    name: str
    from_: Instant = Field(serialization_alias="from")
    until: Instant | None


class SubscriptionPage(Out):
    """Subscriptions of a tenant's accounts, by account and start."""

    data: list[Subscription]


class ListedPrice(Out):
    """What one thing sold costs the account. Numbers in `parameters` are decimal text, in major units per `unit`."""

    sku: str
    name: str
    meter: str
    variant: str
    mode: Literal["on_demand", "spot", "reserved", "unused"]
    unit: str
    currency: Currency
    model: str
    parameters: Annotated[dict[str, Any], Field(description="As a price book writes them.")]
    price_version_id: str
    valid_from: Instant
    is_own: Annotated[bool, Field(description="A price of the account's own, in place of its plan's.")]


class PriceList(Out):
    """The account's prices for usage that starts at the instant."""

    account: str
    at: Instant
    plan: str | None
    version: int | None
    data: list[ListedPrice]
