"""Hosted checkouts at Stripe."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from billing.kernel.clock import to_millis
from billing.payments.providers import envelopes, facts
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest, ListedPayment, PaymentPage
from billing.payments.providers.stripe.calls import StripeCalls
from billing.reference import provider_currencies

if TYPE_CHECKING:
    from stripe import StripeClient

_CLOCK_SKEW = timedelta(minutes=5)
_CHECKOUT_LIFE = timedelta(hours=25)
_EXPAND_CHECKOUT = ["payment_intent.latest_charge.balance_transaction"]
_EXPAND_PAYMENT = ["latest_charge.balance_transaction"]
_EXPAND_LISTED = ["data.latest_charge.balance_transaction"]
_PAGE = 100


class Checkouts(StripeCalls):
    """The port's checkouts, spoken to Stripe."""

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
            # Saved methods are offered, whichever way they were saved; a new one is saved when the person says so.
            "saved_payment_method_options": {
                "allow_redisplay_filters": ["always", "limited", "unspecified"],
                "payment_method_save": "enabled",
            },
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
        }
        options: Any = {"idempotency_key": request.reference + request.key_suffix}
        return facts.checkout_facts(
            self.call(lambda client: client.v1.checkout.sessions.create(params, options).to_dict())
        )

    def fetch_checkout(self, checkout_id: str) -> CheckoutFacts:
        """The session with its intent, charge and balance transaction."""
        params: Any = {"expand": _EXPAND_CHECKOUT}
        return facts.checkout_facts(
            self.call(lambda client: client.v1.checkout.sessions.retrieve(checkout_id, params).to_dict())
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

        found = self.call(find)
        return None if found is None else self.fetch_checkout(found)

    def list_payments(self, *, since: datetime, until: datetime, cursor: str | None = None) -> PaymentPage:
        """Payment intents by their time of creation: those of checkouts, of charges, and of whatever else uses the account."""
        params: Any = {
            "created": {"gte": _seconds(since), "lt": _seconds(until)},
            "limit": _PAGE,
            "expand": _EXPAND_LISTED,
        }
        if cursor is not None:
            params["starting_after"] = cursor

        def ask(client: "StripeClient") -> tuple[list[dict[str, Any]], bool]:
            page = client.v1.payment_intents.list(params)
            return [item.to_dict() for item in page.data], page.has_more

        items, has_more = self.call(ask)
        return PaymentPage(
            payments=facts.listed_payments(items),
            next_cursor=items[-1]["id"] if has_more and items else None,
        )

    def fetch_payment(self, payment_id: str) -> ListedPayment:
        """The intent with its charge and balance transaction."""
        params: Any = {"expand": _EXPAND_PAYMENT}
        return facts.listed_payment(
            self.call(lambda client: client.v1.payment_intents.retrieve(payment_id, params).to_dict())
        )


def _seconds(at: datetime) -> int:
    return to_millis(at) // 1000
