"""What views use of the application: its database, its providers, and the clock."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from flask import current_app

from billing.kernel import clock
from billing.notices.mail import Mailer
from billing.payments.providers.port import Provider
from billing.storage import tenancy
from billing.storage.database import Database, Session
from portal.config import PortalConfig


@dataclass(frozen=True, kw_only=True)
class Services:
    """One application's parts. `providers` by name; the first is what new payments use. `mail` is None where none is sent."""

    config: PortalConfig
    database: Database
    providers: dict[str, Provider]
    mail: Mailer | None = None


def services() -> Services:
    """The parts of the application in force."""
    return cast(Services, current_app.extensions["plumbline"])


def database() -> Database:
    """The database of the application in force."""
    return services().database


def config() -> PortalConfig:
    """The settings of the application in force."""
    return services().config


def default_provider() -> Provider:
    """The provider that new payments use: Stripe where it is configured, else the sandbox."""
    return next(iter(services().providers.values()))


def now() -> datetime:
    """The present instant: views read the clock here and pass it down."""
    return clock.utc_now()


def streamed(read: Callable[[Session], Iterable[bytes]]) -> Iterator[bytes]:
    """What `read` yields from one snapshot, for an answer that is sent while it is read: after the view, in the view's tenancy."""
    scope, parts = tenancy.current(), services()

    def chunks() -> Iterator[bytes]:
        with ExitStack() as open_parts:
            with tenancy.scope(scope):
                session = open_parts.enter_context(parts.database.reading())
            yield from read(session)

    return chunks()
