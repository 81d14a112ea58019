"""The statement of a billing account: every movement with its cause, its links and the balance behind it.

A movement is one ledger transaction in one currency, as the tenant sees it: what it did to the balance. Balances along the way
are worked out from the figure behind the newest row on the page, so that a page costs the same wherever it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Invalid, NotFound
from billing.ledger import balances
from billing.ledger.entries import BALANCE_NAMES
from billing.ledger.tables import LedgerEntry, LedgerMemo, LedgerTransaction

MAX_PAGE = 500


@dataclass(frozen=True, kw_only=True)
class MovementRow:
    """One transaction in one currency. `amount_minor` is its effect on the balance, `balance_minor` the balance after it.

    `by_kind` says the same per entry kind, 0 for one that moved money between two of the tenant's own book accounts; `effects`
    per book account (`wallet`, `unbilled`, ...), those that moved. `references` are the ids that the entries name, such as
    {"charge_id": (...), "invoice": (...)}.
    """

    transaction_id: str
    chain_seq: int
    type: str
    source_type: str
    source_id: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    memo: str
    by_kind: dict[str, int]
    currency: str
    amount_minor: int
    balance_minor: int
    effects: dict[str, int]
    references: dict[str, tuple[str, ...]]
    entry_count: int
    linked_id: str | None
    reverses_id: str | None
    correlation_id: str | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its entries, in their order."""
        return tuple(self.by_kind)


@dataclass(frozen=True, kw_only=True)
class Page:
    """Movements, newest first; `next_before_seq` asks for the page behind it, None on the last one."""

    rows: tuple[MovementRow, ...]
    next_before_seq: int | None


@dataclass(frozen=True, kw_only=True)
class EntryRow:
    """One entry by the names of its two book accounts."""

    seq: int
    kind: str
    debit: str
    credit: str
    amount_minor: int
    currency: str
    detail: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class MovementDetail:
    """One transaction with all its entries and its place in the chain."""

    movements: tuple[MovementRow, ...]  # one per currency; none for a transaction that only anchors
    entries: tuple[EntryRow, ...]
    transaction_id: str
    chain_seq: int
    type: str
    source_type: str
    source_id: str
    occurred_at: datetime
    effective_at: datetime
    recorded_at: datetime
    actor: str
    memo: str
    anchor_hash: str | None
    prev_hash: str
    hash: str
    linked_id: str | None
    linking_ids: tuple[str, ...]  # transactions of this account that name it
    reverses_id: str | None
    reversed_by_id: str | None
    correlation_id: str | None


def movements(
    session: Session,
    *,
    account_id: str,
    currency: str | None = None,
    before_seq: int | None = None,
    after_seq: int = 0,
    kind: str | None = None,
    limit: int = 50,
) -> Page:
    """A page of the account's movements, newest first, with chain_seq in (after_seq, before_seq); `limit` counts transactions.

    `kind` asks for transactions with an entry of that kind: balances beside them are those after each, whatever lies between.
    Transactions that moved nothing of the tenant's (they only anchor lines) are left out. Raises Invalid for a limit out of range.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise Invalid(field="limit", value=limit, limit=MAX_PAGE, reason="out_of_range")
    if before_seq is not None and before_seq < 1:
        raise Invalid(field="before", value=before_seq, reason="out_of_range")
    wanted = select(LedgerEntry.transaction_id).where(LedgerEntry.transaction_id == LedgerTransaction.id)
    if currency is not None:
        wanted = wanted.where(LedgerEntry.currency == currency)
    if kind is not None:
        wanted = wanted.where(LedgerEntry.kind == kind)
    statement = (
        select(LedgerTransaction)
        .where(
            LedgerTransaction.billing_account_id == account_id,
            LedgerTransaction.chain_seq > after_seq,
            wanted.exists(),
        )
        .order_by(LedgerTransaction.chain_seq.desc())
        .limit(limit + 1)
    )
    if before_seq is not None:
        statement = statement.where(LedgerTransaction.chain_seq < before_seq)
    found = session.scalars(statement).all()
    shown = found[:limit]
    rows = _movements(session, account_id, shown, is_gapless=kind is None)
    if currency is not None:
        rows = [row for row in rows if row.currency == currency]
    return Page(rows=tuple(rows), next_before_seq=shown[-1].chain_seq if len(found) > limit else None)


def get_movement(session: Session, *, account_id: str, transaction_id: str) -> MovementDetail:
    """One transaction of the account with its entries. Raises NotFound, for another account's transaction too."""
    row = session.scalars(
        select(LedgerTransaction).where(
            LedgerTransaction.id == transaction_id, LedgerTransaction.billing_account_id == account_id
        )
    ).one_or_none()
    if row is None:
        raise NotFound(kind="ledger_transaction", id=transaction_id[:60])
    naming = session.execute(
        select(LedgerTransaction.id, LedgerTransaction.reverses_id)
        .where(
            LedgerTransaction.billing_account_id == account_id,
            (LedgerTransaction.linked_id == row.id) | (LedgerTransaction.reverses_id == row.id),
        )
        .order_by(LedgerTransaction.chain_seq)
    ).all()
    entries = _entries(session, [row.id])
    return MovementDetail(
        movements=tuple(_movements(session, account_id, [row])),
        entries=tuple(_entry_row(entry) for entry in entries),
        transaction_id=row.id,
        chain_seq=row.chain_seq,
        type=row.type,
        source_type=row.source_type,
        source_id=row.source_id,
        occurred_at=row.occurred_at,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        actor=row.actor,
        memo=_memos(session, [row]).get(row.id, ""),
        anchor_hash=row.anchor_hash,
        prev_hash=row.prev_hash,
        hash=row.hash,
        linked_id=row.linked_id,
        linking_ids=tuple(found.id for found in naming if found.reverses_id != row.id),
        reverses_id=row.reverses_id,
        reversed_by_id=next((found.id for found in naming if found.reverses_id == row.id), None),
        correlation_id=row.correlation_id,
    )


