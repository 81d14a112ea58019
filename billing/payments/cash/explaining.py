"""Explaining movements: held against the ledger, what stands in the house's chain alone booked, the rest left for people."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.ledger.errors import LedgerConflict
from billing.ledger.tables import LedgerTransaction
from billing.payments.cash import judging, matches, meanings
from billing.payments.cash.judging import Movement, Verdict
from billing.payments.cash.matches import Match
from billing.payments.cash.tables import BalanceExplanation, BalanceTransaction
from billing.storage import audit

PATIENCE = timedelta(hours=1)
"""So long a movement may wait for its payment, refund or dispute to be booked; then it is a finding, and still looked at again."""

_AGAIN = timedelta(minutes=30)
_IS_READABLE = BalanceTransaction.reason.is_(None) | BalanceTransaction.reason.not_like("unreadable%")
_PAIRS = (meanings.RECEIVED | meanings.RECEIVED_BACK, meanings.RETURNED | meanings.RETURN_FAILED)


def list_due(session: Session, *, now: datetime, limit: int) -> list[str]:
    """Movements that are not explained and were not looked at now: those that wait, findings every half hour; oldest first."""
    is_waiting = (BalanceTransaction.state == "waiting") & (BalanceTransaction.looked_at < now)
    is_finding = (BalanceTransaction.state == "finding") & (BalanceTransaction.looked_at <= now - _AGAIN)
    query = (
        select(BalanceTransaction.id)
        .where(
            BalanceTransaction.state.in_(("waiting", "finding")),
            or_(BalanceTransaction.looked_at.is_(None), is_waiting, is_finding),
            _IS_READABLE,
        )
        .order_by(BalanceTransaction.created_at, BalanceTransaction.id)
        .limit(limit)
    )
    return list(session.execute(query).scalars())


def explain(session: Session, *, now: datetime, ids: Sequence[str]) -> int:
    """Hold these movements against the ledger and book what only they can tell: fees, conversions, payouts. How many are whole.

    In the caller's transaction. Locks the heads of every seller's own account, then the movements, so that a fee is booked once
    whoever comes first. What is explained stays so; a second time changes nothing.
    """
    houses = {seller.id: directory.house_account(session, seller.id).id for seller in directory.list_sellers(session)}
    locked = heads.lock(session, houses.values())
    query = (
        select(BalanceTransaction)
        .where(BalanceTransaction.id.in_(list(ids)), BalanceTransaction.state.in_(("waiting", "finding")), _IS_READABLE)
        .order_by(BalanceTransaction.created_at, BalanceTransaction.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    rows = list(session.execute(query).scalars())
    found = matches.find(session, rows)
    for row in rows:
        if row.type in meanings.PAID_OUT and found[row.id].primary is None:
            _book_payout(session, now, row, found[row.id], houses, locked)
    moved = matches.books_of(session, found.values())
    done = 0
    for row in rows:
        if row.state in ("waiting", "finding"):  # its other half may have explained it
            done += _explain_one(session, now, row, found[row.id], moved, houses, locked)
    session.flush()
    return done


def movement_of(row: BalanceTransaction) -> Movement:
    """What the provider says of it."""
    return Movement(
        amount=Money(minor=row.amount_minor, currency=row.currency),
        fee=Money(minor=row.fee_minor, currency=row.currency),
        presented=Money(minor=row.presented_minor, currency=row.presented_currency),
        is_fee_ours=row.dispute_ref is None,
    )


def _explain_one(
    session: Session,
    now: datetime,
    row: BalanceTransaction,
    match: Match,
    moved: dict[str, dict[str, int]],
    houses: dict[str, str],
    locked: dict[str, AccountHead],
) -> int:
    row.looked_at, row.payment_id, row.refund_id = now, match.payment_id, match.refund_id
    if match.primary is None:
        return int(_is_paired(session, row, match)) or _wait(row, now, match.hold, match.lacks)
    if not _keep(session, row, match):
        return _wait(row, now, None, "explained_twice", is_certain=True)
    verdict = judging.judge(movement_of(row), matches.books(match, moved))
    if verdict.reason is not None:
        return _wait(row, now, None, verdict.reason, is_certain=verdict.reason != "fee_not_booked")
    seller_id = matches.seller_of(session, match, row)
    if not verdict.is_whole and seller_id is None:
        return _wait(row, now, None, "seller_unclear")
    try:
        booked = [] if seller_id is None else _book_rest(session, now, row, match, verdict, locked[houses[seller_id]])
    except LedgerConflict:
        return _wait(row, now, None, "booked_otherwise", is_certain=True)
    _keep(session, row, match)
    row.state = "booked" if booked or row.type in meanings.BY_TYPE else "explained"
    row.reason = None
    return 1


def _book_rest(
    session: Session, now: datetime, row: BalanceTransaction, match: Match, verdict: Verdict, house: AccountHead
) -> list[str]:
    movement = movement_of(row)
    wanted: list[tuple[str, str, list[Entry]]] = []
    if verdict.book_conversion:
        wanted.append(("fx_provider", "conversion", judging.conversion_entries(movement)))
    if verdict.book_fee:
        wanted.append(("processor_fee", "fee", judging.fee_entries(movement.fee)))
    for type, part, entries in wanted:
        match.parts[_post(session, now, row, house, type, entries, match.primary)] = part
    return [type for type, _, _ in wanted]


def _book_payout(
    session: Session,
    now: datetime,
    row: BalanceTransaction,
    match: Match,
    houses: dict[str, str],
    locked: dict[str, AccountHead],
) -> None:
    """Money on its way to the bank, or back from it: cash:bank and cash:stripe. Of nobody's money in particular nothing is booked."""
    seller_id = matches.seller_of(session, match, row)
    if seller_id is None:
        match.lacks = "seller_unclear"
        return
    presented = Money(minor=row.presented_minor, currency=row.presented_currency)
    if not presented.minor:
        return
    entries = judging.other_entries("payout", "cash:bank", presented, detail={"payout_ref": row.payout_ref or ""})
    match.parts[book_movement(session, now, row, locked[houses[seller_id]], "payout", entries)] = "whole"
    match.account_id = houses[seller_id]


