"""What closing charges cost: the amounts they count are worth themselves, in the system's own book, one SKU per kind of charge.

A minimum spend is the item (closing_amount, "minimum"), a percentage of a plan's terms (closing_amount, "share-<code>").
"""

import json
from datetime import datetime
from decimal import Decimal
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.catalog import activations, plans
from billing.catalog.items import Item
from billing.catalog.prices import CLOSING_BOOK
from billing.catalog.tables import PriceBookActivation, PriceVersion, Sku
from billing.kernel import money
from billing.kernel.clock import to_rfc3339

METER = "closing_amount"
MINIMUM = "minimum"
_ACTOR = "system"
_VARIANT_MAX = 55


def share_variant(code: str) -> str:
    """The variant that counts a percentage of that code."""
    variant = f"share-{code}"
    return variant if len(variant) <= _VARIANT_MAX else f"share-{sha256(code.encode()).hexdigest()[:16]}"


def ensure(session: Session, *, now: datetime, variant: str, name: str, currency: str) -> Item:
    """The item of a closing charge, priced in the currency at one minor unit for one; made when it is first asked for.

    Locks the book's code while it is made: two accounts that meet it at once make one price.
    """
    item = Item(METER, variant)
    priced = (
        select(PriceVersion.id)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .join(PriceBookActivation, PriceBookActivation.price_book_id == PriceVersion.price_book_id)
        .where(
            Sku.meter_code == METER,
            Sku.variant == variant,
            PriceVersion.book_code == CLOSING_BOOK,
            PriceVersion.currency == currency,
        )
    )
    if session.scalars(priced.limit(1)).first() is None:
        sku = session.scalars(select(Sku).where(Sku.meter_code == METER, Sku.variant == variant)).first()
        activations.install(session, _book(variant, name, currency, is_new=sku is None), now=now, actor=_ACTOR)
    return item


def _book(variant: str, name: str, currency: str, *, is_new: bool) -> str:
    digits = money.exponent(currency)
    unit_price = f"{Decimal(1).scaleb(-digits):f}"
    sku = json.dumps(f"plan/{variant}", ensure_ascii=False)
    product = (
        f"[[products]]\nsku = {sku}\nmeter = {json.dumps(METER)}\nvariant = {json.dumps(variant, ensure_ascii=False)}\n"
    )
    product += f"name = {json.dumps(name, ensure_ascii=False)}\n"
    return (
        f"code = {json.dumps(CLOSING_BOOK)}\nname = {json.dumps('Closing charges')}\ncurrency = {json.dumps(currency)}\n"
        f"valid_from = {to_rfc3339(plans.ALWAYS)}\n{product if is_new else ''}"
        f'[[prices]]\nsku = {sku}\nmodel = "per_unit"\nunit_price = "{unit_price}"\n'
    )
