"""Reads the provider's own list of payments: what was paid there and is not credited here is credited, or becomes a finding."""

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import select

from billing.kernel.errors import Refusal
from billing.payments import acts, lookups
from billing.payments.errors import OutcomeUnknown, ProviderMismatch, ProviderRefused
from billing.payments.providers.port import ListedPayment, Provider
from billing.payments.recovery import cases, unmatched
from billing.payments.recovery.tables import ProviderListing
from billing.payments.tables import PaymentSession
from billing.storage import correlation
from billing.storage.database import Database

_log = logging.getLogger("billing.payments")
# A payment is listed by the time it began and may be paid later: each run reads two hours again, once a day three days.
_OVERLAP, _DEEP, _DEEP_EVERY = timedelta(hours=2), timedelta(days=3), timedelta(days=1)
_SETTLE = timedelta(seconds=60)  # what began just now is still on its way to us


def read_payments(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Read every provider's list up to a minute ago; returns how many payments were credited or newly found.

    Killed or refused in the middle, the next run reads the same again. No transaction is open while the provider is asked.
    """
    done = 0
    for provider in providers.values():
        try:
            done += _read(database, provider, now)
        except (OutcomeUnknown, ProviderRefused, ProviderMismatch) as trouble:
            _log.warning("listing of payments failed", extra={"provider": provider.name, "cause": str(trouble)})
    return done


def _read(database: Database, provider: Provider, now: datetime) -> int:
    with database.reading("jobs") as session:
        known = session.get(ProviderListing, provider.name)
        is_deep = known is None or known.deep_at <= now - _DEEP_EVERY
        since = now - _DEEP if known is None or is_deep else known.read_through_at - _OVERLAP
        deep_at = now if known is None or is_deep else known.deep_at
    until, cursor, read, found = now - _SETTLE, None, 0, 0
    while True:
        page = provider.list_payments(since=since, until=until, cursor=cursor)
        read += len(page.payments)
        found += sum(_take(database, provider, one, now) for one in _missing(database, provider, page.payments))
        cursor = page.next_cursor
        if cursor is None:
            break
    with database.transaction("jobs") as session:
        unmatched.end_credited(session, now=now, provider=provider.name)
        session.merge(
            ProviderListing(
                provider=provider.name,
                read_through_at=until,
                deep_at=deep_at,
                ran_at=now,
                read_count=read,
                found_count=found,
            )
        )
    return found


def _missing(database: Database, provider: Provider, listed: tuple[ListedPayment, ...]) -> list[ListedPayment]:
    """What is paid in our own mode and not credited here."""
    paid = [one for one in listed if one.payment.state == "paid" and one.is_live == provider.is_live]
    if not paid:
        return []
    with database.reading("jobs") as session:
        known = unmatched.known_payments(session, provider=provider.name, payment_ids=[one.payment.id for one in paid])
    return [one for one in paid if one.payment.id not in known]


def _take(database: Database, provider: Provider, found: ListedPayment, now: datetime) -> bool:
    """Credit a payment to the session that it names; True when that, or the finding, is news."""
    with database.reading("jobs") as session:
        item = session.execute(
            select(PaymentSession).where(
                PaymentSession.id == (found.reference or ""), PaymentSession.provider == provider.name
            )
        ).scalar_one_or_none()
        intent = None if item is None else lookups.intent_of(session, item)
    if intent is None:
        kind = "foreign" if found.reference is None else "orphan"
        with database.transaction("jobs") as session:
            return unmatched.keep(session, now=now, provider=provider.name, found=found, kind=kind)
    try:
        with correlation.restored(intent.correlation_id):
            cases.bring_up_to_date(database, provider, now=now, session_id=intent.session_id)
    except ProviderMismatch as mismatch:
        reason = str(mismatch.fields.get("reason"))
        acts.note_mismatch(database, now=now, session_id=intent.session_id, reason=reason)
    except Refusal as refusal:
        reason = refusal.code
    else:
        reason = "not_confirmed"
    with database.transaction("jobs") as session:
        if unmatched.known_payments(session, provider=provider.name, payment_ids=[found.payment.id]):
            return True
        return unmatched.keep(
            session,
            now=now,
            provider=provider.name,
            found=found,
            kind="uncredited",
            reason=reason,
            session_id=intent.session_id,
        )
