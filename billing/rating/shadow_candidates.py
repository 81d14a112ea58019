"""Candidate prices: what a shadow rating tries, from a loaded version of a book or from a file that was never loaded."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from billing.catalog import books, meters, prices
from billing.catalog.book_files import BookFacts, PriceFacts
from billing.catalog.items import Item
from billing.catalog.prices import Price
from billing.catalog.tables import PlanVersion, PriceBookActivation, PriceVersion, Sku
from billing.kernel.clock import to_rfc3339
from billing.kernel.errors import Invalid


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A book's content as it is tried.

    `prices` are those that are not in force yet, one per SKU and currency: the last to begin, tried over the whole stretch as
    though it had always been in force. `untried` are new ones that begin before it. A book that no plan uses is tried in the
    place of every plan's (`is_everywhere`), and what it does not price has no price.
    """

    book_code: str
    content_hash: str
    price_book_id: str | None
    prices: tuple[Price, ...] = field(hash=False)
    untried: tuple[dict[str, str], ...] = field(hash=False)
    is_everywhere: bool

    @property
    def items(self) -> frozenset[tuple[Item, str]]:
        """What it prices, with the currency."""
        return frozenset((price.item, price.currency) for price in self.prices)


def of_text(session: Session, text: str) -> Candidate:
    """The candidate that a TOML text says. Raises Invalid as `book_files.read` does."""
    facts = books.read(session, text)
    loaded = books.find_same(session, facts)
    return _candidate(session, facts, facts.content_hash, None if loaded is None else loaded.id)


def of_version(session: Session, price_book_id: str) -> Candidate:
    """The candidate that a loaded version of a book brings. Raises NotFound; Invalid for a book of one account's own."""
    book = books.get_book(session, price_book_id)
    if book.billing_account_id is not None:
        raise Invalid(field="book", value=book.code, reason="own_book")
    versions = session.scalars(select(PriceVersion).where(PriceVersion.price_book_id == book.id))
    facts = BookFacts(code=book.code, name=book.name, prices=tuple(map(books.facts_of, versions)))
    return _candidate(session, facts, book.content_hash, book.id)


def _candidate(session: Session, facts: BookFacts, content_hash: str, price_book_id: str | None) -> Candidate:
    in_force = {
        price.key: price
        for price in map(
            books.facts_of,
            session.scalars(
                select(PriceVersion)
                .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
                .where(PriceVersion.book_code == facts.code)
            ),
        )
    }
    is_planned = session.execute(select(exists().where(PlanVersion.book_code == facts.code))).scalar_one()
    said = {price.key: price for price in facts.prices}
    if is_planned:
        new = [price for key, price in said.items() if key not in in_force or in_force[key].content != price.content]
    else:
        new = list({**in_force, **said}.values())
    last: dict[tuple[str, str], PriceFacts] = {}
    for price in sorted(new, key=_start):
        last[price.sku_code, price.currency] = price
    tried = list(last.values())
    return Candidate(
        book_code=facts.code,
        content_hash=content_hash,
        price_book_id=price_book_id,
        prices=tuple(_prices(session, facts, tried)),
        untried=tuple(
            {"sku": price.sku_code, "currency": price.currency, "valid_from": to_rfc3339(price.valid_from)}
            for price in new
            if price not in tried
        ),
        is_everywhere=not is_planned,
    )


def _prices(session: Session, book: BookFacts, tried: Iterable[PriceFacts]) -> list[Price]:
    items = {
        sku_code: Item(meter_code, variant, mode)
        for sku_code, meter_code, variant, mode in session.execute(
            select(Sku.code, Sku.meter_code, Sku.variant, Sku.mode)
        )
    }
    items |= {product.sku_code: product.item for product in book.products}
    made = []
    for price in tried:
        item = items[price.sku_code]
        price_hash = prices.price_hash(
            book_code=book.code,
            sku_code=price.sku_code,
            currency=price.currency,
            model=price.model,
            parameters=price.parameters,
            valid_from=price.valid_from,
        )
        made.append(
            Price(
                id=f"candidate:{price_hash}",
                sku_code=price.sku_code,
                family=price.sku_code.partition("/")[0],
                item=item,
                currency=price.currency,
                model=price.model,
                parameters=price.parameters,
                valid_from=price.valid_from,
                price_hash=price_hash,
                base_per_unit=meters.get_meter(item.meter_code).base_per_unit,
            )
        )
    return made


def _start(price: PriceFacts) -> datetime:
    return price.valid_from