def book_movement(
    session: Session, now: datetime, row: BalanceTransaction, house: AccountHead, type: str, entries: list[Entry]
) -> str:
    """Book a movement under its key in the house's chain; the ledger transaction's id. A failed payout names the one that it undoes."""
    return _post(session, now, row, house, type, entries, _first_payout(session, row))


def _first_payout(session: Session, row: BalanceTransaction) -> str | None:
    """The transaction by which the money of a payout left, for the movement that brings it back."""
    if row.payout_ref is None or row.net_minor < 0:
        return None
    query = (
        select(BalanceTransaction)
        .where(
            BalanceTransaction.provider == row.provider,
            BalanceTransaction.payout_ref == row.payout_ref,
            BalanceTransaction.net_minor < 0,
        )
        .limit(1)
    )
    first = session.execute(query).scalars().first()
    if first is None:
        return None
    return session.execute(
        select(LedgerTransaction.id).where(
            LedgerTransaction.type == "payout",
            LedgerTransaction.source_type == matches.SOURCE,
            LedgerTransaction.source_id == matches.key_of(first),
        )
    ).scalar_one_or_none()


def _post(
    session: Session,
    now: datetime,
    row: BalanceTransaction,
    house: AccountHead,
    type: str,
    entries: list[Entry],
    linked_id: str | None,
) -> str:
    actor = f"provider:{row.provider}"
    posted = book.post(
        session,
        now=now,
        head=house,
        type=type,
        source_type=matches.SOURCE,
        source_id=matches.key_of(row),
        entries=entries,
        occurred_at=min(now, row.created_at),
        actor=actor,
        linked_id=linked_id,
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act="provider_balance.book",
        subject_type="balance_transaction",
        subject_id=row.id,
        facts={"kind": type, "transaction_id": posted.transaction_id, "provider_id": row.provider_id},
    )
    return posted.transaction_id


def _is_paired(session: Session, row: BalanceTransaction, match: Match) -> bool:
    """Whether the provider took the movement back itself before anything of it came into our books: both are explained by each other."""
    kinds = next((kinds for kinds in _PAIRS if row.type in kinds), None)
    if match.hold is not None or (kinds is _PAIRS[0] and match.payment_id is not None):
        return False  # what came into our books is explained by them
    is_payment = kinds is _PAIRS[0]
    key = BalanceTransaction.payment_ref if is_payment else BalanceTransaction.refund_ref
    value = row.payment_ref if is_payment else row.refund_ref
    if kinds is None or value is None:
        return False
    query = (
        select(BalanceTransaction)
        .where(
            key == value,
            BalanceTransaction.id != row.id,
            BalanceTransaction.provider == row.provider,
            BalanceTransaction.type.in_(kinds),
            BalanceTransaction.currency == row.currency,
            BalanceTransaction.net_minor == -row.net_minor,
            BalanceTransaction.state.in_(("waiting", "finding")),
        )
        .order_by(BalanceTransaction.id)
        .limit(1)
        .with_for_update()
    )
    other = session.execute(query).scalars().first()
    if other is None or matches.find(session, [other])[other.id].primary is not None:
        return False
    first = min(row.id, other.id)
    for half in (row, other):
        half.state, half.reason, half.pair_id = "explained", None, first
    session.flush()
    return True


def _keep(session: Session, row: BalanceTransaction, match: Match) -> bool:
    """Write down what belongs to it, as far as that is new. False, and nothing written, when a part explains another movement."""
    query = select(BalanceExplanation).where(BalanceExplanation.transaction_id.in_(list(match.parts)))
    known = {one.transaction_id: one.balance_transaction_id for one in session.execute(query).scalars()}
    if any(owner != row.id for owner in known.values()):
        return False
    session.add_all(
        BalanceExplanation(balance_transaction_id=row.id, transaction_id=key, part=part)
        for key, part in match.parts.items()
        if key not in known
    )
    session.flush()
    return True


def _wait(row: BalanceTransaction, now: datetime, hold: str | None, lacks: str, *, is_certain: bool = False) -> int:
    is_late = is_certain or (hold is None and now - row.created_at >= PATIENCE)
    row.state, row.reason = ("finding" if is_late else "waiting"), hold or lacks
    return 0


def count_by_state(session: Session) -> dict[str, int]:
    """How many movements are in each state."""
    query = select(BalanceTransaction.state, func.count()).group_by(BalanceTransaction.state)
    return {row.state: int(row[1]) for row in session.execute(query)}
