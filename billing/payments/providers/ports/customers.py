"""Customers at the provider, their saved methods, and the pages on which they manage these, in our words. The rules of `port` hold."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

SetupState = Literal["open", "complete", "expired"]
SavingState = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True)
class MethodFacts:
    """A saved method as the provider shows it. `customer_id` is None once it is detached; `kind` is the provider's type."""

    id: str
    customer_id: str | None
    kind: str
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


@dataclass(frozen=True, kw_only=True)
class CustomerFacts:
    """A customer as the provider holds it now; `reference` is our billing account's id, where the customer carries it."""

    id: str
    reference: str | None
    is_live: bool
    is_deleted: bool = False
    default_method_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class SetupRequest:
    """A page on which a method is saved. `reference` is our setup's id and, with `key_suffix`, the provider's idempotency key."""

    reference: str
    customer_id: str
    currency: str
    success_url: str
    cancel_url: str
    correlation_id: str | None = None
    key_suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class SetupFacts:
    """Such a page as the provider holds it now; `method_id` once a method has been saved for `customer_id`."""

    id: str
    reference: str | None
    customer_id: str | None
    state: SetupState
    saving: SavingState
    is_live: bool
    url: str | None = None
    method_id: str | None = None
    failure: str | None = None


class CustomersPort(Protocol):
    """What a provider does for it."""

    def create_customer(self, *, key: str, account_id: str, label: str) -> str:
        """Make the billing account known to the provider; returns the customer's id. The same key gives the same customer."""

    def find_customer(self, *, account_id: str, since: datetime) -> CustomerFacts | None:
        """A customer made within a day from `since` that carries this billing account's id and lives, or None."""

    def fetch_customer(self, customer_id: str) -> CustomerFacts:
        """The customer as it is now. ProviderRefused(resource_missing) when the provider never had it in this mode."""

    def claim_customer(self, customer_id: str, *, account_id: str) -> None:
        """Write our billing account's id on a customer that somebody else made."""

    def list_methods(self, customer_id: str) -> list[MethodFacts]:
        """All methods that hang on the customer, newest first."""

    def set_default_method(self, customer_id: str, method_id: str) -> None:
        """Make it the customer's default. Again changes nothing."""

    def detach_method(self, method_id: str) -> None:
        """Take it off its customer, for ever. One that hangs on nobody any more is no error."""

    def create_setup(self, request: SetupRequest) -> SetupFacts:
        """Open the page. The same request again within 24 h gives the same page."""

    def fetch_setup(self, setup_id: str) -> SetupFacts:
        """The page as it is now."""

    def find_setup(self, *, reference: str, customer_id: str) -> SetupFacts | None:
        """The page made for `reference`, or None when there certainly is none."""

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """The address of a page, good for minutes, on which the customer manages their methods."""
