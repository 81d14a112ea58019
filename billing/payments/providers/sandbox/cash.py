"""The balance in the sandbox: its transactions, their fees, and payouts."""

from billing.payments.providers.sandbox.memory import Memory


class Cash(Memory):
    """ports.cash, answered by ourselves."""
