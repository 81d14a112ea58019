"""The balance at the provider: its transactions, their fees, and payouts, in our words. The rules of `port` hold."""

from typing import Protocol


class CashPort(Protocol):
    """What a provider does for it."""
