"""Charges without the customer being there: a payment intent confirmed off session with a saved method."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from billing.kernel.clock import to_millis
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers import envelopes, facts
from billing.payments.providers.ports.charges import ChargeFacts, ChargeRequest
from billing.payments.providers.stripe.calls import StripeCalls
from billing.reference import provider_currencies

if TYPE_CHECKING:
    from stripe import StripeClient

_CLOCK_SKEW = timedelta(minutes=5)
_LONGEST_CALL = timedelta(hours=24)
_EXPAND_INTENT = ["latest_charge.balance_transaction"]


class Charges(StripeCalls):
    """ports.charges, spoken to Stripe."""

    def charge(self, request: ChargeRequest) -> ChargeFacts:
        """https://docs.stripe.com/payments/save-and-reuse#charge-saved-payment-method: what the bank answers comes with the error."""
        params: Any = {
            "amount": provider_currencies.to_stripe(request.amount),
            "currency": request.amount.currency.lower(),
            "customer": request.customer_id,
            "payment_method": request.method_id,
            "allowed_payment_method_types": [request.method_kind],
            "confirm": True,
            "off_session": True,
            "capture_method": "automatic",
            "description": request.title,
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "expand": _EXPAND_INTENT,
        }
        options: Any = {"idempotency_key": request.reference}
        return facts.charge_facts(self.call(lambda client: _create(client, params, options)))

    def fetch_charge(self, intent_id: str) -> ChargeFacts:
        """The intent with its charge and balance transaction."""
        params: Any = {"expand": _EXPAND_INTENT}
        return facts.charge_facts(
            self.call(lambda client: client.v1.payment_intents.retrieve(intent_id, params).to_dict())
        )

    def find_charge(self, *, reference: str, customer_id: str, since: datetime) -> ChargeFacts | None:
        """Walk the customer's intents of that time: Stripe's search lags behind by up to a minute, its lists do not."""
        created = {"gte": _seconds(since - _CLOCK_SKEW), "lte": _seconds(since + _LONGEST_CALL)}
        params: Any = {"customer": customer_id, "created": created, "limit": 100}

        def find(client: "StripeClient") -> str | None:
            for item in client.v1.payment_intents.list(params).auto_paging_iter():
                if item.metadata.to_dict().get(envelopes.METADATA_KEY) == reference:
                    return item.id
            return None

        found = self.call(find)
        return None if found is None else self.fetch_charge(found)

    def end_charge(self, intent_id: str) -> ChargeFacts:
        """Cancel the intent; what can no longer be cancelled is looked at instead."""
        params: Any = {"cancellation_reason": "abandoned"}
        try:
            self.call(lambda client: client.v1.payment_intents.cancel(intent_id, params))
        except ProviderRefused as refused:
            if refused.reason != "payment_intent_unexpected_state":
                raise OutcomeUnknown(str(refused)) from refused
        return self.fetch_charge(intent_id)

    def expire_checkout(self, checkout_id: str) -> None:
        """https://docs.stripe.com/api/checkout/sessions/expire"""
        self.call(lambda client: client.v1.checkout.sessions.expire(checkout_id))


def _create(client: "StripeClient", params: Any, options: Any) -> dict[str, Any]:
    """The intent, also where the bank declined: the error then carries it. An error without an intent goes on as it is."""
    import stripe

    try:
        return client.v1.payment_intents.create(params, options).to_dict()
    except stripe.CardError as error:
        body = error.json_body if isinstance(error.json_body, dict) else {}
        intent = (body.get("error") or {}).get("payment_intent")
        if not isinstance(intent, dict):
            raise
        return intent


def _seconds(at: datetime) -> int:
    return to_millis(at) // 1000
