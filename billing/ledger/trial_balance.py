"""Trial balance: every book account's figure, and the proof that debits and credits are the same sum in each currency."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, Table, case, func, select, union_all
from sqlalchemy.orm import Session

from billing.ledger import balances
from billing.ledger.tables import HOUSE, AccountingPeriod, LedgerAccount, LedgerEntry, LedgerTransaction

TENANTS = "tenants"

_ACCOUNTS = cast(Table, LedgerAccount.__table__)


@dataclass(frozen=True, kw_only=True)
class TrialRow:
    """One line: the book accounts of one name, of the house or of all billing accounts together; one of the columns is 0."""

    owner: str  # house, or tenants
    name: str
    currency: str
    debit_minor: int
    credit_minor: int


@dataclass(frozen=True, kw_only=True)
class TrialTotal:
    """The sums of one currency; `difference_minor` (debits - credits) is 0 or something is badly wrong."""

    currency: str
    debit_minor: int
    credit_minor: int

    @property
    def difference_minor(self) -> int:
        """Debits - credits."""
        return self.debit_minor - self.credit_minor


@dataclass(frozen=True, kw_only=True)
class TrialBalance:
    """Rows by currency, owner and name, and their totals by currency."""

    rows: tuple[TrialRow, ...]
    totals: tuple[TrialTotal, ...]


def now(session: Session, seller_id: str | None = None) -> TrialBalance:
    """The trial balance as it stands, of one seller or of all; costs as much as there are accounts, not entries."""
    conditions = [_ACCOUNTS.c.seller_id == seller_id] if seller_id is not None else []
    places = {
        row.id: (row.owner, row.name, row.currency)
        for row in session.execute(
            select(LedgerAccount.id, LedgerAccount.owner, LedgerAccount.name, LedgerAccount.currency).where(*conditions)
        )
    }
    figures: dict[tuple[str, str, str], int] = {}
    for ledger_account_id, _, figure in balances.figures_by_chain(session, *conditions):
        owner, name, currency = places[ledger_account_id]
        key = (currency, HOUSE if owner == HOUSE else TENANTS, name)
        figures[key] = figures.get(key, 0) + figure
    return _balance(figures)


def through_month(session: Session, *, seller_id: str, month_label: str) -> TrialBalance:
    """A seller's trial balance by accounting period: everything that counts up to the end of a month. Reads all entries."""
    return _summed(session, AccountingPeriod.seller_id == seller_id, AccountingPeriod.month <= month_label)


def as_of(session: Session, at: datetime, *, seller_id: str | None = None) -> TrialBalance:
    """The trial balance of what was recorded up to an instant, of one seller or of all. Reads all entries."""
    conditions = [LedgerTransaction.recorded_at <= at]
    if seller_id is not None:
        conditions.append(AccountingPeriod.seller_id == seller_id)
    return _summed(session, *conditions)


def _summed(session: Session, *conditions: ColumnElement[bool]) -> TrialBalance:
    sides = union_all(
        *(
            select(
                side.label("ledger_account_id"),
                (LedgerEntry.amount_minor * sign).label("figure"),
                LedgerEntry.transaction_id,
            )
            for side, sign in ((LedgerEntry.credit_account_id, 1), (LedgerEntry.debit_account_id, -1))
        )
    ).subquery()
    owner = case((LedgerAccount.owner == HOUSE, HOUSE), else_=TENANTS).label("owner")
    rows = session.execute(
        select(LedgerAccount.currency, owner, LedgerAccount.name, func.sum(sides.c.figure))
        .select_from(sides)
        .join(LedgerAccount, LedgerAccount.id == sides.c.ledger_account_id)
        .join(LedgerTransaction, LedgerTransaction.id == sides.c.transaction_id)
        .join(AccountingPeriod, AccountingPeriod.id == LedgerTransaction.accounting_period_id)
        .where(*conditions)
        .group_by(LedgerAccount.currency, owner, LedgerAccount.name)
    )
    return _balance({(currency, side, name): int(figure) for currency, side, name, figure in rows})


def imbalances(session: Session) -> dict[str, int]:
    """{currency: debits - credits} over all balances as they are read, checkpoints included: each must be 0."""
    return {total.currency: total.difference_minor for total in now(session).totals}


def _balance(figures: dict[tuple[str, str, str], int]) -> TrialBalance:
    rows = tuple(
        TrialRow(owner=owner, name=name, currency=currency, debit_minor=max(0, -figure), credit_minor=max(0, figure))
        for (currency, owner, name), figure in sorted(figures.items())
    )
    totals = tuple(
        TrialTotal(
            currency=currency,
            debit_minor=sum(row.debit_minor for row in rows if row.currency == currency),
            credit_minor=sum(row.credit_minor for row in rows if row.currency == currency),
        )
        for currency in sorted({row.currency for row in rows})
    )
    return TrialBalance(rows=rows, totals=totals)
