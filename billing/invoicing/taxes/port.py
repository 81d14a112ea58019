"""What this room asks of a tax provider, in our words. Adapters translate; none is called inside a transaction."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, runtime_checkable


@dataclass(frozen=True, kw_only=True)
class CalculationItem:
    """What is billed of one tax point, in minor units; `reference` is the label of its billing period, "" for a sale."""

    reference: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class CalculationRequest:
    """One question about one draft. `reference` is our row's id and the provider's idempotency key; `on` the latest tax point."""

    reference: str
    currency: str
    items: Sequence[CalculationItem]
    includes_tax: bool
    street: str
    city: str
    postcode: str
    country: str
    vat_id: str | None
    on: date
    today: date


@dataclass(frozen=True, kw_only=True)
class CalculatedItem:
    """How a provider taxes one item: category of UNCL 5305, rate in basis points, whose tax it is."""

    reference: str
    category: str
    rate_bp: int
    jurisdiction: str
    tax_minor: int


@dataclass(frozen=True, kw_only=True)
class Calculation:
    """A provider's answer, with its own id of it."""

    reference: str
    items: Sequence[CalculatedItem]


class CalculationRefused(Exception):
    """The provider did not work it out; the text says why in its words."""


@runtime_checkable
class TaxCalculator(Protocol):
    """A provider that works out taxes."""

    def calculate_tax(self, request: CalculationRequest) -> Calculation:
        """Work out the taxes of a draft. Raises CalculationRefused; the same request again within 24 h is the same answer."""
