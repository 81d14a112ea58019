"""The provider and the ledger: every cent of cash:stripe explained both ways, what the provider says it holds, what payouts contain."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session

from billing.assurance import streams
from billing.assurance.reconciliation_tally import Scope, Stage, shown
from billing.ledger.tables import LedgerAccount, LedgerEntry, LedgerTransaction
from billing.payments.cash import meanings
from billing.payments.cash.explaining import PATIENCE
from billing.payments.cash.judging import CASH
from billing.payments.cash.tables import BalanceExplanation, BalanceTransaction, Payout, ProviderBalance

_HELD_BACK = frozenset({"refund_under_way"})
# A movement and the one that took it back are looked at as one.
_GROUP = func.coalesce(BalanceTransaction.pair_id, BalanceTransaction.id)


def cash_movements(session: Session, stage: Stage, scope: Scope) -> None:
    """Each movement at the provider is what the ledger transactions that explain it moved of cash:stripe, in every currency, and each
    ledger transaction that moved it explains a movement. Looks at all of both, whatever the scope."""
    for _, movements, booked in streams.beside(
        streams.grouped(streams.stream(session, _movements()), lambda row: row.group_id),
        streams.grouped(streams.stream(session, _explained()), lambda row: row.group_id),
        lambda group: group[0],
    ):
        _compare(stage, scope, movements[1] if movements else [], booked[1] if booked else [])
    _compare_unexplained(session, stage, scope)


def stated_balances(session: Session, stage: Stage, _scope: Scope) -> None:
    """What the provider says it holds in each currency is what its movements sum to, both read at one moment."""
    query = select(ProviderBalance).order_by(ProviderBalance.provider, ProviderBalance.currency)
    for row in session.execute(query).scalars():
        stated = row.available_minor + row.pending_minor
        stage.look()
        stage.add(row.currency, stated_minor=stated, movements_minor=row.moved_minor)
        if stated != row.moved_minor:
            stage.differ(
                ("provider_balance", f"{row.provider}:{row.currency}"),
                f"The provider says it holds {shown(stated, row.currency)}, its movements sum to "
                f"{shown(row.moved_minor, row.currency)}",
                account=None,
                currency=row.currency,
                provider=row.provider,
                stated_minor=stated,
                movements_minor=row.moved_minor,
            )


def payout_contents(session: Session, stage: Stage, _scope: Scope) -> None:
    """The movements that an automatic payout paid out, without its own, sum to its amount and its fee."""
    is_own = BalanceTransaction.payout_ref.is_not_distinct_from(Payout.provider_id)
    statement = (
        select(
            *(getattr(Payout, name) for name in ("id", "provider_id", "currency", "amount_minor")),
            func.coalesce(func.sum(case((is_own, 0), else_=BalanceTransaction.net_minor)), 0).label("contents_minor"),
            func.coalesce(func.sum(case((is_own, BalanceTransaction.fee_minor), else_=0)), 0).label("fee_minor"),
            func.count(BalanceTransaction.id).label("rows"),
        )
        .outerjoin(
            BalanceTransaction,
            (BalanceTransaction.paid_out_by == Payout.provider_id) & (BalanceTransaction.provider == Payout.provider),
        )
        .where(Payout.contents_read_at.is_not(None))
        .group_by(Payout.id, Payout.provider_id, Payout.currency, Payout.amount_minor)
        .order_by(Payout.id)
    )
    for row in streams.stream(session, statement):
        contents = int(row.contents_minor) - int(row.fee_minor)
        stage.look(row.rows + 1)
        stage.add(row.currency, payouts_minor=row.amount_minor, contents_minor=contents)
        if contents != row.amount_minor:
            stage.differ(
                ("payout", row.id),
                f"Payout {row.provider_id} is {shown(row.amount_minor, row.currency)}, what it contains sums to "
                f"{shown(contents, row.currency)}",
                account=None,
                currency=row.currency,
                payout_minor=row.amount_minor,
                contents_minor=contents,
            )


def _movements() -> Any:
    return select(
        _GROUP.label("group_id"),
        *(
            getattr(BalanceTransaction, name)
            for name in ("id", "provider_id", "type", "state", "reason", "net_minor", "currency", "created_at")
        ),
    ).order_by(_GROUP, BalanceTransaction.id)


def _moved() -> tuple[Any, Any]:
    """(the condition of entries on cash:stripe, by how much it rose in all)."""
    cash = select(LedgerAccount.id).where(LedgerAccount.name == CASH)
    is_debit, is_credit = LedgerEntry.debit_account_id.in_(cash), LedgerEntry.credit_account_id.in_(cash)
    return or_(is_debit, is_credit), func.sum(
        case((is_debit, LedgerEntry.amount_minor), else_=-LedgerEntry.amount_minor)
    )


def _explained() -> Any:
    on_cash, minor = _moved()
    return (
        select(
            _GROUP.label("group_id"),
            LedgerEntry.currency,
            minor.label("minor"),
            func.min(LedgerEntry.transaction_id).label("transaction_id"),
        )
        .select_from(BalanceExplanation)
        .join(BalanceTransaction, BalanceTransaction.id == BalanceExplanation.balance_transaction_id)
        .join(LedgerEntry, LedgerEntry.transaction_id == BalanceExplanation.transaction_id)
        .where(on_cash)
        .group_by(_GROUP, LedgerEntry.currency)
        .order_by(_GROUP, LedgerEntry.currency)
    )


def _compare(stage: Stage, scope: Scope, movements: list[Any], booked: list[Any]) -> None:
    ledger = {row.currency: int(row.minor) for row in booked if row.minor}
    provider: dict[str, int] = {}
    for row in movements:
        provider[row.currency] = provider.get(row.currency, 0) + row.net_minor
    provider = {currency: minor for currency, minor in provider.items() if minor}
    stage.look(len(movements) + len(booked))
    for currency in ledger.keys() | provider.keys():
        stage.add(currency, provider_minor=provider.get(currency, 0), ledger_minor=ledger.get(currency, 0))
    last = movements[-1]
    if ledger == provider and not (last.reason or "").startswith("unreadable"):
        return
    is_waiting = last.state == "waiting" and (
        last.reason in _HELD_BACK or scope.now - last.created_at < max(PATIENCE, scope.now - scope.late_before)
    )
    if is_waiting or (last.reason is None and last.created_at > scope.late_before):
        stage.under_way += 1
        return
    stage.differ(
        ("balance_transaction", last.id),
        _sentence(last, ledger),
        account=None,
        currency=last.currency,
        provider_id=last.provider_id,
        kind=last.type,
        provider_minor=provider.get(last.currency, 0),
        ledger_minor=ledger.get(last.currency, 0),
        transaction_id=booked[0].transaction_id if booked else None,
    )


def _sentence(row: Any, ledger: dict[str, int]) -> str:
    if (row.reason or "").startswith("unreadable"):
        return f"Movement {row.provider_id} at the provider could not be read"
    held = " and ".join(shown(minor, currency) for currency, minor in sorted(ledger.items())) or "nothing"
    why = meanings.WHY.get(row.reason or "")
    return (
        f"{row.provider_id} ({row.type}) moved {shown(row.net_minor, row.currency)} at the provider, the ledger holds {held} of it"
        + (f": {why}" if why else "")
    )


def _compare_unexplained(session: Session, stage: Stage, scope: Scope) -> None:
    on_cash, minor = _moved()
    explains = select(BalanceExplanation.transaction_id).where(
        BalanceExplanation.transaction_id == LedgerEntry.transaction_id
    )
    columns = (
        LedgerEntry.transaction_id,
        LedgerTransaction.billing_account_id,
        LedgerTransaction.type,
        LedgerTransaction.recorded_at,
        LedgerEntry.currency,
    )
    statement = (
        select(*columns, minor.label("minor"))
        .join(LedgerTransaction, LedgerTransaction.id == LedgerEntry.transaction_id)
        .where(on_cash, ~explains.exists())
        .group_by(*columns)
        .order_by(LedgerEntry.transaction_id, LedgerEntry.currency)
    )
    for row in _not_zero(streams.stream(session, statement)):
        stage.look()
        stage.add(row.currency, ledger_minor=int(row.minor), provider_minor=0)
        if row.recorded_at > scope.late_before:
            stage.under_way += 1
            continue
        stage.differ(
            ("ledger_transaction", row.transaction_id),
            f"Ledger transaction {row.transaction_id} ({row.type}) moved {shown(int(row.minor), row.currency)} of {CASH}, no "
            "movement at the provider says so",
            account=row.billing_account_id,
            currency=row.currency,
            ledger_minor=int(row.minor),
            provider_minor=0,
        )


def _not_zero(rows: Iterator[Any]) -> Iterator[Any]:
    return (row for row in rows if row.minor)
