"""Charges without the customer being there: a saved method is asked for the amount."""

from billing.payments.providers.stripe.calls import StripeCalls


class Charges(StripeCalls):
    """ports.charges, spoken to Stripe."""
