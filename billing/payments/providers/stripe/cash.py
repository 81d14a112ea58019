"""The balance at Stripe: its transactions, their fees, and payouts."""

from billing.payments.providers.stripe.calls import StripeCalls


class Cash(StripeCalls):
    """ports.cash, spoken to Stripe."""
