"""Explain this balance: opening, every movement with its cause, closing (LG7)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.ledger import balances, statement
from billing.ledger.statement import MAX_PAGE, MovementRow
from billing.ledger.tables import LedgerTransaction


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why the balance is what it is: opening + the sum of all movements = closing, which is checked when it is built.

    `by_kind` sums the movements by entry kind.
    """

    currency: str
    opening_minor: int
    movements: tuple[MovementRow, ...]  # oldest first
    by_kind: dict[str, int]
    closing_minor: int

    def __post_init__(self) -> None:
        moved = sum(row.amount_minor for row in self.movements)
        if self.opening_minor + moved != self.closing_minor or sum(self.by_kind.values()) != moved:
            raise ValueError(f"{self.opening_minor} + {moved} is not {self.closing_minor} {self.currency}")


def explain(
    session: Session,
    *,
    account_id: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
    currency: str | None = None,
) -> list[Explanation]:
    """Opening, every movement and closing per currency, for what was recorded in [from_at, to_at); None does not limit.

    Opening and closing are read as balances, movements from the entries: that they agree is checked.
    """
    first_seq = _last_seq(session, account_id, from_at) if from_at is not None else 0
    last_seq = _last_seq(session, account_id, to_at)
    rows = _movements_between(session, account_id, currency, first_seq, last_seq)
    opening = {found.currency: found.balance_minor for found in balances.through_seq(session, account_id, first_seq)}
    explanations = []
    for closing in balances.through_seq(session, account_id, last_seq):
        if currency not in (None, closing.currency):
            continue
        own = tuple(row for row in rows if row.currency == closing.currency)
        by_kind: dict[str, int] = {}
        for row in own:
            for kind, minor in row.by_kind.items():
                by_kind[kind] = by_kind.get(kind, 0) + minor
        explanations.append(
            Explanation(
                currency=closing.currency,
                opening_minor=opening.get(closing.currency, 0),
                movements=own,
                by_kind=by_kind,
                closing_minor=closing.balance_minor,
            )
        )
    return explanations


def _movements_between(
    session: Session, account_id: str, currency: str | None, first_seq: int, last_seq: int
) -> list[MovementRow]:
    """Movements with chain_seq in (first_seq, last_seq], oldest first."""
    rows: list[MovementRow] = []
    before: int | None = last_seq + 1
    while before is not None and before > first_seq + 1:
        page = statement.movements(session, account_id=account_id, currency=currency, before_seq=before, limit=MAX_PAGE)
        rows.extend(row for row in page.rows if row.chain_seq > first_seq)
        before = page.next_before_seq
    return rows[::-1]


def _last_seq(session: Session, account_id: str, before_at: datetime | None) -> int:
    """The number of the last transaction, or of the last one recorded before an instant."""
    query = select(func.coalesce(func.max(LedgerTransaction.chain_seq), 0)).where(
        LedgerTransaction.billing_account_id == account_id
    )
    if before_at is not None:
        query = query.where(LedgerTransaction.recorded_at < before_at)
    return int(session.execute(query).scalar_one())
