"""Charges without the customer being there: a saved method is asked for the amount, in our words. The rules of `port` hold."""

from typing import Protocol


class ChargesPort(Protocol):
    """What a provider does for it."""
