"""`plumbline fx`: exchange rates as published, and in which currencies documents are made."""

import sys
from datetime import datetime
from pathlib import Path

import click

from billing.accounts import currencies
from billing.invoicing import invoice_currency as invoice_currency_room
from billing.reference import ecb, fx_rates, fx_seed
from billing.reference.fx_rates import Imported
from portal import fx_words
from portal.cli import Failed, context
from portal.cli.output import emit, with_format


@click.group()
def fx() -> None:
    """Exchange rates: a snapshot for each day and source, never changed."""


@fx.command("import")
@click.argument("file")
@click.option("--source", default=fx_rates.ECB, show_default=True, help="Who published the rates, as a short code.")
@with_format
def import_file(file: str, source: str, form: str) -> None:
    """Import rates from FILE (`-` reads standard input), a CSV as the ECB publishes it. Safe to repeat; bad rows are named."""
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise Failed(f"{file} cannot be read: {error.strerror}.") from None
    _import(ecb.read(content, today=context.now().date()), source, form)


@fx.command()
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), default="2024-01-01", show_default=True, help="First day.")
@with_format
def seed(since: datetime, form: str) -> None:
    """Import the ECB's rates that are installed with Plumbline; newer ones come from its file."""
    _import(fx_seed.bundled(since=since.date(), today=context.now().date()), fx_rates.ECB, form)


@fx.command("list")
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), default=None, help="As of this day; today by default.")
@with_format
def list_rates(on: datetime | None, form: str) -> None:
    """The newest rate of each currency, units for one euro."""
    day = on.date() if on else context.now().date()
    with context.database().reading("jobs") as session:
        rows = fx_rates.list_newest(session, on=day)
    emit(
        [
            {
                "currency": row.currency,
                "source": row.source,
                "rate": row.rate_text,
                "published_on": row.published_on.isoformat(),
                "age_days": row.age_days,
                "stale": "yes" if row.is_stale else "no",
            }
            for row in rows
        ],
        form,
        columns=("currency", "source", "rate", "published_on", "age_days", "stale"),
    )


@fx.command("tax-currency")
@click.argument("seller")
@click.argument("currency")
def tax_currency(seller: str, currency: str) -> None:
    """State the VAT of SELLER's documents in CURRENCY too, the money of its tax office."""
    with context.database().transaction("jobs") as session:
        currencies.set_tax_currency(
            session, now=context.now(), seller_code=seller, currency=currency, actor=context.actor()
        )
    click.echo(f"{seller} states its VAT in {currency} from the next document on")


@fx.command("invoice-currency")
@click.argument("account")
@click.argument("currency")
def invoice_currency(account: str, currency: str) -> None:
    """Invoice ACCOUNT in CURRENCY from the next draft on."""
    with context.database().transaction("jobs") as session:
        invoice_currency_room.change(
            session, now=context.now(), account_code=account, currency=currency, actor=context.actor()
        )
    click.echo(f"{account} is invoiced in {currency} from the next draft on")


def _import(table: ecb.Table, source: str, form: str) -> None:
    with context.database().transaction("jobs") as session:
        done = fx_rates.import_table(session, table, now=context.now(), actor=context.actor(), source=source)
    _show(done, form)
    if done.bad:
        sys.exit(1)


def _show(done: Imported, form: str) -> None:
    figures = {"source": done.source, "added": done.added, "unchanged": done.unchanged, "refused": len(done.bad)}
    rows = [{"line": row.line, "day": row.day, "reason": fx_words.reason(row)} for row in done.bad]
    if form == "json":
        emit([], form, data=figures | {"rows": rows})
        return
    if form == "csv":
        emit(rows, form, columns=("line", "day", "reason"))
        return
    click.echo(fx_words.summary(done))
    if rows:
        emit(rows, form, columns=("line", "day", "reason"))
