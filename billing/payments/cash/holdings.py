"""What we say the provider holds, beside what it says itself, per currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, func, select
from sqlalchemy.orm import Session

from billing.ledger import balances
from billing.ledger.tables import LedgerAccount
from billing.payments.cash.judging import CASH
from billing.payments.cash.tables import BalanceCursor, BalanceTransaction, ProviderBalance

_ACCOUNTS = cast(Table, LedgerAccount.__table__)


@dataclass(frozen=True, kw_only=True)
class Holding:
    """One currency: `ours_minor` is cash:stripe of every seller, the others are the provider's. `unexplained_minor` is what moved there
    and is not explained yet, `read_at` when the provider was asked, None before it ever was."""

    currency: str
    ours_minor: int
    available_minor: int
    pending_minor: int
    unexplained_minor: int
    unexplained_count: int
    read_at: datetime | None

    @property
    def theirs_minor(self) -> int:
        """What the provider holds in all."""
        return self.available_minor + self.pending_minor

    @property
    def difference_minor(self) -> int:
        """Ours less the provider's: 0 where every cent is explained."""
        return self.ours_minor - self.theirs_minor


def list_holdings(session: Session) -> list[Holding]:
    """Every currency that either side knows, by its code."""
    ours = _ours(session)
    stated = {
        row.currency: row
        for row in session.execute(
            select(
                ProviderBalance.currency,
                func.sum(ProviderBalance.available_minor).label("available"),
                func.sum(ProviderBalance.pending_minor).label("pending"),
                func.min(ProviderBalance.read_at).label("read_at"),
            ).group_by(ProviderBalance.currency)
        )
    }
    open_query = (
        select(BalanceTransaction.currency, func.sum(BalanceTransaction.net_minor).label("minor"), func.count())
        .where(BalanceTransaction.state.in_(("waiting", "finding")))
        .group_by(BalanceTransaction.currency)
    )
    unexplained = {row.currency: (int(row.minor), int(row[2])) for row in session.execute(open_query)}
    return [
        Holding(
            currency=currency,
            ours_minor=ours.get(currency, 0),
            available_minor=int(stated[currency].available) if currency in stated else 0,
            pending_minor=int(stated[currency].pending) if currency in stated else 0,
            unexplained_minor=unexplained.get(currency, (0, 0))[0],
            unexplained_count=unexplained.get(currency, (0, 0))[1],
            read_at=stated[currency].read_at if currency in stated else None,
        )
        for currency in sorted(ours.keys() | stated.keys() | unexplained.keys())
    ]


def last_asked_at(session: Session) -> datetime | None:
    """When the movements of some provider were last asked for, or None."""
    found: datetime | None = session.execute(select(func.max(BalanceCursor.asked_at))).scalar_one()
    return found


def _ours(session: Session) -> Mapping[str, int]:
    """{currency: what cash:stripe holds}: debits less credits."""
    currencies = {
        row.id: row.currency
        for row in session.execute(select(_ACCOUNTS.c.id, _ACCOUNTS.c.currency).where(_ACCOUNTS.c.name == CASH))
    }
    held: dict[str, int] = {}
    for account_id, _chain, figure in balances.figures_by_chain(session, _ACCOUNTS.c.name == CASH):
        currency = currencies[account_id]
        held[currency] = held.get(currency, 0) - figure
    return held
