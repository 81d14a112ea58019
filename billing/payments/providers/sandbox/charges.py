"""Charges without the customer being there: a saved method is asked for the amount."""

from billing.payments.providers.sandbox.memory import Memory


class Charges(Memory):
    """ports.charges, answered by ourselves."""
