"""Balances are read, never kept: the newest checkpoint plus the tail of entries behind it (Law 5).

Figures are signed, credits - debits: what is owed is negative. They are never summed across currencies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Subquery, Table, func, literal, or_, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import AccountHead
from billing.kernel.money import Money
from billing.kernel.rounding import half_up_fraction
from billing.ledger.entries import BALANCE_NAMES
from billing.ledger.tables import HOUSE, BalanceCheckpoint, LedgerAccount, LedgerEntry, LedgerTransaction
from billing.storage import audit, bulk

LONG_TAIL = 200
"""Transactions of a chain behind its newest checkpoint from which a new one is worth writing."""

_ACCOUNTS = cast(Table, LedgerAccount.__table__)
_ENTRIES = cast(Table, LedgerEntry.__table__)
_CHECKPOINTS = cast(Table, BalanceCheckpoint.__table__)
_HEADS = cast(Table, AccountHead.__table__)


@dataclass(frozen=True, kw_only=True)
class Balance:
    """What one billing account has and owes in one currency, in minor units, signed.

    `balance_minor` is wallet + promo + unbilled + receivable + disputed + deferred; tax on unbilled usage is not in it.
    `available_minor` is what is left to use when that tax is counted in (money.md, "Prepaid").
    """

    currency: str
    balance_minor: int
    wallet_minor: int = 0
    promo_minor: int = 0
    unbilled_minor: int = 0
    receivable_minor: int = 0
    disputed_minor: int = 0
    deferred_minor: int = 0
    refund_pending_minor: int = 0
    reseller_payable_minor: int = 0
    available_minor: int

    @property
    def total(self) -> Money:
        """The balance as money."""
        return Money(minor=self.balance_minor, currency=self.currency)


def of_account(
    session: Session, account_id: str, *, tax_rate_bp: int = 0, currency: str | None = None
) -> list[Balance]:
    """The account's balances, one per currency it ever moved (or the one asked for, at 0 if it never moved), by currency.

    Costs the same however many entries there are. Under the head's lock it is exact to the last posting.
    """
    return _balances(_sums(session, account_id, None), tax_rate_bp, currency)


def of_accounts(session: Session, account_ids: Sequence[str] | None) -> dict[str, list[Balance]]:
    """{account: its balances, by currency} of these accounts, or of all with None. One that never moved has no entry."""
    pairs = _pairs(None, *_owners(account_ids))
    rows = session.connection().execute(select(pairs.c.chain_id, pairs.c.name, pairs.c.currency, _figure(pairs, None)))
    sums: dict[str, dict[str, dict[str, int]]] = {}
    for account_id, name, currency, figure in rows:
        sums.setdefault(account_id, {}).setdefault(currency, {})[name] = int(figure)
    return {account_id: _balances(own, 0, None) for account_id, own in sums.items()}


def as_of(
    session: Session, account_id: str, at: datetime, *, tax_rate_bp: int = 0, currency: str | None = None
) -> list[Balance]:
    """The balances after the last transaction that was recorded at or before the instant."""
    return _balances(_sums(session, account_id, seq_at(session, account_id, at)), tax_rate_bp, currency)


def through_seq(session: Session, account_id: str, chain_seq: int) -> list[Balance]:
    """The balances after the transaction of that number in the account's chain."""
    return _balances(_sums(session, account_id, chain_seq), 0, None)


def of_ledger_account(session: Session, ledger_account_id: str) -> int:
    """The figure of one book account, credits - debits in minor units; 0 for one that was never used.

    A house account's is the sum over all chains: it costs as much as there are chains, not entries.
    """
    figures = figures_by_chain(session, _ACCOUNTS.c.id == ledger_account_id)
    return sum(int(figure) for _, _, figure in figures)


def figures_by_chain(session: Session, *conditions: ColumnElement[bool]) -> list[tuple[str, str, int]]:
    """(book account, chain, credits - debits) of the book accounts that meet the conditions, in every chain they may be in."""
    pairs = _pairs(None, *conditions)
    rows = session.connection().execute(select(pairs.c.account_id, pairs.c.chain_id, _figure(pairs, None)))
    return [(ledger_account_id, chain_id, int(figure)) for ledger_account_id, chain_id, figure in rows]


def available_minor(amounts: dict[str, int], tax_rate_bp: int) -> int:
    """wallet + receivable + disputed + R((unbilled + promo + deferred) x (1 + tax rate)), by name, in minor units."""
    untaxed = amounts["unbilled"] + amounts["promo"] + amounts["deferred"]
    taxed = half_up_fraction(Fraction(untaxed * (10_000 + tax_rate_bp), 10_000))
    return amounts["wallet"] + amounts["receivable"] + amounts["disputed"] + taxed


