"""Disputes and early warnings in the sandbox."""

from billing.payments.providers.sandbox.memory import Memory


class Disputes(Memory):
    """ports.disputes, answered by ourselves."""
