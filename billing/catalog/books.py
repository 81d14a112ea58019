"""Price books: loading versions as candidates, and what each version says. `activations` brings them into force."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.catalog import book_files, prices
from billing.catalog.book_files import BookFacts, PriceFacts, ProductFacts
from billing.catalog.errors import PriceExists, ProductExists
from billing.catalog.items import Item
from billing.catalog.meters import get_meter
from billing.catalog.tables import PriceBook, PriceBookActivation, PriceVersion, Sku
from billing.kernel.clock import to_rfc3339
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks


def read(session: Session, text: str) -> BookFacts:
    """The book that the text (TOML, see `book_files`) holds, with nothing stored. Raises Invalid."""
    meters: list[tuple[str, str]] = [(code, meter) for code, meter in session.execute(select(Sku.code, Sku.meter_code))]
    return book_files.read(text, meter_of=dict(meters))


def load(session: Session, text: str, *, now: datetime, origin: str, actor: str) -> PriceBook:
    """Store a price book as a candidate and give back its version; the same content again gives the same version.

    Nothing is charged by it yet: see `activations`. A book's prices add up over its versions in force: a change is a new price with
    a later start, and what an earlier version said stays in force until then. Locks the book's code. Raises PriceExists where
    another price of the SKU is in force from the same instant, ProductExists where a new product is sold already as something
    else, Invalid for the text.
    """
    facts = read(session, text)
    locks.take(session, f"price_book:{facts.code}", "sku_catalog")
    found = find_same(session, facts)
    if found is not None:
        return found
    refuse_clash(session, facts.code, facts.prices)
    _sell(session, facts.products)
    book = store(session, facts, now=now, origin=origin)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="prices.load",
        subject_type="price_book",
        subject_id=book.id,
        facts={
            "code": book.code,
            "version": book.version,
            "prices": len(facts.prices),
            "products": len(facts.products),
            "content_hash": book.content_hash,
        },
    )
    session.flush()  # whoever rates next in this act must find them
    return book


def store(
    session: Session, facts: BookFacts, *, now: datetime, origin: str, billing_account_id: str | None = None
) -> PriceBook:
    """The next version of the book with all its prices; the caller holds the lock of its code and writes the audit row."""
    version = session.scalar(select(func.max(PriceBook.version)).where(PriceBook.code == facts.code)) or 0
    book = PriceBook(
        id=new_id("pbk"),
        code=facts.code,
        version=version + 1,
        name=facts.name,
        origin=origin,
        billing_account_id=billing_account_id,
        content_hash=facts.content_hash,
        created_at=now,
    )
    session.add(book)
    session.flush()  # its prices refer to it
    session.add_all(_version_of(book, price) for price in facts.prices)
    session.flush()  # an override refers to its price
    return book


def find_same(session: Session, facts: BookFacts) -> PriceBook | None:
    """The version of the book that says the same already, or None."""
    return session.scalar(
        select(PriceBook).where(PriceBook.code == facts.code, PriceBook.content_hash == facts.content_hash)
    )


def refuse_clash(session: Session, code: str, new: Sequence[PriceFacts]) -> None:
    """Raise PriceExists where another price of a SKU is in force from the same instant on: it is superseded, never edited."""
    stored = {
        price.key: price.content
        for price in map(
            facts_of,
            session.scalars(
                select(PriceVersion)
                .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
                .where(PriceVersion.book_code == code)
            ),
        )
    }
    for price in new:
        if stored.get(price.key, price.content) != price.content:
            raise PriceExists(
                book=code, sku=price.sku_code, currency=price.currency, valid_from=to_rfc3339(price.valid_from)
            )


def list_books(session: Session, code: str | None = None) -> Sequence[PriceBook]:
    """All versions of all books that belong to no single account, or of one: by code and version."""
    query = select(PriceBook).where(PriceBook.billing_account_id.is_(None)).order_by(PriceBook.code, PriceBook.version)
    return session.scalars(query if code is None else query.where(PriceBook.code == code)).all()


def get_book(session: Session, book_id: str) -> PriceBook:
    """One version of a book. Raises NotFound."""
    book = session.get(PriceBook, book_id) if names.is_safe(book_id) else None
    if book is None:
        raise NotFound(price_book_id=names.shown(book_id))
    return book


def get_version(session: Session, code: str, version: int | None = None) -> PriceBook:
    """The version of that number, or the newest one. Raises NotFound."""
    query = select(PriceBook).where(PriceBook.code == code).order_by(PriceBook.version.desc()).limit(1)
    if version is not None:
        query = query.where(PriceBook.version == version)
    book = session.scalar(query) if names.is_safe(code) else None
    if book is None:
        raise NotFound(book=names.shown(code), version=version)
    return book


def prices_of(session: Session, book_id: str) -> list[prices.Price]:
    """What one version says, by SKU, currency and start."""
    stated = prices.query().where(PriceVersion.price_book_id == book_id)
    stated = stated.order_by(PriceVersion.sku_code, PriceVersion.currency, PriceVersion.valid_from)
    return [prices.price_of(*row) for row in session.execute(stated)]


def as_prices(session: Session, facts: BookFacts) -> list[prices.Price]:
    """What a book that is not stored says, as prices without ids: for looking at it beside others."""
    products = {product.sku_code: product.item for product in facts.products}
    rows = session.execute(select(Sku.code, Sku.meter_code, Sku.variant, Sku.mode))
    items = {code: Item(*item) for code, *item in rows} | products
    return [
        prices.Price(
            id="",
            sku_code=price.sku_code,
            family=price.sku_code.partition("/")[0],
            item=items[price.sku_code],
            currency=price.currency,
            model=price.model,
            parameters=price.parameters,
            valid_from=price.valid_from,
            price_hash="",
            base_per_unit=get_meter(items[price.sku_code].meter_code).base_per_unit,
        )
        for price in facts.prices
    ]


def names_of(session: Session) -> dict[str, str]:
    """The names of all things sold, by SKU."""
    return dict(session.execute(select(Sku.code, Sku.name)).all())


def price_counts(session: Session) -> dict[str, int]:
    """How many prices each version states, by its id."""
    query = select(PriceVersion.price_book_id, func.count()).group_by(PriceVersion.price_book_id)
    return dict(session.execute(query).all())


def facts_of(version: PriceVersion) -> PriceFacts:
    """A stored price as it was written."""
    return PriceFacts(
        sku_code=version.sku_code,
        currency=version.currency,
        model=version.model,
        parameters=version.parameters,
        valid_from=version.valid_from,
    )


def _sell(session: Session, products: Sequence[ProductFacts]) -> None:
    """Add the products that are new. One that is sold already must be the same in all; one item is sold under one SKU only."""
    by_code: dict[str, Row[str, str, str, str, str]] = {}
    by_item: dict[Item, str] = {}
    for row in session.execute(select(Sku.code, Sku.meter_code, Sku.variant, Sku.mode, Sku.name)):
        by_code[row.code] = row
        by_item[Item(row.meter_code, row.variant, row.mode)] = row.code
    for product in products:
        sold = by_code.get(product.sku_code)
        if sold is not None and tuple(sold) == (product.sku_code, *product.item, product.name):
            continue
        holder = product.sku_code if sold is not None else by_item.get(product.item)
        if holder is not None:
            raise ProductExists(sku=product.sku_code, sold_as=holder)
        session.add(
            Sku(
                code=product.sku_code,
                meter_code=product.item.meter_code,
                variant=product.item.variant,
                mode=product.item.mode,
                family=product.sku_code.partition("/")[0],
                name=product.name,
            )
        )
    session.flush()  # prices refer to them


def _version_of(book: PriceBook, price: PriceFacts) -> PriceVersion:
    return PriceVersion(
        id=new_id("prc"),
        price_book_id=book.id,
        billing_account_id=book.billing_account_id,
        book_code=book.code,
        sku_code=price.sku_code,
        currency=price.currency,
        model=price.model,
        parameters=price.parameters,
        valid_from=price.valid_from,
        price_hash=prices.price_hash(
            book_code=book.code,
            sku_code=price.sku_code,
            currency=price.currency,
            model=price.model,
            parameters=price.parameters,
            valid_from=price.valid_from,
        ),
    )
