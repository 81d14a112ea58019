"""Price versions by id, as postings, line pages and replay need them: what was used, whatever is in force today."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.catalog.tables import Meter, PriceVersion, Sku


@dataclass(frozen=True, kw_only=True)
class PriceFacts:
    """One price version with its SKU and meter."""

    id: str
    book_code: str
    sku_code: str
    sku_name: str
    family: str
    meter_code: str
    variant: str
    mode: str
    unit: str
    base_unit: str
    base_per_unit: int
    currency: str
    model: str
    parameters: dict[str, Any]
    valid_from: datetime
    price_hash: str


def load(session: Session, price_version_ids: Iterable[str]) -> dict[str, PriceFacts]:
    """The price versions of these ids, by id."""
    rows = session.execute(
        select(PriceVersion, Sku, Meter)
        .join(Sku, Sku.code == PriceVersion.sku_code)
        .join(Meter, Meter.code == Sku.meter_code)
        .where(PriceVersion.id.in_(set(price_version_ids)))
    ).all()
    return {
        price.id: PriceFacts(
            id=price.id,
            book_code=price.book_code,
            sku_code=sku.code,
            sku_name=sku.name,
            family=sku.family,
            meter_code=meter.code,
            variant=sku.variant,
            mode=sku.mode,
            unit=meter.unit,
            base_unit=meter.base_unit,
            base_per_unit=meter.base_per_unit,
            currency=price.currency,
            model=price.model,
            parameters=price.parameters,
            valid_from=price.valid_from,
            price_hash=price.price_hash,
        )
        for price, sku, meter in rows
    }
