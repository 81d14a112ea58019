"""The three steps of an event: read our rows, ask the provider outside any transaction, then take effect in one (Law 6)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from billing.payments.providers.port import Notice, Provider

Effect = Callable[[Session, datetime], None]
"""Takes effect in the caller's transaction, at that time; a second time changes nothing."""

Look = Callable[[Provider], Effect]
"""Asks the provider, outside any transaction, and returns what follows. Raises OutcomeUnknown, ProviderRefused, ProviderMismatch."""


@dataclass(frozen=True, kw_only=True)
class Handler:
    """How events of these types take effect. `find` reads our rows and returns what to ask, or None when they are about none of ours.

    Its arguments: a reading session, the event, the provider's name.
    """

    types: frozenset[str]
    find: Callable[[Session, Notice, str], Look | None]
