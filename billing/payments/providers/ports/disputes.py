"""Disputes and early warnings at the provider, in our words. The rules of `port` hold."""

from typing import Protocol


class DisputesPort(Protocol):
    """What a provider does for it."""
