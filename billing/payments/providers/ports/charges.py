"""Charges without the customer being there: a saved method is asked for the amount, in our words. The rules of `port` hold."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, Protocol

from billing.kernel.money import Money

if TYPE_CHECKING:
    from billing.payments.providers.port import PaymentFacts

ChargeState = Literal["paid", "processing", "action_required", "declined", "canceled"]


@dataclass(frozen=True, kw_only=True)
class ChargeRequest:
    """A charge to be made. `reference` is our payment session's id and the provider's idempotency key.

    `method_id` and `customer_id` are the provider's names; every member comes from a stored row, so that a repeat says the same.
    """

    reference: str
    customer_id: str
    method_id: str
    method_kind: str
    amount: Money
    title: str
    correlation_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChargeFacts:
    """A charge as the provider holds it now. `is_waiting`: it could still be confirmed by the customer, unless it is ended.

    `decline_code` is the provider's word for a decline, `is_final` its advice that the same method must not be asked again.
    """

    id: str
    reference: str | None
    state: ChargeState
    amount: Money
    is_live: bool
    payment: "PaymentFacts"
    decline_code: str | None = None
    is_final: bool = False
    is_waiting: bool = False


class ChargesPort(Protocol):
    """What a provider does for it."""

    def charge(self, request: ChargeRequest) -> ChargeFacts:
        """Ask the saved method for the amount. A decline is an answer, not an error. The same request again gives the same charge."""

    def fetch_charge(self, intent_id: str) -> ChargeFacts:
        """The charge as it is now, with its payment."""

    def find_charge(self, *, reference: str, customer_id: str, since: datetime) -> ChargeFacts | None:
        """The charge made for `reference` at or after `since`, or None when there certainly is none."""

    def end_charge(self, intent_id: str) -> ChargeFacts:
        """Make sure that nobody can confirm it any more. One that has ended is returned as it is."""

    def expire_checkout(self, checkout_id: str) -> None:
        """Close a checkout that nobody finished. Raises ProviderRefused when it is over already, or paid."""