def seq_at(session: Session, account_id: str, at: datetime) -> int:
    """The number of the account's last transaction recorded at or before the instant; 0 before the first."""
    found = session.execute(
        select(LedgerTransaction.chain_seq)
        .where(LedgerTransaction.billing_account_id == account_id, LedgerTransaction.recorded_at <= at)
        .order_by(LedgerTransaction.chain_seq.desc())
        .limit(1)
    ).scalar()
    return found or 0


def accounts_to_checkpoint(session: Session) -> list[str]:
    """Billing accounts whose tail behind the newest checkpoint has grown to LONG_TAIL transactions."""
    return _behind(session, LONG_TAIL)


def accounts_to_roll_up(session: Session) -> list[str]:
    """Billing accounts that have moved since their newest checkpoint: rolled up, a house balance has no tails to read."""
    return _behind(session, 1)


def write_checkpoints(session: Session, *, now: datetime, account_id: str) -> int:
    """Write a checkpoint for each book account that the chain has moved since its last one; how many.

    Locks the account's head, so that the chain stands still. A second call writes nothing.
    """
    head = heads.lock_one(session, account_id)
    pairs = _pairs(None, _HEADS.c.billing_account_id == account_id)
    moved = session.connection().execute(select(pairs.c.account_id, _figure(pairs, None)).where(_has_moved(pairs)))
    return _write(session, [(key, account_id, head.chain_seq, 0, int(figure), now) for key, figure in moved])


def rebuild_checkpoints(session: Session, *, now: datetime, account_id: str, actor: str) -> int:
    """Work the account's newest checkpoints out again from its entries alone; how many were wrong and now have a successor.

    Every stored checkpoint of the chain is looked at. A wrong row stays; the higher revision counts from now on.
    """
    heads.lock_one(session, account_id)
    rows = [
        (row.ledger_account_id, account_id, row.through_chain_seq, row.revision + 1, right, now)
        for row in newest_checkpoints(session, account_id)
        if (right := entry_sum(session, row.ledger_account_id, account_id, row.through_chain_seq)) != row.sum_minor
    ]
    if rows:
        audit.record(
            session,
            now=now,
            actor=actor,
            act="ledger.checkpoints.rebuild",
            subject_type="billing_account",
            subject_id=account_id,
            billing_account_id=account_id,
            facts={"rebuilt": len(rows)},
        )
    return _write(session, rows)


def newest_checkpoints(session: Session, account_id: str) -> Sequence[BalanceCheckpoint]:
    """The checkpoints of one chain that count: of each book account and transaction the highest revision."""
    rows = session.scalars(
        select(BalanceCheckpoint)
        .where(BalanceCheckpoint.billing_account_id == account_id)
        .order_by(
            BalanceCheckpoint.ledger_account_id, BalanceCheckpoint.through_chain_seq, BalanceCheckpoint.revision.desc()
        )
    )
    counted: dict[tuple[str, int], BalanceCheckpoint] = {}
    for row in rows:
        counted.setdefault((row.ledger_account_id, row.through_chain_seq), row)
    return list(counted.values())


def entry_sum(session: Session, ledger_account_id: str, chain_id: str, through: int) -> int:
    """Credits - debits of one book account in one chain up to a transaction, from the entries alone."""
    total = 0
    for sign, side in ((1, _ENTRIES.c.credit_account_id), (-1, _ENTRIES.c.debit_account_id)):
        summed = session.connection().execute(
            select(func.coalesce(func.sum(_ENTRIES.c.amount_minor), 0)).where(
                side == ledger_account_id, _ENTRIES.c.billing_account_id == chain_id, _ENTRIES.c.chain_seq <= through
            )
        )
        total += sign * int(summed.scalar_one())
    return total


def _behind(session: Session, transactions: int) -> list[str]:
    """Accounts whose chain has at least so many transactions behind its newest checkpoint."""
    newest = (
        select(_CHECKPOINTS.c.billing_account_id, func.max(_CHECKPOINTS.c.through_chain_seq).label("through"))
        .group_by(_CHECKPOINTS.c.billing_account_id)
        .subquery()
    )
    rows = session.execute(
        select(_HEADS.c.billing_account_id)
        .outerjoin(newest, newest.c.billing_account_id == _HEADS.c.billing_account_id)
        .where(_HEADS.c.chain_seq - func.coalesce(newest.c.through, 0) >= transactions)
        .order_by(_HEADS.c.billing_account_id)
    )
    return list(rows.scalars())


