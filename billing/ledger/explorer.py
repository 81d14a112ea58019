"""The ledger from the side of its accounts: who holds how much in one, and its entries, newest first."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, or_, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import BillingAccount
from billing.kernel.errors import NotFound
from billing.ledger import balances, entries
from billing.ledger.tables import HOUSE, LedgerAccount, LedgerEntry, LedgerTransaction


@dataclass(frozen=True, kw_only=True)
class HolderRow:
    """What one billing account holds in the ledger account of a name: credits - debits, in minor units."""

    account_id: str
    code: str
    name: str
    figure_minor: int


@dataclass(frozen=True, kw_only=True)
class AccountEntryRow:
    """One entry of a ledger account: its other side, and what it added to this one (credits - debits)."""

    id: str
    transaction_id: str
    billing_account_id: str
    account_code: str
    type: str
    kind: str
    source_type: str
    source_id: str
    other_name: str
    amount_minor: int
    currency: str
    recorded_at: datetime
    effective_at: datetime


@dataclass(frozen=True, kw_only=True)
class EntryFilters:
    """Which entries: all that are None do not limit. `chain_id` is a billing account, whose chain the entries stand in."""

    kind: str | None = None
    chain_id: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


def list_holders(session: Session, *, name: str, currency: str, at: datetime | None = None) -> list[HolderRow]:
    """Billing accounts with something in the ledger account of that name, the largest first; as of an instant, or now.

    Raises EntryRefused for a name that is none.
    """
    entries.base_of(name)
    owners = session.execute(
        select(BillingAccount.id, BillingAccount.code, BillingAccount.name)
        .join(LedgerAccount, LedgerAccount.owner == BillingAccount.id)
        .where(LedgerAccount.name == name, LedgerAccount.currency == currency)
        .order_by(BillingAccount.code)
    ).all()
    if at is None:
        figures = {
            chain_id: figure
            for _, chain_id, figure in balances.figures_by_chain(
                session, LedgerAccount.name == name, LedgerAccount.currency == currency, LedgerAccount.owner != HOUSE
            )
        }
    else:
        figures = {
            row.id: balances.entry_sum(
                session, f"{row.id}/{name}/{currency}", row.id, balances.seq_at(session, row.id, at)
            )
            for row in owners
        }
    rows = [
        HolderRow(account_id=row.id, code=row.code, name=row.name, figure_minor=figures.get(row.id, 0))
        for row in owners
    ]
    return sorted(rows, key=lambda row: (-abs(row.figure_minor), row.code))


def get_ledger_account(session: Session, *, owner: str, name: str, currency: str, seller_id: str | None = None) -> str:
    """The id of the ledger account. A house's is the named seller's, or the only one there is. Raises NotFound."""
    query = select(LedgerAccount.id).where(
        LedgerAccount.owner == owner, LedgerAccount.name == name, LedgerAccount.currency == currency
    )
    if seller_id is not None:
        query = query.where(LedgerAccount.seller_id == seller_id)
    found = session.scalars(query.order_by(LedgerAccount.id)).first()
    if found is None:
        raise NotFound(kind="ledger_account", id=f"{owner}/{name}/{currency}"[:120])
    return found


def list_entries(
    session: Session,
    *,
    ledger_account_id: str,
    filters: EntryFilters | None = None,
    before_id: str | None = None,
    limit: int = 50,
) -> list[AccountEntryRow]:
    """Entries of one ledger account, newest first, those before an entry's id where one is given."""
    filters = filters or EntryFilters()
    debit, credit = aliased(LedgerAccount), aliased(LedgerAccount)
    is_credit = LedgerEntry.credit_account_id == ledger_account_id
    query: Select[Any] = (
        select(
            LedgerEntry,
            LedgerTransaction.type,
            LedgerTransaction.source_type,
            LedgerTransaction.source_id,
            LedgerTransaction.recorded_at,
            LedgerTransaction.effective_at,
            BillingAccount.code,
            case((is_credit, debit.name), else_=credit.name).label("other_name"),
            case((is_credit, 1), else_=-1).label("sign"),
        )
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(BillingAccount, BillingAccount.id == LedgerEntry.billing_account_id)
        .join(debit, debit.id == LedgerEntry.debit_account_id)
        .join(credit, credit.id == LedgerEntry.credit_account_id)
        .where(or_(is_credit, LedgerEntry.debit_account_id == ledger_account_id))
        .order_by(LedgerEntry.id.desc())
        .limit(limit)
    )
    if filters.kind is not None:
        query = query.where(LedgerEntry.kind == filters.kind)
    if filters.chain_id is not None:
        query = query.where(LedgerEntry.billing_account_id == filters.chain_id)
    if filters.from_at is not None:
        query = query.where(LedgerTransaction.recorded_at >= filters.from_at)
    if filters.to_at is not None:
        query = query.where(LedgerTransaction.recorded_at < filters.to_at)
    if before_id is not None:
        query = query.where(LedgerEntry.id < before_id)
    return [
        AccountEntryRow(
            id=entry.id,
            transaction_id=entry.transaction_id,
            billing_account_id=entry.billing_account_id,
            account_code=code,
            type=type_,
            kind=entry.kind,
            source_type=source_type,
            source_id=source_id,
            other_name=other_name,
            amount_minor=sign * entry.amount_minor,
            currency=entry.currency,
            recorded_at=recorded_at,
            effective_at=effective_at,
        )
        for entry, type_, source_type, source_id, recorded_at, effective_at, code, other_name, sign in session.execute(
            query
        )
    ]
