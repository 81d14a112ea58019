"""`plumbline prices`: what costs what, and what lets a candidate come into force."""

from datetime import datetime
from typing import Any, BinaryIO

import click

from billing.accounts import approvals, users
from billing.catalog import activations, comparison
from billing.catalog import books as book_room
from billing.catalog import prices as price_room
from billing.catalog.prices import Price
from billing.catalog.tables import PriceBook
from billing.catalog.trials import Limits
from billing.kernel import clock
from billing.rating import price_changes, shadow, shadow_candidates
from billing.storage.database import Session
from portal.cli import Failed, context, times
from portal.cli.output import emit, with_format

_COLUMNS = ("sku", "meter", "variant", "mode", "currency", "model", "parameters", "valid_from", "id")
_version = click.option("--version", type=int, help="Which version of the book; the newest where left out.")


@click.group()
def prices() -> None:
    """Price books: readable files in, immutable versions out."""


@prices.command()
@click.option("--book", "book_code", help="Only this price book.")
@click.option("--version", type=int, help="What one version of the book says, in force or not.")
@with_format
def show(book_code: str | None, version: int | None, form: str) -> None:
    """Every price that is or will be in force, with its book, SKU, model and start."""
    if version is not None and book_code is None:
        raise click.UsageError("--version needs --book")
    with context.database().reading("jobs") as session:
        known = {book.code for book in book_room.list_books(session)}
        if book_code is not None and book_code not in known:
            raise Failed(f"There is no price book {book_code}; there are: {', '.join(sorted(known))}.")
        if version is None:
            found = price_room.list_prices(session, book_code)
        else:
            found = book_room.prices_of(session, book_room.get_version(session, str(book_code), version).id)
    emit([_plain(price) for price in found], form, columns=_COLUMNS)


@prices.command("list")
@with_format
def list_(form: str) -> None:
    """The versions of all price books and where each stands at the gate."""
    with context.database().reading("jobs") as session:
        rows = [_standing(session, book) for book in book_room.list_books(session)]
    emit(rows, form, columns=("book", "version", "state", "gate", "reason", "loaded_at", "active_since", "id"))


@prices.command()
@click.argument("file", type=click.File("rb"))
def load(file: BinaryIO) -> None:
    """Store the price book in FILE (TOML) as a candidate; the same content again changes nothing. Nothing is charged by it yet."""
    with context.database().transaction("jobs") as session:
        book = book_room.load(session, text_of(file), now=context.now(), origin="file", actor=context.actor())
        state = activations.gate_of(session, book, now=context.now()).state
    click.echo(f"{book.code} version {book.version}, {'in force' if state == 'active' else 'a candidate'}")


@prices.command()
@click.argument("book_code")
@click.argument("old", type=int)
@click.argument("new", type=int)
@with_format
def compare(book_code: str, old: int, new: int, form: str) -> None:
    """Two versions of a book side by side, with the change of each price."""
    with context.database().reading("jobs") as session:
        sides = [book_room.prices_of(session, book_room.get_version(session, book_code, one).id) for one in (old, new)]
    rows = [
        {
            "sku": change.sku_code,
            "currency": change.currency,
            "state": change.state,
            "old": _said(change.old),
            "new": _said(change.new),
            "percent": ", ".join(f"{float(percent):+.2f}" for percent in change.percents) or None,
        }
        for change in comparison.compare(*sides)
    ]
    emit(rows, form, columns=("sku", "currency", "state", "old", "new", "percent"))


