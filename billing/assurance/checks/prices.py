"""Price versions: unaltered since they were loaded, because every rated line's hash builds on theirs."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.catalog import prices
from billing.catalog.tables import PriceVersion

NAME = "price"


def check(session: Session, tally: Tally) -> None:
    """Look at every price version."""
    looked = 0
    for row in streams.stream(session, select(*PriceVersion.__table__.c)):
        looked += 1
        tally.look()
        digest = prices.price_hash(
            book_code=row.book_code,
            sku_code=row.sku_code,
            currency=row.currency,
            model=row.model,
            parameters=row.parameters,
            valid_from=row.valid_from,
        )
        if digest != row.price_hash:
            tally.differ(row.id, f"does not hash to what it says: the price of {row.sku_code} was altered")
    tally.expect("price_versions", looked, count(session, select(func.count()).select_from(PriceVersion)))
