"""What is sold, as cost pages ask for it: an item by its SKU, the meters of a family."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.catalog.items import Item
from billing.catalog.tables import Sku


def find_item(session: Session, sku_code: str) -> Item | None:
    """What a SKU prices, None where there is none of that code."""
    row = session.execute(select(Sku.meter_code, Sku.variant, Sku.mode).where(Sku.code == sku_code)).one_or_none()
    return None if row is None else Item(*row)


def is_family(session: Session, family: str) -> bool:
    """Whether there are SKUs of that family."""
    return session.scalar(select(Sku.code).where(Sku.family == family).limit(1)) is not None


def meters_of(session: Session, family: str) -> tuple[str, ...]:
    """The meters that SKUs of a family price."""
    return tuple(sorted(set(session.scalars(select(Sku.meter_code).where(Sku.family == family)))))