def _balances(sums: dict[str, dict[str, int]], tax_rate_bp: int, currency: str | None) -> list[Balance]:
    if currency is not None:
        sums = {currency: sums.get(currency, {})}
    found = []
    for code, amounts in sorted(sums.items()):
        full = {name: amounts.get(name, 0) for name in (*BALANCE_NAMES, "refund_pending", "reseller_payable")}
        figures = {f"{name}_minor": minor for name, minor in full.items()}
        found.append(
            Balance(
                currency=code,
                balance_minor=sum(full[name] for name in BALANCE_NAMES),
                available_minor=available_minor(full, tax_rate_bp),
                **figures,
            )
        )
    return found


def _sums(session: Session, account_id: str, through: int | None) -> dict[str, dict[str, int]]:
    """{currency: {name: credits - debits}} of the account's own book accounts, up to a transaction or to the last one."""
    pairs = _pairs(through, _ACCOUNTS.c.owner == account_id, _HEADS.c.billing_account_id == account_id)
    rows = session.connection().execute(select(pairs.c.name, pairs.c.currency, _figure(pairs, through)))
    sums: dict[str, dict[str, int]] = {}
    for name, currency, figure in rows:
        sums.setdefault(currency, {})[name] = int(figure)
    return sums


def _owners(account_ids: Sequence[str] | None) -> tuple[ColumnElement[bool], ...]:
    own = _ACCOUNTS.c.owner == _HEADS.c.billing_account_id
    return (own,) if account_ids is None else (own, _ACCOUNTS.c.owner.in_(account_ids))


def _pairs(through: int | None, *conditions: ColumnElement[bool]) -> Subquery:
    """Book accounts beside the chains they may stand in, each with the number of the checkpoint that counts (0: none)."""
    at = select(_CHECKPOINTS.c.through_chain_seq).where(
        _CHECKPOINTS.c.ledger_account_id == _ACCOUNTS.c.id,
        _CHECKPOINTS.c.billing_account_id == _HEADS.c.billing_account_id,
    )
    if through is not None:
        at = at.where(_CHECKPOINTS.c.through_chain_seq <= through)
    at = at.order_by(_CHECKPOINTS.c.through_chain_seq.desc()).limit(1).correlate(_ACCOUNTS, _HEADS)
    in_chain = or_(_ACCOUNTS.c.owner == HOUSE, _ACCOUNTS.c.owner == _HEADS.c.billing_account_id)
    return (
        select(
            _ACCOUNTS.c.id.label("account_id"),
            _ACCOUNTS.c.name,
            _ACCOUNTS.c.currency,
            _HEADS.c.billing_account_id.label("chain_id"),
            func.coalesce(at.scalar_subquery(), 0).label("through"),
        )
        .select_from(_ACCOUNTS.join(_HEADS, in_chain))
        .where(*conditions)
        .subquery()
    )


def _figure(pairs: Subquery, through: int | None) -> ColumnElement[int]:
    """Credits - debits of a pair: the checkpoint's sum, and the entries behind it on either side, each by index."""
    kept = (
        select(_CHECKPOINTS.c.sum_minor)
        .where(
            _CHECKPOINTS.c.ledger_account_id == pairs.c.account_id,
            _CHECKPOINTS.c.billing_account_id == pairs.c.chain_id,
            _CHECKPOINTS.c.through_chain_seq == pairs.c.through,
        )
        .order_by(_CHECKPOINTS.c.revision.desc())
        .limit(1)
        .correlate(pairs)
        .scalar_subquery()
    )
    sides = [
        func.coalesce(_tail(column, pairs, through, func.sum(_ENTRIES.c.amount_minor)).scalar_subquery(), 0)
        for column in (_ENTRIES.c.credit_account_id, _ENTRIES.c.debit_account_id)
    ]
    return func.coalesce(kept, 0) + sides[0] - sides[1]


def _has_moved(pairs: Subquery) -> ColumnElement[bool]:
    """Whether a pair has entries behind its checkpoint."""
    return or_(
        *(
            _tail(column, pairs, None, literal(1)).exists()
            for column in (_ENTRIES.c.credit_account_id, _ENTRIES.c.debit_account_id)
        )
    )


def _tail(side: ColumnElement[str], pairs: Subquery, through: int | None, what: ColumnElement[Any]) -> Select[Any]:
    statement = select(what).where(
        side == pairs.c.account_id,
        _ENTRIES.c.billing_account_id == pairs.c.chain_id,
        _ENTRIES.c.chain_seq > pairs.c.through,
    )
    if through is not None:
        statement = statement.where(_ENTRIES.c.chain_seq <= through)
    return statement.correlate(pairs)


def _write(session: Session, rows: list[tuple[str, str, int, int, int, datetime]]) -> int:
    columns = ("ledger_account_id", "billing_account_id", "through_chain_seq", "revision", "sum_minor", "recorded_at")
    return bulk.insert_rows(session, _CHECKPOINTS, columns, rows)
