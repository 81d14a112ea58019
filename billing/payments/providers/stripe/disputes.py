"""Disputes and early warnings at Stripe."""

from billing.payments.providers.stripe.calls import StripeCalls


class Disputes(StripeCalls):
    """ports.disputes, spoken to Stripe."""
