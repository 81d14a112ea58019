"""`plumbline approvals`: what waits for a second person, and their decision.

The command line is trusted to say who somebody is (`--as`), not with separation of duty: who asked cannot decide here either.
"""

from typing import Any

import click

from billing.accounts import approval_list, people, users
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.approvals import ACTS
from billing.controls import second_person
from billing.kernel import clock
from billing.storage.database import Session
from portal import sentences
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_COLUMNS = (
    *("id", "act", "subject", "account", "amount_minor", "currency", "maker", "requested_at", "expires_at", "state"),
)
as_person = click.option(
    "--as", "login", required=True, help="Who acts: the address a member of the staff signs in with."
)


@click.group()
def approvals() -> None:
    """Acts that wait for a second person."""


@approvals.command("list")
@click.option("--state", type=click.Choice(approval_list.STATES), default="requested", show_default=True)
@click.option("--all", "every", is_flag=True, help="Whatever their state.")
@click.option("--act", type=click.Choice(list(ACTS)), help="Only requests for this act.")
@with_format
def list_(state: str, every: bool, act: str | None, form: str) -> None:
    """Requests with who asked, for what, and until when they stand; those that wait are printed oldest first."""
    with context.database().reading("jobs") as session:
        rows = approval_list.list_approvals(session, state=None if every else state, act=act, limit=1_000_000)
        names = people.names_of(session, [row.maker for row in rows])
    emit([_plain(row, names) for row in rows], form, columns=_COLUMNS)


@approvals.command()
@click.argument("approval_id")
@with_format
def show(approval_id: str, form: str) -> None:
    """One request with what exactly it would let happen, and its content hash."""
    with context.database().reading("jobs") as session:
        row = approval_list.get_approval(session, approval_id)
        names = people.names_of(session, [row.maker, row.checker])
        fault = second_person.find_fault(session, row) if row.state == "requested" else None
    data = {
        **_plain(row, names),
        "reason": row.reason,
        "content": row.content,
        "content_hash": row.content_hash,
        "checker": names.get(row.checker or "", row.checker),
        "decided_at": clock.to_rfc3339(row.decided_at) if row.decided_at else None,
        "note": row.note,
        "fault": sentences.of(fault) if fault else None,
    }
    emit([{"field": name, "value": value} for name, value in data.items()], form, data=data)


@approvals.command()
@click.argument("approval_id")
@as_person
@click.option(
    "--hash", "shown", help="Refuse unless the content hash begins so: what `show` printed, 8 digits or more."
)
@click.option("--note", help="Kept with the decision.")
@with_format
def approve(approval_id: str, login: str, shown: str | None, note: str | None, form: str) -> None:
    """Let the act happen, at once and as it was asked for."""
    if shown is not None and len(shown) < 8:
        raise click.UsageError("give at least 8 digits of the hash")
    with context.database().transaction("jobs") as session:
        row = approval_list.get_approval(session, approval_id)
        stands = shown is None or row.content_hash.startswith(shown.lower())
        done = second_person.approve(
            session,
            now=context.now(),
            approval_id=approval_id,
            content_hash=row.content_hash if stands else str(shown),
            checker=person(session, login),
            note=note,
        )
    _print(done, form)


@approvals.command()
@click.argument("approval_id")
@as_person
@click.option("--note", required=True, help="Why not; for a refund the tenant reads it.")
@with_format
def reject(approval_id: str, login: str, note: str, form: str) -> None:
    """Refuse the act."""
    with context.database().transaction("jobs") as session:
        checker = person(session, login)
        done = second_person.reject(session, now=context.now(), approval_id=approval_id, checker=checker, note=note)
    _print(done, form)


@approvals.command()
@click.argument("approval_id")
@as_person
@with_format
def withdraw(approval_id: str, login: str, form: str) -> None:
    """Take back what one asked for oneself."""
    with context.database().transaction("jobs") as session:
        maker = person(session, login)
        done = second_person.withdraw(session, now=context.now(), approval_id=approval_id, maker=maker)
    _print(done, form)


def person(session: Session, login: str) -> str:
    """The id of who signs in with that address; what they may do is checked where it is done. Raises Failed."""
    user = users.find_user_by_login(session, login)
    if user is None or user.is_disabled:
        raise Failed(f"Nobody signs in as {login}.")
    return user.id


def asked(approval_id: str, form: str) -> None:
    """Print a request that was just made."""
    with context.database().reading("jobs") as session:
        row = approval_list.get_approval(session, approval_id)
    _print(row, form)


def _print(row: ApprovalRow, form: str) -> None:
    with context.database().reading("jobs") as session:
        names = people.names_of(session, [row.maker])
    plain = _plain(row, names)
    emit([plain], form, columns=_COLUMNS, data=plain)


def _plain(row: ApprovalRow, names: dict[str, str]) -> dict[str, Any]:
    return {
        "id": row.id,
        "act": row.act,
        "subject": row.content.get("month") or row.subject_id,
        "account": row.account_code,
        "amount_minor": row.content.get("amount_minor"),
        "currency": row.content.get("currency"),
        "maker": names.get(row.maker, row.maker),
        "requested_at": clock.to_rfc3339(row.requested_at),
        "expires_at": clock.to_rfc3339(row.expires_at),
        "state": row.state,
    }
