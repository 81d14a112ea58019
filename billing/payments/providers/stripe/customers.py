"""Customers at Stripe: a billing account as Stripe knows it. No personal data goes there but what a person types there."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from billing.kernel.clock import to_millis
from billing.payments.errors import ProviderRefused
from billing.payments.providers import customer_facts, envelopes
from billing.payments.providers.envelopes import METADATA_KEY
from billing.payments.providers.ports.customers import CustomerFacts, MethodFacts, SetupFacts, SetupRequest
from billing.payments.providers.stripe.calls import StripeCalls

if TYPE_CHECKING:
    from stripe import StripeClient

_EXPAND_SETUP = ["setup_intent"]
_CLOCK_SKEW, _KEY_LIFE = timedelta(minutes=5), timedelta(hours=25)


class Customers(StripeCalls):
    """ports.customers, spoken to Stripe."""

    def create_customer(self, *, key: str, account_id: str, label: str) -> str:
        """A customer that carries our billing account's id and code; no personal data."""
        params: Any = {"description": label, "metadata": {METADATA_KEY: account_id}}
        return self.call(lambda client: client.v1.customers.create(params, {"idempotency_key": key}).id)

    def find_customer(self, *, account_id: str, since: datetime) -> CustomerFacts | None:
        """Walk the customers of that time: Stripe's search over metadata lags behind, a list does not."""
        made = {"gte": _seconds(since - _CLOCK_SKEW), "lte": _seconds(since + _KEY_LIFE)}
        params: Any = {"created": made, "limit": 100}

        def find(client: "StripeClient") -> dict[str, Any] | None:
            for item in client.v1.customers.list(params).auto_paging_iter():
                found = item.to_dict()
                if (found.get("metadata") or {}).get(METADATA_KEY) == account_id:
                    return found
            return None

        made_before = self.call(find)
        return None if made_before is None else customer_facts.customer(made_before)

    def fetch_customer(self, customer_id: str) -> CustomerFacts:
        """The customer, also a deleted one."""
        return customer_facts.customer(self.call(lambda client: client.v1.customers.retrieve(customer_id).to_dict()))

    def claim_customer(self, customer_id: str, *, account_id: str) -> None:
        """Our id beside whatever metadata there is."""
        params: Any = {"metadata": {METADATA_KEY: account_id}}
        self.call(lambda client: client.v1.customers.update(customer_id, params))

    def list_methods(self, customer_id: str) -> list[MethodFacts]:
        """All kinds, page by page."""
        params: Any = {"limit": 100}

        def read(client: "StripeClient") -> list[dict[str, Any]]:
            return [
                item.to_dict()
                for item in client.v1.customers.payment_methods.list(customer_id, params).auto_paging_iter()
            ]

        return [customer_facts.method(item) for item in self.call(read)]

    def set_default_method(self, customer_id: str, method_id: str) -> None:
        """The default of invoice_settings, which the customer portal shows and sets too."""
        params: Any = {"invoice_settings": {"default_payment_method": method_id}}
        self.call(lambda client: client.v1.customers.update(customer_id, params))

    def detach_method(self, method_id: str) -> None:
        """Detached for ever; what hangs on nobody stays as it is."""
        try:
            self.call(lambda client: client.v1.payment_methods.detach(method_id))
        except ProviderRefused:
            item = self.call(lambda client: client.v1.payment_methods.retrieve(method_id).to_dict())
            if customer_facts.method(item).customer_id is not None:
                raise

    def create_setup(self, request: SetupRequest) -> SetupFacts:
        """Checkout in mode setup, with whatever methods the account offers in that currency."""
        metadata = envelopes.metadata(request.reference, request.correlation_id)
        params: Any = {
            "mode": "setup",
            "customer": request.customer_id,
            "client_reference_id": request.reference,
            "currency": request.currency.lower(),
            "metadata": metadata,
            "setup_intent_data": {"metadata": metadata},
            "success_url": request.success_url,
            "cancel_url": request.cancel_url,
            "expand": _EXPAND_SETUP,
        }
        options: Any = {"idempotency_key": request.reference + request.key_suffix}
        return customer_facts.setup(
            self.call(lambda client: client.v1.checkout.sessions.create(params, options).to_dict())
        )

    def fetch_setup(self, setup_id: str) -> SetupFacts:
        """The session with its setup intent."""
        params: Any = {"expand": _EXPAND_SETUP}
        return customer_facts.setup(
            self.call(lambda client: client.v1.checkout.sessions.retrieve(setup_id, params).to_dict())
        )

    def find_setup(self, *, reference: str, customer_id: str) -> SetupFacts | None:
        """Walk the customer's sessions; Stripe has no search by client_reference_id."""
        params: Any = {"customer": customer_id, "limit": 100}

        def find(client: "StripeClient") -> str | None:
            for item in client.v1.checkout.sessions.list(params).auto_paging_iter():
                if item.client_reference_id == reference:
                    return item.id
            return None

        found = self.call(find)
        return None if found is None else self.fetch_setup(found)

    def open_portal(self, customer_id: str, *, return_url: str) -> str:
        """A session of the customer portal, in its default configuration."""
        params: Any = {"customer": customer_id, "return_url": return_url}
        return self.call(lambda client: client.v1.billing_portal.sessions.create(params).url)


def _seconds(at: datetime) -> int:
    return to_millis(at) // 1000
