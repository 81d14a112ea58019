"""The port, spoken to Stripe: checkouts, refunds, customers, charges, disputes, cash, taxes, signed events."""

from collections.abc import Mapping
from datetime import datetime

from billing.invoicing.taxes.port import Calculation, CalculationRefused, CalculationRequest
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers import envelopes, signing
from billing.payments.providers.port import Notice
from billing.payments.providers.stripe import tax
from billing.payments.providers.stripe.cash import Cash
from billing.payments.providers.stripe.charges import Charges
from billing.payments.providers.stripe.checkouts import Checkouts
from billing.payments.providers.stripe.customers import Customers
from billing.payments.providers.stripe.disputes import Disputes
from billing.payments.providers.stripe.refunds import Refunds


class StripeProvider(Checkouts, Refunds, Customers, Charges, Disputes, Cash):
    """The port, spoken to Stripe."""

    name = "stripe"

    def calculate_tax(self, request: CalculationRequest) -> Calculation:
        """Stripe Tax works out the taxes of a draft. Raises CalculationRefused."""
        try:
            return tax.read(self.call(lambda client: tax.ask(client, request)))
        except (ProviderRefused, OutcomeUnknown) as error:
            raise CalculationRefused(str(error)) from error

    def read_webhook(self, raw_body: bytes, headers: Mapping[str, str], *, now: datetime) -> Notice:
        """Check `Stripe-Signature` over the raw bytes, then read the envelope."""
        signing.verify(raw_body, headers.get("Stripe-Signature"), secret=self._webhook_secret, now=now)
        return envelopes.read(raw_body)
