"""Customers at Stripe: a billing account as Stripe knows it. No personal data goes there but what a person types there."""

from typing import Any

from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.stripe.calls import StripeCalls


class Customers(StripeCalls):
    """ports.customers, spoken to Stripe."""

    def create_customer(self, *, account_id: str, label: str) -> str:
        """A customer that carries our billing account's id; no personal data."""
        params: Any = {"description": label, "metadata": {METADATA_KEY: account_id}}
        return self.call(
            lambda client: client.v1.customers.create(params, {"idempotency_key": f"customer:{account_id}"}).id
        )
