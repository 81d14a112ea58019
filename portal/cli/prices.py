"""`plumbline prices`: what costs what."""

from typing import BinaryIO

import click

from billing.catalog import books as book_room
from billing.catalog import prices as price_room
from billing.kernel import clock
from portal.cli import Failed, context
from portal.cli.output import emit, with_format


@click.group()
def prices() -> None:
    """Price books: readable files in, immutable versions out."""


@prices.command()
@click.option("--book", "book_code", help="Only this price book.")
@with_format
def show(book_code: str | None, form: str) -> None:
    """Every price version with its book, SKU, model and start."""
    with context.database().reading("jobs") as session:
        books = {book.id: book.code for book in book_room.list_books(session)}
        if book_code is not None and book_code not in books.values():
            raise Failed(f"There is no price book {book_code}; there are: {', '.join(sorted(set(books.values())))}.")
        rows = [
            {
                "sku": price.sku_code,
                "meter": price.meter_code,
                "currency": price.currency,
                "model": price.model,
                "parameters": price.parameters,
                "valid_from": clock.to_rfc3339(price.valid_from),
                "id": price.id,
            }
            for price in price_room.list_prices(session, book_code)
        ]
    emit(rows, form, columns=("sku", "meter", "currency", "model", "parameters", "valid_from", "id"))


@prices.command()
@click.argument("file", type=click.File("rb"))
def load(file: BinaryIO) -> None:
    """Store the price book in FILE (TOML) as a new version; the same content again changes nothing."""
    try:
        text = file.read().decode()
    except UnicodeDecodeError:
        raise Failed("The file is not UTF-8 text.") from None
    with context.database().transaction("jobs") as session:
        book = book_room.load(session, text, now=context.now(), origin="file", actor=context.actor())
        click.echo(f"{book.code} version {book.version}")
