"""`plumbline webhooks`: the providers' events as they came in, and their effect once more."""

import click

from billing.payments import apply
from billing.payments import webhooks as events
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_STATES = ("received", "processed", "ignored", "failed")
_COLUMNS = ("id", "provider", "event_id", "type", "state", "attempts", "note", "received_at", "processed_at")


@click.group()
def webhooks() -> None:
    """Events of payment providers."""


@webhooks.command("list")
@click.option(
    "--state", "states", type=click.Choice(_STATES), multiple=True, help="Only these states; may be repeated."
)
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_webhooks(states: tuple[str, ...], limit: int, form: str) -> None:
    """The newest events first; `note` says why one was ignored or failed."""
    with context.database().reading("jobs") as session:
        rows = events.list_events(session, states=states, limit=limit)
    emit([{name: getattr(row, name) for name in _COLUMNS} for row in rows], form, columns=_COLUMNS)


@webhooks.command()
@click.argument("keys", nargs=-1, metavar="[ID]...")
@click.option("--failed", is_flag=True, help="All events that failed.")
@with_format
def reprocess(keys: tuple[str, ...], failed: bool, form: str) -> None:
    """Give events their effect once more, by our id or the provider's. What took effect before stays as it is.

    Exit 1 when one still fails.
    """
    if bool(keys) == failed:
        raise click.UsageError("give either events' ids or --failed")
    database, providers = context.database(), context.providers()
    if failed:
        with database.reading("jobs") as session:
            keys = tuple(row.id for row in events.list_events(session, states=("failed",), limit=10_000))
    rows = []
    for key in keys:
        with database.transaction("jobs") as session:
            event_id = events.reopen(session, key=key)
        state = apply.apply_event(database, providers, event_id, now=context.now())
        rows.append({"id": event_id, "state": state})
    emit(rows, form, columns=("id", "state"))
    wrong = [str(row["id"]) for row in rows if row["state"] == "failed"]
    if wrong:
        raise Failed(f"still failing: {', '.join(wrong)}")
