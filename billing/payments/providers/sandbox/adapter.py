"""The port, answered by ourselves: checkouts, refunds, customers, charges, disputes, cash, signed events."""

from collections.abc import Mapping
from datetime import datetime

from billing.payments.providers import envelopes, signing
from billing.payments.providers.port import Notice
from billing.payments.providers.sandbox.cash import Cash
from billing.payments.providers.sandbox.charges import Charges
from billing.payments.providers.sandbox.checkouts import Checkouts
from billing.payments.providers.sandbox.customers import Customers
from billing.payments.providers.sandbox.disputes import Disputes
from billing.payments.providers.sandbox.memory import SIGNATURE_HEADER
from billing.payments.providers.sandbox.refunds import Refunds


class SandboxProvider(Checkouts, Refunds, Customers, Charges, Disputes, Cash):
    """The port, answered by ourselves."""

    name = "sandbox"
    is_live = False

    def read_webhook(self, raw_body: bytes, headers: Mapping[str, str], *, now: datetime) -> Notice:
        """Check the signature over the raw bytes, then read the envelope: the same code as for Stripe."""
        signing.verify(raw_body, headers.get(SIGNATURE_HEADER), secret=self.secret, now=now)
        return envelopes.read(raw_body)
