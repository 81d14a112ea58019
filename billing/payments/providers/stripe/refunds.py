"""Refunds at Stripe."""

from typing import Any

from billing.payments.providers import envelopes, facts
from billing.payments.providers.port import RefundFacts, RefundRequestFacts
from billing.payments.providers.stripe.calls import StripeCalls
from billing.reference import provider_currencies

_EXPAND_REFUND = ["balance_transaction"]


class Refunds(StripeCalls):
    """The port's refunds, spoken to Stripe."""

    def refund(self, request: RefundRequestFacts) -> RefundFacts:
        """A refund of a payment intent, marked with our request's id."""
        params: Any = {
            "payment_intent": request.payment_id,
            "amount": provider_currencies.to_stripe(request.amount),
            "metadata": envelopes.metadata(request.reference, request.correlation_id),
            "expand": _EXPAND_REFUND,
        }
        options: Any = {"idempotency_key": request.reference}
        return facts.refund_facts(self.call(lambda client: client.v1.refunds.create(params, options).to_dict()))

    def fetch_refund(self, refund_id: str) -> RefundFacts:
        """The refund as it is now."""
        params: Any = {"expand": _EXPAND_REFUND}
        return facts.refund_facts(self.call(lambda client: client.v1.refunds.retrieve(refund_id, params).to_dict()))

    def cancel_refund(self, refund_id: str) -> RefundFacts:
        """Cancel one that waits for the customer; Stripe refuses any other."""
        params: Any = {"expand": _EXPAND_REFUND}
        return facts.refund_facts(self.call(lambda client: client.v1.refunds.cancel(refund_id, params).to_dict()))

    def list_refunds(self, payment_id: str) -> list[RefundFacts]:
        """All refunds of the payment intent."""
        params: Any = {
            "payment_intent": payment_id,
            "limit": 100,
            "expand": [f"data.{name}" for name in _EXPAND_REFUND],
        }
        items: list[dict[str, Any]] = self.call(
            lambda client: [item.to_dict() for item in client.v1.refunds.list(params).auto_paging_iter()]
        )
        return [facts.refund_facts(item) for item in items]
