"""Reading the provider's balance: its movements by a cursor, its payouts and what is in them, then their explanation.

No network inside a transaction. A run that dies anywhere is taken up where it stood: what was kept is known, the page that was being
read is read again. What was created within an hour before the last reading is read once more, because a provider may show it late.
"""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.payments.cash import explaining, keeping
from billing.payments.cash.tables import BalanceCursor, BalanceTransaction, Payout, ProviderBalance
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.cash import BalanceFacts, BalancePage, PayoutFacts
from billing.storage import upsert
from billing.storage.database import Database

_log = logging.getLogger("billing.payments")
_OVERLAP = timedelta(hours=1)
_AHEAD = timedelta(minutes=5)  # by which the provider's clock may be ahead of ours
_BATCH = 100
_PAYOUTS = 20
_ASK_AGAIN = timedelta(hours=1)
_CONTENTS_AGAIN = timedelta(minutes=10)
_BALANCE_AGAIN = timedelta(hours=1)


class SyncFailed(Exception):
    """Some provider could not be read to the end; what was read is kept. The text names the first troubles."""


def sync(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Read what is new at every provider and explain what waits. Counts movements that are new and those that became explained.

    Raises SyncFailed at the end when a provider did not answer, or answered nonsense; the others are done.
    """
    done, troubles = 0, []
    for provider in providers.values():
        for act in (_read_movements, _read_payouts, _read_balance):
            try:
                done += act(database, provider, now)
            except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
                _log.warning("balance could not be read", extra={"provider": provider.name, "cause": str(trouble)})
                troubles.append(f"{provider.name}: {type(trouble).__name__}: {trouble}")
    done += explain_due(database, now=now)
    if troubles:
        raise SyncFailed("; ".join(troubles[:3])[:1000])
    return done


def read_anew(session: Session, *, provider: str) -> None:
    """Let the next reading begin with the provider's first movement; what is kept stays as it is. For movements that showed up later
    than the overlap covers: the provider's own balance then differs from their sum."""
    cursor = _lock_cursor(session, provider)
    cursor.read_until, cursor.pass_since, cursor.pass_until, cursor.pass_after = None, None, None, None


def explain_due(database: Database, *, now: datetime) -> int:
    """Explain every movement that waits, one transaction a batch; how many became whole."""
    done = 0
    while True:
        with database.reading("jobs") as session:
            ids = explaining.list_due(session, now=now, limit=_BATCH)
        if not ids:
            return done
        with database.transaction("jobs") as session:
            done += explaining.explain(session, now=now, ids=ids)


def _read_movements(database: Database, provider: Provider, now: datetime) -> int:
    new = 0
    while True:
        with database.transaction("jobs") as session:
            at = _begin_pass(session, provider.name, now)
        try:
            until = None if at[1] is None else at[1] + _AHEAD
            page = provider.list_balance_transactions(since=at[0], until=until, after=at[2])
        except ProviderRefused:
            with database.transaction("jobs") as session:
                _forget_pass(
                    session, provider.name, at
                )  # its place in the list is gone: begin this pass anew next time
            raise
        with database.transaction("jobs") as session:
            cursor = _lock_cursor(session, provider.name)
            if (cursor.pass_since, cursor.pass_until, cursor.pass_after) != at:
                return new  # another run was faster; it goes on from there
            new += _keep_page(session, now, provider, page)
            if page.after is not None:
                cursor.pass_after = page.after
                continue
            cursor.read_until, cursor.pass_since, cursor.pass_until, cursor.pass_after = at[1], None, None, None
            if at[1] is None or at[1] >= now:
                return new
            # That was the rest of an earlier run's pass: what came since follows, or the balance would be held against too little.


_Place = tuple[datetime | None, datetime | None, str | None]


def _begin_pass(session: Session, provider: str, now: datetime) -> _Place:
    """Where to read: on in the pass that is under way, or a new one from shortly before the last to now."""
    cursor = _lock_cursor(session, provider)
    if cursor.pass_until is None:
        cursor.pass_until, cursor.pass_after = now, None
        cursor.pass_since = None if cursor.read_until is None else min(cursor.read_until, now) - _OVERLAP
    cursor.asked_at = now
    return cursor.pass_since, cursor.pass_until, cursor.pass_after


def _forget_pass(session: Session, provider: str, at: _Place) -> None:
    cursor = _lock_cursor(session, provider)
    if cursor.pass_after == at[2] and at[2] is not None:
        cursor.pass_since, cursor.pass_until, cursor.pass_after = None, None, None


def _lock_cursor(session: Session, provider: str) -> BalanceCursor:
    session.execute(upsert.insert(session, BalanceCursor).values(provider=provider).on_conflict_do_nothing())
    query = select(BalanceCursor).where(BalanceCursor.provider == provider).with_for_update()
    return session.execute(query.execution_options(populate_existing=True)).scalar_one()


def _keep_page(
    session: Session, now: datetime, provider: Provider, page: BalancePage, *, paid_out_by: str | None = None
) -> int:
    """Keep the page's movements and the payouts that they belong to; how many movements are new."""
    known = keeping.find_ids(session, provider.name, [each.id for each in page.transactions])
    keeping.keep_transactions(
        session, now=now, provider=provider.name, facts=page.transactions, paid_out_by=paid_out_by
    )
    for payout in page.payouts:
        keeping.keep_payout(session, now=now, provider=provider.name, is_live=provider.is_live, facts=payout)
    return len(page.transactions) - len(known)


def _read_payouts(database: Database, provider: Provider, now: datetime) -> int:
    """Ask how payouts under way stand, and what automatic ones paid out. Counts payouts whose contents were read to the end."""
    done = 0
    with database.reading("jobs") as session:
        waiting = _due_payouts(session, provider.name, now)
    for provider_id, lacks_contents in waiting:
        facts = provider.fetch_payout(provider_id)
        with database.transaction("jobs") as session:
            record_payout(session, now=now, provider=provider, facts=facts)
        if lacks_contents and facts.contents_are_known:
            _read_contents(database, provider, now, provider_id)
            done += 1
    return done


def record_payout(session: Session, *, now: datetime, provider: Provider, facts: PayoutFacts) -> str:
    """Keep a payout that the provider was asked for, with its movements, and book them; our id. Flushes."""
    ids = keeping.keep_transactions(session, now=now, provider=provider.name, facts=facts.transactions)
    explaining.explain(session, now=now, ids=ids)
    return keeping.keep_payout(
        session, now=now, provider=provider.name, is_live=provider.is_live, facts=facts, was_asked=True
    )


def _due_payouts(session: Session, provider: str, now: datetime) -> list[tuple[str, bool]]:
    lacks_contents = Payout.is_automatic & Payout.contents_read_at.is_(None)
    under_way = Payout.state.in_(("pending", "in_transit"))
    query = (
        select(Payout.provider_id, lacks_contents)
        .where(
            Payout.provider == provider,
            or_(
                (under_way | lacks_contents) & Payout.looked_at.is_(None),
                under_way & (Payout.looked_at <= now - _ASK_AGAIN),
                lacks_contents & (Payout.looked_at <= now - _CONTENTS_AGAIN),
            ),
        )
        .order_by(Payout.looked_at, Payout.created_at)
        .limit(_PAYOUTS)
    )
    return [(provider_id, bool(lacks)) for provider_id, lacks in session.execute(query)]


def _read_contents(database: Database, provider: Provider, now: datetime, payout_id: str) -> None:
    """Note of every movement of an automatic payout that it was paid out by it; from the beginning when the last try died."""
    after: str | None = None
    while True:
        page = provider.list_payout_contents(payout_id, after=after)
        after = page.after
        with database.transaction("jobs") as session:
            _keep_page(session, now, provider, page, paid_out_by=payout_id)
            if after is None:
                session.execute(
                    update(Payout)
                    .where(Payout.provider == provider.name, Payout.provider_id == payout_id)
                    .values(contents_read_at=now)
                    .execution_options(synchronize_session=False)
                )
                return


def _read_balance(database: Database, provider: Provider, now: datetime) -> int:
    """Keep what the provider says it holds, when something moved or an hour went by; only while no movement is unknown to us."""
    with database.reading("jobs") as session:
        is_due = _is_balance_due(session, provider.name, now)
    if not is_due:
        return 0
    stated = provider.fetch_balance()
    newest = provider.list_balance_transactions(since=now - _OVERLAP, until=None, limit=_BATCH)
    with database.transaction("jobs") as session:
        known = keeping.find_ids(session, provider.name, [each.id for each in newest.transactions])
        if len(known) < len(newest.transactions):
            return 0  # it moved between the two questions: what it says would be held against the wrong sum
        _keep_balance(session, now, provider.name, stated)
    return 0


def _is_balance_due(session: Session, provider: str, now: datetime) -> bool:
    query = select(func.max(ProviderBalance.read_at)).where(ProviderBalance.provider == provider)
    read_at: datetime | None = session.execute(query).scalar_one()
    if read_at is None or read_at <= now - _BALANCE_AGAIN:
        return True
    newer = select(BalanceTransaction.id).where(
        BalanceTransaction.provider == provider, BalanceTransaction.created_at >= read_at - _OVERLAP
    )
    return session.execute(newer.where(BalanceTransaction.read_at >= read_at).limit(1)).scalar_one_or_none() is not None


def _keep_balance(session: Session, now: datetime, provider: str, stated: list[BalanceFacts]) -> None:
    moved = {
        currency: int(minor)
        for currency, minor in session.execute(
            select(BalanceTransaction.currency, func.sum(BalanceTransaction.net_minor))
            .where(BalanceTransaction.provider == provider)
            .group_by(BalanceTransaction.currency)
        )
    }
    held = {each.available.currency: each for each in stated}
    for currency in sorted(held.keys() | moved.keys()):
        values = {
            "available_minor": held[currency].available.minor if currency in held else 0,
            "pending_minor": held[currency].pending.minor if currency in held else 0,
            "moved_minor": moved.get(currency, 0),
            "read_at": now,
        }
        statement = upsert.insert(session, ProviderBalance).values(provider=provider, currency=currency, **values)
        session.execute(statement.on_conflict_do_update(index_elements=["provider", "currency"], set_=values))
