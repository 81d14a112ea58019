"""Customers at the provider and their saved methods, in our words. The rules of `port` hold."""

from typing import Protocol


class CustomersPort(Protocol):
    """What a provider does for it."""

    def create_customer(self, *, account_id: str, label: str) -> str:
        """Make the billing account known to the provider; returns the customer's id. Idempotent per account."""
