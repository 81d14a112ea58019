"""`plumbline webhooks`: the providers' events as they came in, and their effect once more."""

import json

import click

from billing.payments import apply, inbox
from billing.payments.inbox import Filters
from billing.payments.recovery import redaction
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_COLUMNS = ("id", "provider", "event_id", "type", "state", "attempts", "note", "received_at", "processed_at")
_DETAIL = (
    *_COLUMNS,
    "next_try_at",
    "object_id",
    "reference",
    "payment_id",
    "closed_by",
    "closed_reason",
    "correlation_id",
)


@click.group()
def webhooks() -> None:
    """Events of payment providers."""


@webhooks.command("list")
@click.option(
    "--state", "states", type=click.Choice(inbox.STATES), multiple=True, help="Only these states; may be repeated."
)
@click.option("--type", "text", help="Only types that begin so, such as charge.dispute; or an id that events speak of.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@with_format
def list_webhooks(states: tuple[str, ...], text: str | None, limit: int, form: str) -> None:
    """The newest events first; `note` says why one was ignored or failed."""
    with context.database().reading("jobs") as session:
        rows = inbox.list_events(session, Filters(states=states, text=text), limit=limit)
    emit([{name: getattr(row, name) for name in _COLUMNS} for row in rows], form, columns=_COLUMNS)


@webhooks.command()
@click.argument("key", metavar="ID")
@with_format
def show(key: str, form: str) -> None:
    """One event, by our id or the provider's, with its tries and its body; what identifies people in it is left out."""
    with context.database().reading("jobs") as session:
        row = inbox.get_event(session, key)
        tries = inbox.list_tries(session, row.id)
        body = redaction.body(inbox.body_of(session, row.id))
    found = {name: getattr(row, name) for name in _DETAIL}
    told = [{"tried_at": one.tried_at, "outcome": one.outcome, "note": one.note} for one in tries]
    if form == "json":
        emit([], form, data=found | {"tries": told, "body": json.loads(body)})
        return
    emit([{"fact": name, "value": value} for name, value in found.items()], form, columns=("fact", "value"))
    if form == "table":
        emit(told, form, columns=("tried_at", "outcome", "note"))
        click.echo(body)


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
            keys = tuple(row.id for row in inbox.list_events(session, Filters(states=("failed",)), limit=10_000))
    rows = []
    for key in keys:
        with database.transaction("jobs") as session:
            event_id = inbox.reopen(session, now=context.now(), key=key, actor=context.actor())
        state = apply.apply_event(database, providers, event_id, now=context.now())
        rows.append({"id": event_id, "state": state})
    emit(rows, form, columns=("id", "state"))
    wrong = [str(row["id"]) for row in rows if row["state"] == "failed"]
    if wrong:
        raise Failed(f"still failing: {', '.join(wrong)}")


@webhooks.command()
@click.argument("key", metavar="ID")
@click.option("--reason", required=True, help="Why nothing needs to be done about it.")
def close(key: str, reason: str) -> None:
    """Take a failed event off the list of what waits for finance. No money moves."""
    with context.database().transaction("jobs") as session:
        event_id = inbox.close(session, now=context.now(), key=key, reason=reason, actor=context.actor())
    click.echo(f"{event_id} is closed.")
