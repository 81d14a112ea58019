"""Equal books: what two ledgers have in common when they were fed the same usage in another order, cut or pace (money.md).

Ids, times and the borders of runs are left out. What a posting run brought in is summed, since its cut is a run border; every
other transaction stands for itself.
"""

from collections import Counter as Tallies
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import BillingAccount, Project
from billing.kernel import canonical
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.rating.tables import BillingPeriod, Charge, Counter

FORMAT = "equal-books/1"

_POSTING = "posting"


@dataclass(frozen=True, kw_only=True)
class Books:
    """Sorted rows, comparable across databases.

    movements: (account code, currency, kind, transaction type, source type, debit name, credit name, amount in minor units)
    charges: (account code, period, SKU, project code, generation, currency, segment start, base quantity, posted minor units)
    """

    movements: tuple[tuple[Any, ...], ...]
    charges: tuple[tuple[Any, ...], ...]

    def digest(self) -> str:
        """One SHA-256 over both: equal for equal books."""
        return canonical.digest(FORMAT, asdict(self))


def read(session: Session) -> Books:
    """The books of the whole database. Reads only; one row per charge and per movement outside of posting runs is kept."""
    return Books(movements=tuple(sorted(_movements(session))), charges=tuple(sorted(_charges(session))))


def digest(session: Session) -> str:
    """The digest of the whole database's books."""
    return read(session).digest()


def _movements(session: Session) -> list[tuple[Any, ...]]:
    debit, credit = aliased(LedgerAccount), aliased(LedgerAccount)
    columns = (
        BillingAccount.code,
        LedgerEntry.currency,
        LedgerEntry.kind,
        LedgerTransaction.type,
        LedgerTransaction.source_type,
        debit.name,
        credit.name,
    )
    joined = (
        select(*columns)
        .select_from(LedgerEntry)
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .join(BillingAccount, BillingAccount.id == LedgerEntry.billing_account_id)
        .join(debit, debit.id == LedgerEntry.debit_account_id)
        .join(credit, credit.id == LedgerEntry.credit_account_id)
    )
    single = joined.add_columns(LedgerEntry.amount_minor).where(LedgerTransaction.type != _POSTING)
    summed = (
        joined.add_columns(func.sum(LedgerEntry.amount_minor))
        .where(LedgerTransaction.type == _POSTING)
        .group_by(*columns)
    )
    return [tuple(row) for row in session.execute(single)] + _netted(session.execute(summed).all())


def _netted(rows: Any) -> list[tuple[Any, ...]]:
    """Posted sums, a swapped pair of accounts counted against the other: an increment below zero is no movement of its own."""
    sums: Tallies[tuple[Any, ...]] = Tallies()
    for *facts, debit, credit, amount_minor in rows:
        if debit <= credit:
            sums[*facts, debit, credit] += int(amount_minor)
        else:
            sums[*facts, credit, debit] -= int(amount_minor)
    return [(*facts, amount_minor) for facts, amount_minor in sums.items() if amount_minor]


def _charges(session: Session) -> list[tuple[Any, ...]]:
    rows = session.execute(
        select(
            BillingAccount.code,
            BillingPeriod.label,
            Charge.sku_code,
            func.coalesce(Project.code, ""),
            Charge.generation,
            Charge.currency,
            Counter.segment_start_at,
            Charge.quantity_base,
            Charge.posted_minor,
        )
        .join(Counter, Counter.id == Charge.counter_id)
        .join(BillingAccount, BillingAccount.id == Charge.billing_account_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .outerjoin(Project, Project.id == Charge.project_key)
    )
    return [(*row[:6], row.segment_start_at.isoformat(), *row[7:]) for row in rows]
