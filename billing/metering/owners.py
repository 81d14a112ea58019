"""Whose usage it is: what records take from their billing account."""

from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.accounts.tables import BillingAccount


class Owner(NamedTuple):
    """The zone of the account's months, and for an end customer the reseller whose customer it is."""

    zone: str
    reseller_id: str | None


def find(session: Session, account_ids: Collection[str]) -> dict[str, Owner]:
    """Those of the accounts that can be billed, by id; a seller's own account cannot."""
    wanted = [account_id for account_id in account_ids if names.is_safe(account_id)]
    query = select(BillingAccount.id, BillingAccount.zone, BillingAccount.kind, BillingAccount.parent_id).where(
        BillingAccount.id.in_(wanted), BillingAccount.kind != "house"
    )
    return {
        account_id: Owner(zone, parent_id if kind == "end_customer" else None)
        for account_id, zone, kind, parent_id in session.execute(query)
    }
