"""Book accounts: their readable ids, made when something is first posted to them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount, Seller
from billing.kernel.errors import NotFound
from billing.ledger import entries
from billing.ledger.errors import EntryRefused
from billing.ledger.tables import HOUSE, LedgerAccount
from billing.storage import upsert


@dataclass(frozen=True, kw_only=True)
class Party:
    """Whose chain it is: a billing account and its seller."""

    billing_account_id: str
    kind: str
    seller_id: str
    seller_code: str


@dataclass(frozen=True, kw_only=True)
class Place:
    """One book account: `id` is readable, `owner` a billing account's id or `house`."""

    id: str
    owner: str
    seller_id: str
    name: str
    currency: str


def party(session: Session, billing_account_id: str) -> Party:
    """Who the billing account is to the books; remembered in the session. Raises NotFound."""
    known: dict[str, Party] = session.info.setdefault("ledger_parties", {})
    if billing_account_id not in known:
        row = session.execute(
            select(BillingAccount.kind, Seller.id, Seller.code)
            .join(Seller, Seller.id == BillingAccount.seller_id)
            .where(BillingAccount.id == billing_account_id)
        ).one_or_none()
        if row is None:
            raise NotFound(account_id=billing_account_id)
        known[billing_account_id] = Party(
            billing_account_id=billing_account_id, kind=row.kind, seller_id=row.id, seller_code=row.code
        )
    return known[billing_account_id]


def place(owner: Party, name: str, currency: str) -> Place:
    """The book account of that name in the party's chain. Raises EntryRefused: a house's chain has no wallet."""
    if entries.is_house(name):
        return Place(
            id=f"{HOUSE}/{owner.seller_code}/{name}/{currency}",
            owner=HOUSE,
            seller_id=owner.seller_id,
            name=name,
            currency=currency,
        )
    if owner.kind == HOUSE:
        raise EntryRefused(reason="tenant_account_in_house_chain", name=name)
    return Place(
        id=f"{owner.billing_account_id}/{name}/{currency}",
        owner=owner.billing_account_id,
        seller_id=owner.seller_id,
        name=name,
        currency=currency,
    )


def ensure(session: Session, places: Iterable[Place], *, now: datetime) -> None:
    """Make the book accounts that are not there yet; those seen before in this session cost nothing."""
    known: set[str] = session.info.setdefault("ledger_accounts", set())
    missing = {place.id: place for place in places if place.id not in known}
    if not missing:
        return
    found = session.execute(select(LedgerAccount.id).where(LedgerAccount.id.in_(missing))).scalars()
    known.update(found)
    # In order of id: two posters that both miss the same house accounts must not wait for each other in a circle.
    rows = [{**vars(missing[key]), "created_at": now} for key in sorted(missing.keys() - known)]
    if rows:
        if session.get_bind().dialect.name == "postgresql":
            session.execute(upsert.insert(session, LedgerAccount).on_conflict_do_nothing(), rows)
        else:
            session.connection().execute(cast(Table, LedgerAccount.__table__).insert(), rows)
        known.update(row["id"] for row in rows)