def _movements(
    session: Session, account_id: str, found: Sequence[LedgerTransaction], *, is_gapless: bool = True
) -> list[MovementRow]:
    """Rows for transactions in falling order of chain_seq, with the balance after each.

    `is_gapless`: no movement lies between them, so that balances follow from the first; else each is read.
    """
    if not found:
        return []
    memos = _memos(session, found)
    entries: dict[str, list[LedgerEntry]] = {}
    for entry in _entries(session, [row.id for row in found]):
        entries.setdefault(entry.transaction_id, []).append(entry)
    after = _after(session, account_id, found[0])
    rows = []
    for row in found:
        if not is_gapless:
            after = _after(session, account_id, row)
        for currency in sorted({entry.currency for entry in entries.get(row.id, ())}):
            own = [entry for entry in entries[row.id] if entry.currency == currency]
            rows.append(_row(row, account_id, own, after[currency], memos.get(row.id, "")))
            after[currency] -= rows[-1].amount_minor
    return rows


def _after(session: Session, account_id: str, row: LedgerTransaction) -> dict[str, int]:
    return {found.currency: found.balance_minor for found in balances.through_seq(session, account_id, row.chain_seq)}


def _row(
    row: LedgerTransaction, account_id: str, entries: Sequence[LedgerEntry], balance_minor: int, memo: str
) -> MovementRow:
    by_kind: dict[str, int] = {}
    for entry in entries:
        by_kind[entry.kind] = by_kind.get(entry.kind, 0) + _on_balance(_effects(account_id, [entry]))
    return MovementRow(
        transaction_id=row.id,
        chain_seq=row.chain_seq,
        type=row.type,
        source_type=row.source_type,
        source_id=row.source_id,
        occurred_at=row.occurred_at,
        effective_at=row.effective_at,
        recorded_at=row.recorded_at,
        memo=memo,
        by_kind=by_kind,
        currency=entries[0].currency,
        amount_minor=sum(by_kind.values()),
        balance_minor=balance_minor,
        effects=_effects(account_id, entries),
        references=_references(entries),
        entry_count=len(entries),
        linked_id=row.linked_id,
        reverses_id=row.reverses_id,
        correlation_id=row.correlation_id,
    )


def _effects(account_id: str, entries: Iterable[LedgerEntry]) -> dict[str, int]:
    """{name: credits - debits} of the account's own book accounts, those that moved, by name."""
    moved: dict[str, int] = {}
    for entry in entries:
        sides = (
            (entry.credit_owner, entry.credit_account_id, entry.amount_minor),
            (entry.debit_owner, entry.debit_account_id, -entry.amount_minor),
        )
        for owner, ledger_account_id, minor in sides:
            if owner == account_id:
                name = _name(ledger_account_id)
                moved[name] = moved.get(name, 0) + minor
    return dict(sorted(moved.items()))


def _on_balance(effects: dict[str, int]) -> int:
    return sum(effects.get(name, 0) for name in BALANCE_NAMES)


def _references(entries: Iterable[LedgerEntry]) -> dict[str, tuple[str, ...]]:
    named: dict[str, dict[str, None]] = {}
    for entry in entries:
        for key, value in entry.detail.items():
            named.setdefault(key, {})[str(value)] = None
    return {key: tuple(values) for key, values in sorted(named.items())}


def _entry_row(entry: LedgerEntry) -> EntryRow:
    return EntryRow(
        seq=entry.seq,
        kind=entry.kind,
        debit=_name(entry.debit_account_id),
        credit=_name(entry.credit_account_id),
        amount_minor=entry.amount_minor,
        currency=entry.currency,
        detail=entry.detail,
    )


def _name(ledger_account_id: str) -> str:
    """`bac_.../wallet/USD` -> `wallet`; `house/north/revenue:compute/USD` -> `revenue:compute`."""
    return ledger_account_id.rsplit("/", 2)[1]


def _entries(session: Session, transaction_ids: Sequence[str]) -> Sequence[LedgerEntry]:
    return session.scalars(
        select(LedgerEntry)
        .where(LedgerEntry.transaction_id.in_(transaction_ids))
        .order_by(LedgerEntry.transaction_id, LedgerEntry.seq)
    ).all()


def _memos(session: Session, found: Sequence[LedgerTransaction]) -> dict[str, str]:
    ids = [row.id for row in found if row.memo_hash is not None]
    if not ids:
        return {}
    rows = session.execute(select(LedgerMemo.transaction_id, LedgerMemo.memo).where(LedgerMemo.transaction_id.in_(ids)))
    return {row.transaction_id: row.memo for row in rows}
