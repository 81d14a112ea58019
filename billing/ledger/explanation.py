"""Explain this balance: opening, every movement with its cause, closing (LG7)."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.ledger import balances, statement
from billing.ledger.entries import BALANCE_NAMES
from billing.ledger.statement import MAX_PAGE, MovementRow
from billing.ledger.tables import LedgerEntry, LedgerTransaction


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


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Opening, what moved it by entry kind, closing: the same as an Explanation without every movement, at any size.

    Movements are those with chain_seq in (first_seq, last_seq]. That the three agree is checked when it is built.
    """

    currency: str
    first_seq: int
    last_seq: int
    opening_minor: int
    by_kind: dict[str, int]
    closing_minor: int

    def __post_init__(self) -> None:
        moved = sum(self.by_kind.values())
        if self.opening_minor + moved != self.closing_minor:
            raise ValueError(f"{self.opening_minor} + {moved} is not {self.closing_minor} {self.currency}")


def summarize(
    session: Session,
    *,
    account_id: str,
    currency: str,
    from_at: datetime | None = None,
    to_at: datetime | None = None,
) -> Summary:
    """Why the balance in one currency went from its opening to its closing over what was recorded in [from_at, to_at).

    Opening and closing are read as balances, what moved them is summed from the entries in the database, kinds in the order in
    which they first came.
    """
    first_seq = _last_seq(session, account_id, from_at) if from_at is not None else 0
    last_seq = _last_seq(session, account_id, to_at)
    moved: dict[str, tuple[str, int]] = {}  # kind -> (its first entry, sum)
    places = [f"{account_id}/{name}/{currency}" for name in BALANCE_NAMES]
    for side, sign in ((LedgerEntry.credit_account_id, 1), (LedgerEntry.debit_account_id, -1)):
        rows = session.execute(
            select(LedgerEntry.kind, func.min(LedgerEntry.id), func.sum(LedgerEntry.amount_minor))
            .where(
                side.in_(places),
                LedgerEntry.billing_account_id == account_id,
                LedgerEntry.chain_seq > first_seq,
                LedgerEntry.chain_seq <= last_seq,
            )
            .group_by(LedgerEntry.kind)
        )
        for kind, entry_id, minor in rows:
            first, before = moved.get(kind, (entry_id, 0))
            moved[kind] = min(first, entry_id), before + sign * int(minor)
    return Summary(
        currency=currency,
        first_seq=first_seq,
        last_seq=last_seq,
        opening_minor=_balance_at(session, account_id, currency, first_seq),
        by_kind={kind: moved[kind][1] for kind in sorted(moved, key=lambda kind: moved[kind])},
        closing_minor=_balance_at(session, account_id, currency, last_seq),
    )


def _balance_at(session: Session, account_id: str, currency: str, chain_seq: int) -> int:
    found = balances.through_seq(session, account_id, chain_seq)
    return next((one.balance_minor for one in found if one.currency == currency), 0)


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
