"""Acts on saved methods: intent, call, outcome, each its own transaction, and nothing in between (Law 6).

A process that dies between the two leaves an intent that `look_up` ends. The idempotency key is our own row's id; nothing is ever sent
a second time under a new one while the first might have arrived.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta

from billing.accounts import heads
from billing.payments import lookups as checkout_lookups
from billing.payments import receipts
from billing.payments.acts import note_mismatch
from billing.payments.charges import intents, lookups, outcomes
from billing.payments.charges.declines import NEVER_REACHED
from billing.payments.charges.intents import Opened, Skipped
from billing.payments.customers import methods
from billing.payments.customers.methods import MethodRow
from billing.payments.errors import OutcomeUnknown, ProviderMismatch, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.charges import ChargeFacts
from billing.payments.tables import PaymentSession
from billing.storage import correlation
from billing.storage.database import Database, Role, Session

_NOT_FOUND_IS_FINAL = timedelta(minutes=15)


def charge_invoice(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    account_id: str,
    invoice_id: str,
    step: str,
    next_try_on: date | None,
    role: Role = "jobs",
) -> str:
    """Charge what is open on the invoice to the account's default method; the session's state, or why nothing was charged.

    A checkout that was left open half an hour ago is closed at the provider first; one that is paid meanwhile stays, and pays.
    """

    def open_intent() -> tuple[MethodRow, Opened | Skipped] | None:
        with database.transaction(role) as session:
            heads.lock_one(session, account_id)
            method = default_method(session, account_id, providers)
            if method is None:
                return None
            return method, intents.for_invoice(
                session, now=now, invoice_id=invoice_id, method=method, step=step, next_try_on=next_try_on
            )

    found = open_intent()
    if found is None:
        return "no_method"
    left_id = found[1].checkout_id if isinstance(found[1], Skipped) else None
    if left_id is not None and _close_checkout(database, providers, now=now, session_id=left_id, role=role):
        found = open_intent() or found
    method, opened = found
    if isinstance(opened, Skipped):
        return opened.reason
    return _send(database, providers[method.provider], now=now, opened=opened, role=role)


def top_up(
    database: Database, providers: Mapping[str, Provider], *, now: datetime, account_id: str, role: Role = "jobs"
) -> str:
    """Fill the account's wallet from its default method where that is due; the session's state, or why nothing was charged."""
    with database.transaction(role) as session:
        heads.lock_one(session, account_id)
        method = default_method(session, account_id, providers)
        if method is None:
            return "no_method"
        opened = intents.for_top_up(session, now=now, account_id=account_id, method=method)
    if isinstance(opened, Skipped):
        return opened.reason
    return _send(database, providers[method.provider], now=now, opened=opened, role=role)


def look_up(database: Database, provider: Provider, *, now: datetime, session_id: str, role: Role = "jobs") -> bool:
    """Ask what became of an off-session charge and record it; whether its state changed.

    What the provider certainly never got is given up after a quarter of an hour, and may then be asked anew by the calendar. Raises
    OutcomeUnknown, ProviderRefused, ProviderMismatch.
    """
    with database.reading(role) as session:
        intent = lookups.intent_of(session, session.get_one(PaymentSession, session_id))
    with correlation.restored(intent.correlation_id):
        facts = lookups.find_charge(provider, intent)
        if facts is None:
            if now - intent.created_at < _NOT_FOUND_IS_FINAL:
                return False
            with database.transaction(role) as session:
                return (
                    outcomes.record_refused(session, now=now, session_id=session_id, reason=NEVER_REACHED)
                    != intent.state
                )
        return _record(database, provider, now=now, session_id=session_id, facts=facts, role=role) != intent.state


def default_method(session: Session, account_id: str, providers: Mapping[str, Provider]) -> MethodRow | None:
    """The method that the account's people chose as default, at the first provider that has one."""
    for name in providers:
        found = methods.default_method(session, account_id=account_id, provider=name)
        if found is not None:
            return found
    return None


def _send(database: Database, provider: Provider, *, now: datetime, opened: Opened, role: Role) -> str:
    with correlation.restored(opened.request.correlation_id):
        try:
            facts = provider.charge(opened.request)
        except ProviderRefused as refused:
            with database.transaction(role) as session:
                return outcomes.record_refused(session, now=now, session_id=opened.session_id, reason=refused.reason)
        except OutcomeUnknown:
            with database.transaction(role) as session:
                return outcomes.record_unknown(session, now=now, session_id=opened.session_id)
        try:
            return _record(database, provider, now=now, session_id=opened.session_id, facts=facts, role=role)
        except ProviderMismatch:
            return "mismatch"


def _record(
    database: Database, provider: Provider, *, now: datetime, session_id: str, facts: ChargeFacts, role: Role
) -> str:
    """Record an answer. A charge that waits for somebody is ended first: it may not be confirmed beside the checkout that follows."""
    if facts.is_waiting:
        try:
            ended = provider.end_charge(facts.id)
        except OutcomeUnknown:
            ended = facts
        facts = (
            replace(ended, state="action_required", is_waiting=ended.is_waiting) if ended.state == "canceled" else ended
        )
    try:
        with database.transaction(role) as session:
            return outcomes.record(session, now=now, session_id=session_id, facts=facts, is_live=provider.is_live)
    except ProviderMismatch as mismatch:
        note_mismatch(database, now=now, session_id=session_id, reason=str(mismatch.fields.get("reason")), role=role)
        raise


def _close_checkout(
    database: Database, providers: Mapping[str, Provider], *, now: datetime, session_id: str, role: Role
) -> bool:
    """Close a page that nobody finished, and record how it ended; whether it is out of the way."""
    with database.reading(role) as session:
        intent = checkout_lookups.intent_of(session, session.get_one(PaymentSession, session_id))
    provider = providers.get(intent.provider)
    if provider is None or intent.provider_session_id is None:
        return False
    try:
        provider.expire_checkout(intent.provider_session_id)
    except ProviderRefused:
        pass  # over already, or paid at this very moment: what it is now decides
    except OutcomeUnknown:
        return False
    try:
        facts = provider.fetch_checkout(intent.provider_session_id)
        with database.transaction(role) as session:
            state = receipts.record_checkout(
                session, now=now, session_id=session_id, facts=facts, is_live=provider.is_live
            )
    except (OutcomeUnknown, ProviderRefused, ProviderMismatch):
        return False
    return state in ("expired", "failed", "paid")
