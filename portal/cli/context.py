"""What commands work with: the database, the providers, the clock, and who is acting."""

import getpass
from functools import cache

from billing.accounts.vat_consultations import Register
from billing.kernel import clock
from billing.notices.mail import Mailer
from billing.payments.providers.port import Provider
from billing.storage.database import Database
from portal.config import PortalConfig, database_urls, from_environment

now = clock.utc_now


@cache
def database() -> Database:
    """The database that the environment names."""
    return Database(database_urls())


@cache
def config() -> PortalConfig:
    """All settings, checked."""
    return from_environment()


@cache
def providers() -> dict[str, Provider]:
    """The payment providers that the settings name."""
    from portal.providers import build

    return build(config(), database())


@cache
def mailer() -> Mailer | None:
    """What sends mail, None where the settings send none."""
    from portal.mailing import build

    return build(config())


def vat_register() -> Register:
    """Where VAT ids are asked about."""
    return config().vat_register


def actor() -> str:
    """Who acts on the command line: the login of this machine."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):
        return "cli:unknown"
