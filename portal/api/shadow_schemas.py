"""The shapes of shadow ratings in the API."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from portal.api.values import In, Instant, Out, Plain


class TrialLimits(In):
    """How far a candidate may move what is charged, in percent, up or down."""

    total_percent: Plain = "5"
    account_percent: Plain = "20"


class ShadowRatingRequest(In):
    """What to try: a price book as TOML, or a loaded version; over which stretch of the past, for which accounts (none: all)."""

    prices: Annotated[str, Field(min_length=1, max_length=200_000)] | None = None
    price_book_id: str | None = None
    from_: Instant = Field(alias="from")
    to: Instant
    accounts: Annotated[list[str], Field(max_length=1_000)] = []
    limits: TrialLimits = TrialLimits()
    rows: Annotated[int, Field(ge=1, le=200_000)] = 100_000

    @model_validator(mode="after")
    def _names_one(self) -> "ShadowRatingRequest":
        if (self.prices is None) == (self.price_book_id is None):
            raise ValueError("Give either prices, a price book as TOML, or price_book_id.")
        return self


class TrialSide(Out):
    """What the same usage came to and would come to: minor units with six decimals, as text. No percent where it was nothing."""

    currency: str
    rows: int
    current_minor: str
    candidate_minor: str
    delta_minor: str
    delta_percent: str | None


class TrialTotal(TrialSide):
    """One currency's sum, and whether it moved by no more than the limit."""

    is_inside: bool


class TrialAccount(TrialSide):
    """One account's sum."""

    account: str
    is_inside: bool


class TrialSku(TrialSide):
    """The sum of one thing that is sold."""

    sku: str


class TrialLine(Out):
    """One rated line that moved; `key` is its candidate rating key, the same in every run over the same prices."""

    key: str
    line_id: str
    account: str
    sku: str
    currency: str
    start: Instant
    current_minor: str
    candidate_minor: str
    delta_minor: str


class TrialBar(Out):
    """How many lines and accounts changed by more than `from_percent` up to `to_percent`; null is no bound, 0 to 0 no change."""

    from_percent: str | None
    to_percent: str | None
    lines: int
    accounts: int


class TrialUnpriced(Out):
    """Usage that is charged now and that the candidate has no price for."""

    item: str
    reason: str
    rows: int
    current_minor: str
    currency: str


class ShadowRating(Out):
    """One shadow rating. It wrote nothing but itself. The accounts and lines that moved most come first."""

    id: str
    book: str
    content_hash: str
    price_book_id: str | None
    from_: Instant = Field(serialization_alias="from")
    to: Instant
    accounts_asked: list[str]
    rows: int
    row_bound: int
    is_whole: bool
    is_inside: bool
    fault: str | None
    limits: dict[str, Any]
    totals: list[TrialTotal]
    account_count: int
    outside_count: int
    accounts: list[TrialAccount]
    skus: list[TrialSku]
    top_movers: list[TrialLine]
    distribution: list[TrialBar]
    unpriced: list[TrialUnpriced]
    ledger_writes: Literal[False] = False
    rated_usage_writes: Literal[False] = False
    created_at: Instant
