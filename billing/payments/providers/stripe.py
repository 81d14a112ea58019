"""Stripe through its own SDK: Checkout sessions, refunds, signed events. The SDK is loaded at the first call."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from billing.invoicing.taxes.port import Calculation, CalculationRefused, CalculationRequest
from billing.kernel.clock import to_millis
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers import envelopes, facts, signing, stripe_tax
from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest, Notice, RefundFacts, RefundRequestFacts
from billing.reference import provider_currencies

if TYPE_CHECKING:
    from stripe import StripeClient

Result = TypeVar("Result")
_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S = 5, 20
_CLOCK_SKEW = timedelta(minutes=5)
_CHECKOUT_LIFE = timedelta(hours=25)
_EXPAND_CHECKOUT = ["payment_intent.latest_charge.balance_transaction"]
_EXPAND_REFUND = ["balance_transaction"]


class StripeProvider:
    """The port, spoken to Stripe. `api_base` is another address of the API, such as a compatible server in tests."""

    name = "stripe"

    def __init__(self, *, secret_key: str, webhook_secret: str, api_base: str | None = None) -> None:
        self._secret_key = secret_key
        self._webhook_secret = webhook_secret
        self._api_base = api_base

    @property
    def is_live(self) -> bool:
        """Whether the key moves real money."""
        return self._secret_key.startswith(("sk_live_", "rk_live_"))

    def create_customer(self, *, account_id: str, label: str) -> str:
        """A customer that carries our billing account's id; no personal data."""
        params: Any = {"description": label, "metadata": {METADATA_KEY: account_id}}
        return self._call(
            lambda client: client.v1.customers.create(params, {"idempotency_key": f"customer:{account_id}"}).id
        )

    def create_checkout(self, request: CheckoutRequest) -> CheckoutFacts:
        """A hosted page for one amount. All parameters come from our stored row, so that a repeat is the same request."""
        price = {
            "currency": request.amount.currency.lower(),
            "unit_amount": provider_currencies.to_stripe(request.amount),
            "product_data": {"name": request.title},
        }
        metadata = envelopes.metadata(request.reference, request.correlation_id)
        params: Any = {
            "mode": "payment",
            "customer": request.customer_id,
            "client_reference_id": request.reference,
            "metadata": metadata,
            # Captured at once, not asynchronously: the balance transaction is then there when the payment is confirmed.
            "payment_intent_data": {"metadata": metadata, "capture_method": "automatic"},
            "line_items": [{"quantity": 1, "price_data": price}],
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        options: Any = {"idempotency_key": request.reference}
        return facts.checkout_facts(
            self._call(lambda client: client.v1.checkout.sessions.create(params, options).to_dict())
        )

    def fetch_checkout(self, checkout_id: str) -> CheckoutFacts:
        """The session with its intent, charge and balance transaction."""
        params: Any = {"expand": _EXPAND_CHECKOUT}
        return facts.checkout_facts(
            self._call(lambda client: client.v1.checkout.sessions.retrieve(checkout_id, params).to_dict())
        )

    def find_checkout(self, *, reference: str, customer_id: str, since: datetime) -> CheckoutFacts | None:
        """Walk the customer's sessions of that time; Stripe has no search by client_reference_id."""
        created = {"gte": _seconds(since - _CLOCK_SKEW), "lte": _seconds(since + _CHECKOUT_LIFE)}
        params: Any = {"customer": customer_id, "created": created, "limit": 100}

        def find(client: "StripeClient") -> str | None:
            for item in client.v1.checkout.sessions.list(params).auto_paging_iter():
                if item.client_reference_id == reference:
                    return item.id
            return None

        found = self._call(find)
        return None if found is None else self.fetch_checkout(found)

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """A refund of a payment intent, marked with our request's id."""
        params: Any = {
            "payment_intent": request.payment_id,
            "amount": provider_currencies.to_stripe(request.amount),
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "expand": _EXPAND_REFUND,
        }
        options: Any = {"idempotency_key": request.reference}
        return facts.refund_facts(self._call(lambda client: client.v1.refunds.create(params, options).to_dict()))

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now."""
        params: Any = {"expand": _EXPAND_REFUND}
        return facts.refund_facts(self._call(lambda client: client.v1.refunds.retrieve(refund_id, params).to_dict()))

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of the payment intent."""
        params: Any = {
            "payment_intent": payment_id,
            "limit": 100,
            "expand": [f"data.{name}" for name in _EXPAND_REFUND],
        }
        items: list[dict[str, Any]] = self._call(
            lambda client: [item.to_dict() for item in client.v1.refunds.list(params).auto_paging_iter()]
        )
        return [facts.refund_facts(item) for item in items]

    def calculate_tax(self, request: CalculationRequest) -> Calculation:
        """Stripe Tax works out the taxes of a draft. Raises CalculationRefused."""
        try:
            return stripe_tax.read(self._call(lambda client: stripe_tax.ask(client, request)))
        except (ProviderRefused, OutcomeUnknown) as error:
            raise CalculationRefused(str(error)) from error

    def read_webhook(self, raw_body: bytes, headers: Mapping[str, str], *, now: datetime) -> Notice:
        """Check `Stripe-Signature` over the raw bytes, then read the envelope."""
        signing.verify(raw_body, headers.get("Stripe-Signature"), secret=self._webhook_secret, now=now)
        return envelopes.read(raw_body)

    def _call(self, act: Callable[["StripeClient"], Result]) -> Result:
        """One conversation with Stripe. Only what is certain is ProviderRefused; a wrong key of ours is a matter of later."""
        import stripe

        try:
            return act(self._client)
        except stripe.IdempotencyError as error:
            raise OutcomeUnknown(f"idempotency: {error.code}") from error
        except stripe.CardError as error:
            raise ProviderRefused(error.code or "card_error", error.user_message or "") from error
        except stripe.InvalidRequestError as error:
            raise ProviderRefused(error.code or "invalid_request", error.user_message or str(error)) from error
        except stripe.StripeError as error:
            raise OutcomeUnknown(f"{type(error).__name__}: status {error.http_status}") from error

    @cached_property
    def _client(self) -> "StripeClient":
        import stripe

        # One try: what fails is looked up by recovery, which knows more than a blind repeat.
        return stripe.StripeClient(
            self._secret_key,
            base_addresses={"api": self._api_base} if self._api_base else {},
            http_client=stripe.RequestsClient(timeout=(_CONNECT_TIMEOUT_S, _READ_TIMEOUT_S)),
            max_network_retries=0,
        )


def _seconds(at: datetime) -> int:
    return to_millis(at) // 1000
