"""What this room asks of a payment provider, in our words. Adapters translate; nothing here knows Stripe.

Every call may raise ProviderRefused (a certain no) or OutcomeUnknown (no clear answer). None may be made inside a transaction.
Amounts are minor units by ISO 4217; an adapter converts to its provider's own scale.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from billing.kernel.money import Money
from billing.payments.providers.ports.cash import CashPort
from billing.payments.providers.ports.charges import ChargesPort
from billing.payments.providers.ports.customers import CustomersPort
from billing.payments.providers.ports.disputes import DisputesPort

CheckoutState = Literal["open", "complete", "expired"]
PaymentState = Literal["unpaid", "processing", "paid", "failed"]
RefundState = Literal["pending", "succeeded", "failed"]


@dataclass(frozen=True, kw_only=True)
class CheckoutRequest:
    """A checkout to be made. `reference` is our payment session's id and, with `key_suffix`, the provider's idempotency key.

    `correlation_id` is the id of the request that began it, as the row keeps it: a repeat says the same. A suffix tells apart the
    second try for another customer, after the first was certainly refused.
    """

    reference: str
    customer_id: str
    amount: Money
    title: str
    success_url: str
    cancel_url: str
    correlation_id: str | None = None
    key_suffix: str = ""


@dataclass(frozen=True, kw_only=True)
class PaymentFacts:
    """A payment as the provider holds it now. `source_id` is the balance transaction that brought the money, once there is one.

    `reference` is our payment session's id, as we gave it, `is_live` the provider's mode, None where nothing says it.
    """

    id: str
    state: PaymentState
    received: Money
    paid_at: datetime | None = None
    source_id: str | None = None
    fee: Money | None = None
    method_label: str | None = None
    failure: str | None = None
    reference: str | None = None
    is_live: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CheckoutFacts:
    """A checkout as the provider holds it now; `reference` is our payment session's id, as we gave it."""

    id: str
    reference: str | None
    state: CheckoutState
    payment_state: PaymentState
    amount: Money
    is_live: bool
    url: str | None
    payment: PaymentFacts | None


@dataclass(frozen=True, kw_only=True)
class ListedPayment:
    """One payment of the provider's list as it is now, whoever began it. `reference` is our row's id if the payment carries one.

    `is_given_back`: all or a part of it was refunded; `is_disputed`: somebody has disputed it, whatever became of that.
    """

    payment: PaymentFacts
    reference: str | None
    customer_id: str | None
    is_live: bool
    created_at: datetime
    is_given_back: bool = False
    is_disputed: bool = False


@dataclass(frozen=True, kw_only=True)
class PaymentPage:
    """A part of a list, newest first; `next_cursor` goes on behind it and is None at the end."""

    payments: tuple[ListedPayment, ...]
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True)
class RefundRequestFacts:
    """A refund to be sent. `reference` is our refund request's id and the provider's idempotency key, `correlation_id` as above."""

    reference: str
    payment_id: str
    amount: Money
    correlation_id: str | None = None


@dataclass(frozen=True, kw_only=True)
class RefundFacts:
    """A refund as the provider holds it now. `status` is its own word for the state, such as requires_action.

    `source_id` is the balance transaction that took the money from our balance there, `failure_source_id` the one that gave it back.
    """

    id: str
    reference: str | None
    payment_id: str
    state: RefundState
    amount: Money
    source_id: str | None = None
    failure: str | None = None
    failure_source_id: str | None = None
    status: str = ""
    reason: str | None = None
    created_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What a provider's event says, reduced to where to look: the object it speaks of, and our id if it carries one."""

    id: str
    type: str
    is_live: bool
    account: str | None
    object_kind: str
    object_id: str
    reference: str | None
    payment_id: str | None
    customer_id: str | None = None


class Provider(CustomersPort, ChargesPort, DisputesPort, CashPort, Protocol):
    """One payment provider."""

    @property
    def name(self) -> str:
        """How rows name it: "stripe", "sandbox"."""

    @property
    def is_live(self) -> bool:
        """Whether real money moves."""

    def create_checkout(self, request: CheckoutRequest) -> CheckoutFacts:
        """Open a hosted checkout. The same request again within 24 h gives the same checkout."""

    def fetch_checkout(self, checkout_id: str) -> CheckoutFacts:
        """The checkout as it is now, with its payment."""

    def find_checkout(self, *, reference: str, customer_id: str, since: datetime) -> CheckoutFacts | None:
        """The checkout made for `reference` at or after `since`, or None when there certainly is none."""

    def list_payments(self, *, since: datetime, until: datetime, cursor: str | None = None) -> PaymentPage:
        """Payments created at or after `since` and before `until`, in any state, in pages."""

    def fetch_payment(self, payment_id: str) -> ListedPayment:
        """One payment as it is now, whoever began it."""

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """Send money back. The same request again within 24 h gives the same refund."""

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now."""

    def cancel_refund(self, refund_id: str) -> RefundFacts:
        """Cancel a refund that waits for the customer's details. The same again is refused."""

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of a payment, whoever made them."""

    def read_webhook(self, raw_body: bytes, headers: Mapping[str, str], *, now: datetime) -> Notice:
        """Check the signature over the raw bytes and read the event. Raises WebhookRefused."""
