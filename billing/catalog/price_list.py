"""An account's price list: what each thing sold costs it at an instant, whether that is its own price, and what is coming."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.catalog import overrides
from billing.catalog.items import Item
from billing.catalog.meters import CLOSING, FEE, kind_of
from billing.catalog.prices import Price, PriceTable
from billing.catalog.tables import Meter, Sku


@dataclass(frozen=True, kw_only=True)
class Coming:
    """Another price (or none any more) from an instant on."""

    from_at: datetime
    price: Price | None
    is_own: bool


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing sold as the account pays for it. `of_plan` is the plan's price where the account has its own in force."""

    sku_code: str
    name: str
    family: str
    unit: str
    item: Item
    price: Price | None
    is_own: bool
    of_plan: Price | None
    coming: tuple[Coming, ...]


def of_account(session: Session, account_id: str, *, at: datetime, until_at: datetime) -> list[Entry]:
    """What the account pays for usage that starts at the instant, and what changes until the other one; by family and SKU.

    Only what has a price of its own at either: a model without one is charged as its meter's usage of any model. Fees and closing
    charges are terms, not entries.
    """
    table = PriceTable.load(session, [account_id])
    plain = table.of_plans()
    own = {row.price.id for row in overrides.list_overrides(session, account_id) if row.price is not None}
    skus = session.execute(select(Sku, Meter.unit).join(Meter, Meter.code == Sku.meter_code).order_by(Sku.code))
    found = [_entry(table, plain, own, account_id, sku, unit, at, until_at) for sku, unit in skus]
    kept = [one for one in found if kind_of(one.item.meter_code) not in (FEE, CLOSING) and (one.price or one.coming)]
    return sorted(kept, key=lambda one: (one.family, one.sku_code))


def fees_of(session: Session, account_id: str, codes: Sequence[str], *, at: datetime) -> dict[str, Price]:
    """The prices of a plan's fees by their names, as the account pays them in a period that opens then."""
    table = PriceTable.load(session, [account_id])
    found = {code: table.price_at(account_id, Item("plan_fee", code), at) for code in codes}
    return {code: price for code, price in found.items() if price is not None}


def _entry(
    table: PriceTable,
    plain: PriceTable,
    own: set[str],
    account_id: str,
    sku: Sku,
    unit: str,
    at: datetime,
    until_at: datetime,
) -> Entry:
    item = Item(sku.meter_code, sku.variant, sku.mode)
    price = _of_sku(table.price_at(account_id, item, at), sku)
    before, coming = price, []
    for edge in table.edges(account_id, item, at, until_at):
        then = _of_sku(table.price_at(account_id, item, edge), sku)
        if then is not before:
            coming.append(Coming(from_at=edge, price=then, is_own=then is not None and then.id in own))
        before = then
    is_own = price is not None and price.id in own
    return Entry(
        sku_code=sku.code,
        name=sku.name,
        family=sku.family,
        unit=unit,
        item=item,
        price=price,
        is_own=is_own,
        of_plan=_of_sku(plain.price_at(account_id, item, at), sku) if is_own else None,
        coming=tuple(coming),
    )


def _of_sku(price: Price | None, sku: Sku) -> Price | None:
    """The price where it is the SKU's own and not one of any variant."""
    return price if price is not None and price.sku_code == sku.code else None