@prices.command()
@click.argument("book_code")
@_version
@click.option(
    "--from", "from_at", required=True, callback=times.option, help="First instant of past usage to rate anew."
)
@click.option("--to", "to_at", required=True, callback=times.option, help="The instant it ends before.")
@click.option(
    "--total-percent", default=shadow.DEFAULT_LIMITS.total_percent, show_default=True, help="Limit of totals."
)
@click.option(
    "--account-percent", default=shadow.DEFAULT_LIMITS.account_percent, show_default=True, help="Limit of each account."
)
@with_format
def trial(
    book_code: str,
    version: int | None,
    from_at: datetime,
    to_at: datetime,
    total_percent: str,
    account_percent: str,
    form: str,
) -> None:
    """Rate past usage by a candidate beside what was charged, and keep the trial. Writes nothing but its own row."""
    with context.database().reading("jobs") as session:
        book = book_room.get_version(session, book_code, version)
        question = shadow.Question(
            candidate=shadow_candidates.of_version(session, book.id),
            from_at=from_at,
            to_at=to_at,
            limits=Limits(total_percent=total_percent, account_percent=account_percent),
        )
        outcome = shadow.run(session, question)
    with context.database().transaction("jobs") as session:
        made = shadow.record(session, outcome, now=context.now(), actor=context.actor())
    data: dict[str, Any] = {
        "id": made.id,
        "book": made.book_code,
        "version": book.version,
        "rows": made.row_count,
        "is_whole": made.is_whole,
        "is_inside": made.is_inside,
        "opens_the_gate": made.fault is None,
        "fault": made.fault,
        "totals": made.result.get("totals"),
    }
    emit([{"field": name, "value": value} for name, value in data.items()], form, data=data)


@prices.command()
@click.argument("book_code")
@_version
@click.option("--ask-as", "login", help="Ask a second person instead: the address a member of the staff signs in with.")
@click.option("--reason", help="Why, for the second person.")
def activate(book_code: str, version: int | None, login: str | None, reason: str | None) -> None:
    """Let a candidate come into force by its fresh trial; with --ask-as, ask a second person (see `approvals`)."""
    if (login is None) != (reason is None):
        raise click.UsageError("--ask-as and --reason go together")
    with context.database().transaction("jobs") as session:
        book = book_room.get_version(session, book_code, version)
        if login is not None:
            asked = _ask(session, book, login, str(reason))
            click.echo(f"asked for: {asked}")
            return
        made = price_changes.activate(session, now=context.now(), book_id=book.id, actor=context.actor())
        click.echo(f"{book.code} version {book.version} is in force by {made.gate.replace('_', ' ')}")


def text_of(file: BinaryIO) -> str:
    """A file's text. Raises Failed where it is not UTF-8."""
    try:
        return file.read().decode()
    except UnicodeDecodeError:
        raise Failed("The file is not UTF-8 text.") from None


def maker_of(session: Session, login: str) -> str:
    """The user id of a member of the staff. Raises Failed."""
    person = users.find_user_by_login(session, login)
    if person is None:
        raise Failed(f"Nobody signs in as {login}.")
    return person.id


def _ask(session: Session, book: PriceBook, login: str, reason: str) -> str:
    return approvals.request(
        session,
        now=context.now(),
        act=activations.ACT,
        subject_type="price_book",
        subject_id=book.id,
        content=activations.content_of(session, book.id),
        maker=maker_of(session, login),
        reason=reason,
        billing_account_id=None,
    ).id


def _standing(session: Session, book: PriceBook) -> dict[str, Any]:
    gate = activations.gate_of(session, book, now=context.now())
    since = gate.activation.activated_at if gate.activation else None
    return {
        "book": book.code,
        "version": book.version,
        "state": gate.state,
        "gate": gate.activation.gate if gate.activation else None,
        "reason": gate.fault,
        "loaded_at": clock.to_rfc3339(book.created_at),
        "active_since": clock.to_rfc3339(since) if since else None,
        "id": book.id,
    }


def _plain(price: Price) -> dict[str, Any]:
    return {
        "sku": price.sku_code,
        "meter": price.meter_code,
        "variant": price.item.variant,
        "mode": price.item.mode,
        "currency": price.currency,
        "model": price.model,
        "parameters": price.parameters,
        "valid_from": clock.to_rfc3339(price.valid_from),
        "id": price.id,
    }


def _said(price: Price | None) -> dict[str, Any] | None:
    return None if price is None else {"model": price.model, **price.parameters}
