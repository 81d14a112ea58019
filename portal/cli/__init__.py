"""The command line: `plumbline`. Each module here is one group of commands; it is loaded when one of its commands is called.

Exit status: 0 on success, 1 on a refusal (one clear sentence), 2 on wrong usage. Never a traceback.
"""

import os
import sys
from importlib import import_module
from typing import Any

import click

from billing.kernel.errors import Refusal
from billing.storage import failures
from portal import sentences
from portal.config import Unsafe

# command -> (module of portal.cli, attribute)
COMMANDS = {
    "accounts": ("accounts", "accounts"),
    "allocations": ("allocations", "allocations"),
    "apikey": ("api_keys", "apikey"),
    "audit": ("assurance", "audit"),
    "approvals": ("approvals", "approvals"),
    "balance": ("ledger", "balance"),
    "bench": ("bench", "bench"),
    "charges": ("charges", "charges"),
    "commitments": ("commitments", "commitments"),
    "db": ("database", "db"),
    "demo": ("demo", "demo"),
    "dunning": ("charges", "dunning"),
    "fx": ("fx", "fx"),
    "invoices": ("invoices", "invoices_group"),
    "jobs": ("jobs", "jobs"),
    "keys": ("keys", "keys"),
    "ledger": ("ledger", "ledger"),
    "mail": ("notices", "mail_group"),
    "notices": ("notices", "notices"),
    "openapi": ("openapi", "openapi"),
    "payments": ("payments", "payments"),
    "overrides": ("plans", "overrides"),
    "plans": ("plans", "plans"),
    "prices": ("prices", "prices"),
    "provider-balance": ("provider_balance", "provider_balance"),
    "reconcile": ("reconcile", "reconcile"),
    "disputes": ("disputes", "disputes"),
    "provider-customers": ("provider_customers", "provider_customers"),
    "replay": ("assurance", "replay"),
    "reservations": ("reservations", "reservations"),
    "roots": ("roots", "roots"),
    "run": ("server", "run"),
    "self-check": ("assurance", "self_check"),
    "shadow-rate": ("shadow_rate", "shadow_rate"),
    "smoke": ("smoke", "smoke"),
    "subscriptions": ("plans", "subscriptions"),
    "tax": ("tax", "tax"),
    "transfers": ("transfers", "transfers"),
    "usage": ("usage", "usage"),
    "user": ("users", "user"),
    "webhooks": ("webhooks", "webhooks"),
    "worker": ("server", "worker"),
}


class Failed(click.ClickException):
    """A command that could not do its work: one sentence on standard error, exit 1."""

    def show(self, file: Any = None) -> None:
        """The sentence alone: it already says what to do."""
        click.echo(self.message, file=file, err=True)


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"portal.cli.{module}"), attribute)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refusal as refusal:
            raise Failed(sentences.of(refusal)) from None
        except Unsafe as unsafe:
            raise Failed(str(unsafe)) from None
        except failures.UNUSABLE as error:
            if os.environ.get("PLUMBLINE_DEBUG"):
                raise
            raise Failed(failures.sentence(error)) from None
        except BrokenPipeError:
            sys.stderr.close()
            raise SystemExit(1) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="plumbline", prog_name="plumbline")
def main() -> None:
    """Plumbline: a billing portal in which every cent explains itself."""
