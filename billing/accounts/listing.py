"""Billing accounts as operators list them: searched, a page at a time."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from billing.accounts import currencies, names
from billing.accounts.tables import BillingAccount, Membership
from billing.kernel.errors import Invalid, NotFound

SORTS = ("code", "name", "opened")


_CHUNK = 1_000


@dataclass(frozen=True, kw_only=True)
class AccountRow:
    """One billing account of a customer."""

    id: str
    code: str
    name: str
    kind: str
    tenant_id: str
    currency: str
    invoice_currency: str
    zone: str
    policy: str
    opened_at: datetime


def list_accounts(
    session: Session, *, text: str = "", policy: str | None = None, sort: str = "code", limit: int = 50, offset: int = 0
) -> list[AccountRow]:
    """Accounts whose code or name contains `text` (any case). `sort` is one of SORTS, with "-" in front for falling.

    Raises Invalid for another sort.
    """
    key = sort.removeprefix("-")
    if key not in SORTS:
        raise Invalid(field="sort", value=names.shown(sort), reason="unknown_sort")
    column: Any = {
        "code": BillingAccount.code,
        "name": func.lower(BillingAccount.name),
        "opened": BillingAccount.created_at,
    }[key]
    ordered = _matching(text, policy).order_by(column.desc() if sort.startswith("-") else column, BillingAccount.id)
    return [_row(account) for account in session.scalars(ordered.limit(limit).offset(offset))]


def count_accounts(session: Session, *, text: str = "", policy: str | None = None) -> int:
    """How many `list_accounts` would give without a limit."""
    return int(session.execute(select(func.count()).select_from(_matching(text, policy).subquery())).scalar_one())


def get_account(session: Session, account_id: str) -> AccountRow:
    """One account of a customer by its id. Raises NotFound, also for a seller's own."""
    account = session.get(BillingAccount, account_id) if names.is_safe(account_id) else None
    if account is None or account.kind == "house":
        raise NotFound(account_id=names.shown(account_id))
    return _row(account)


def of_customer(session: Session, key: str) -> list[AccountRow]:
    """The billing accounts that a key of an earlier system may mean: of a person's tenants, or the account of that id or code.

    Raises NotFound where there is none.
    """
    if not names.is_safe(key):
        raise NotFound(account_id=names.shown(key))
    of_person = select(Membership.tenant_id).where(Membership.user_id == key)
    query = select(BillingAccount).where(
        BillingAccount.kind != "house",
        or_(BillingAccount.tenant_id.in_(of_person), BillingAccount.id == key, BillingAccount.code == key),
    )
    found = [_row(account) for account in session.scalars(query.order_by(BillingAccount.code))]
    if not found:
        raise NotFound(account_id=names.shown(key))
    return found


def of_tenant(session: Session, tenant_id: str) -> list[AccountRow]:
    """The billing accounts of one tenant, by code."""
    accounts = session.scalars(
        select(BillingAccount).where(BillingAccount.tenant_id == tenant_id).order_by(BillingAccount.code)
    )
    return [_row(account) for account in accounts]


def named(session: Session, account_ids: Collection[str]) -> dict[str, tuple[str, str]]:
    """{id: (code, name)} of these billing accounts; what there is not is left out."""
    wanted, found = sorted(set(account_ids)), dict[str, tuple[str, str]]()
    for place in range(0, len(wanted), _CHUNK):
        rows = session.execute(
            select(BillingAccount.id, BillingAccount.code, BillingAccount.name).where(
                BillingAccount.id.in_(wanted[place : place + _CHUNK])
            )
        )
        found |= {account_id: (code, name) for account_id, code, name in rows}
    return found


def ids_of_tenants(session: Session, tenant_ids: Collection[str]) -> list[str]:
    """The ids of all billing accounts of these tenants, in order."""
    query = select(BillingAccount.id).where(BillingAccount.tenant_id.in_(tenant_ids)).order_by(BillingAccount.id)
    return list(session.scalars(query)) if tenant_ids else []


def _matching(text: str, policy: str | None) -> Select[BillingAccount]:
    query = select(BillingAccount).where(BillingAccount.kind != "house")
    if text and not names.is_safe(text):
        return query.where(BillingAccount.id.is_(None))
    if text:
        wanted = text.lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        query = query.where(
            func.lower(BillingAccount.code).like(f"%{wanted}%", escape="\\")
            | func.lower(BillingAccount.name).like(f"%{wanted}%", escape="\\")
        )
    if policy is not None:
        query = query.where(BillingAccount.policy == policy)
    return query


def _row(account: BillingAccount) -> AccountRow:
    return AccountRow(
        id=account.id,
        code=account.code,
        name=account.name,
        kind=account.kind,
        tenant_id=account.tenant_id or "",
        currency=account.currency,
        invoice_currency=currencies.invoice_currency_of(account),
        zone=account.zone,
        policy=account.policy,
        opened_at=account.created_at,
    )
