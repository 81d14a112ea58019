"""Acts at a provider: the only module that commits twice, intent before the call and outcome after it, nothing in between (Law 6).

A process that dies between the two leaves an intent that `recovery` looks up. The idempotency key is our own row's id, so that a
repeat within the provider's memory is the same act.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import select

from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.payments import checkout, lookups, receipts, refund_outcomes, refunds, sessions
from billing.payments.customers import acts as customer_acts
from billing.payments.customers import copies
from billing.payments.errors import OutcomeUnknown, ProviderMismatch, ProviderRefused
from billing.payments.providers.port import CheckoutFacts, CheckoutRequest, Provider, RefundRequestFacts
from billing.payments.refunds import RefundRow
from billing.payments.sessions import SessionRow
from billing.payments.tables import Payment, PaymentSession, RefundRequest
from billing.storage import correlation
from billing.storage.database import Database, Role

# Stripe may forget a key after 24 h; what is older is only looked up, never sent again.
MAX_REPEAT_AGE = timedelta(hours=23)
_BATCH = 50


def start_checkout(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    purpose: str,
    amount: Money,
    form_key: str,
    actor: str,
    return_url_of: Callable[[str], str],
    invoice_id: str | None = None,
    role: Role = "web",
) -> SessionRow:
    """Open a checkout and return the payment session: `open` with its redirect_url, or `failed` or `unknown`.

    The same form again gives the same session, and asks the provider again only while no checkout is known. `return_url_of` makes
    the page's address from our session's id. Raises what `checkout.open_intent` raises.
    """
    with database.transaction(role) as session:
        row = checkout.open_intent(
            session,
            now=now,
            account_id=account_id,
            provider=provider.name,
            purpose=purpose,
            amount=amount,
            form_key=form_key,
            actor=actor,
            invoice_id=invoice_id,
        )
        title = checkout.title_of(session, row)
        correlation_id = session.get_one(PaymentSession, row.id).correlation_id
    if (
        row.state not in ("created", "unknown")
        or row.provider != provider.name
        or row.created_at < now - MAX_REPEAT_AGE
    ):
        return row
    url = return_url_of(row.id)
    try:
        customer_id = customer_acts.ensure_customer(
            database, provider, now=now, account_id=account_id, actor=actor, role=role
        )
        request = CheckoutRequest(
            reference=row.id,
            customer_id=customer_id,
            amount=amount,
            title=title,
            success_url=url,
            cancel_url=url,
            correlation_id=correlation_id,
        )
        facts = _open_checkout(database, provider, request, now=now, account_id=account_id, role=role)
    except ProviderRefused as refused:
        with database.transaction(role) as session:
            return checkout.record_refused(session, now=now, session_id=row.id, reason=refused.reason)
    except OutcomeUnknown:
        with database.transaction(role) as session:
            return checkout.record_unknown(session, now=now, session_id=row.id)
    with database.transaction(role) as session:
        return checkout.record_opened(session, now=now, session_id=row.id, facts=facts)


def _open_checkout(
    database: Database, provider: Provider, request: CheckoutRequest, *, now: datetime, account_id: str, role: Role
) -> CheckoutFacts:
    """The checkout; a customer whom the provider has no more is replaced first, and the checkout asked for under another key."""
    try:
        return provider.create_checkout(request)
    except ProviderRefused as refused:
        if refused.reason != copies.MISSING:
            raise
        renewed = customer_acts.replace_if_gone(
            database, provider, now=now, account_id=account_id, customer_id=request.customer_id, role=role
        )
        if renewed is None:
            raise
        return provider.create_checkout(replace(request, customer_id=renewed, key_suffix=f":{renewed}"))


def refresh_session(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    account_id: str,
    session_id: str,
    role: Role = "web",
) -> SessionRow:
    """Ask the provider how a payment session stands, credit it if it is paid, and return it: the return page's poll.

    Nothing the browser brings along is believed. When the provider does not answer, the session is returned as it is. Raises
    NotFound for a session of another billing account.
    """
    with database.reading(role) as session:
        row = sessions.get_session(session, account_id=account_id, session_id=session_id)
        intent = lookups.intent_of(session, session.get_one(PaymentSession, session_id))
    provider = providers.get(row.provider)
    if row.is_final or provider is None:
        return row
    try:
        facts = lookups.fetch_checkout(provider, intent)
    except (OutcomeUnknown, ProviderRefused):
        return row
    if facts is None:
        return row
    try:
        with database.transaction(role) as session:
            receipts.record_checkout(session, now=now, session_id=session_id, facts=facts, is_live=provider.is_live)
    except ProviderMismatch as mismatch:
        note_mismatch(database, now=now, session_id=session_id, reason=str(mismatch.fields.get("reason")), role=role)
    with database.reading(role) as session:
        return sessions.get_session(session, account_id=account_id, session_id=session_id)


def note_mismatch(database: Database, *, now: datetime, session_id: str, reason: str, role: Role = "jobs") -> None:
    """Keep on the intent why what the provider holds was not credited: finance must look."""
    with database.transaction(role) as session:
        item = checkout.lock_session(session, session_id)
        if item.state != "paid":
            item.failure, item.updated_at = f"mismatch:{reason}", now


def send_refund(
    database: Database, providers: Mapping[str, Provider], *, now: datetime, refund_id: str, role: Role = "web"
) -> RefundRow:
    """Send an approved card refund, once; anything else is returned as it is. State sent, succeeded, failed or unknown.

    Raises Invalid when the payment's provider is not configured.
    """
    with database.transaction(role) as session:
        row = refunds.get_request(session, refund_id=refund_id)
        if row.state != "approved":
            return row
        sending = refund_outcomes.begin_sending(session, now=now, refund_id=refund_id)
        if sending is not None and sending.provider not in providers:
            raise Invalid(field="provider", value=sending.provider, reason="provider_not_configured")
    if sending is not None:
        deliver_refund(database, providers[sending.provider], now=now, facts=sending.facts, role=role)
    with database.reading(role) as session:
        return refunds.get_request(session, refund_id=refund_id)


def deliver_refund(
    database: Database, provider: Provider, *, now: datetime, facts: RefundRequestFacts, role: Role = "jobs"
) -> None:
    """The call itself and its outcome, in the thread of the request that set it going; the intent was committed before."""
    with correlation.restored(facts.correlation_id):
        _deliver_refund(database, provider, now=now, facts=facts, role=role)


def _deliver_refund(
    database: Database, provider: Provider, *, now: datetime, facts: RefundRequestFacts, role: Role
) -> None:
    actor, refund_id = f"provider:{provider.name}", facts.reference
    try:
        answer = provider.refund(facts)
    except ProviderRefused as refused:
        with database.transaction(role) as session:
            refund_outcomes.record_refused(session, now=now, refund_id=refund_id, reason=refused.reason, actor=actor)
        return
    except OutcomeUnknown:
        with database.transaction(role) as session:
            refund_outcomes.record_unknown(session, now=now, refund_id=refund_id)
        return
    with database.transaction(role) as session:
        refund_outcomes.record_outcome(session, now=now, refund_id=refund_id, facts=answer, actor=actor)


def send_approved_refunds(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Send what was approved and not sent yet, oldest first, where its provider is configured; returns how many were sent."""
    query = (
        select(RefundRequest.id)
        .join(Payment, Payment.id == RefundRequest.payment_id)
        .where(RefundRequest.state == "approved", RefundRequest.mode == "card", Payment.provider.in_(list(providers)))
        .order_by(RefundRequest.decided_at)
        .limit(_BATCH)
    )
    with database.reading("jobs") as session:
        waiting = list(session.execute(query).scalars())
    return sum(
        send_refund(database, providers, now=now, refund_id=refund_id, role="jobs").state != "approved"
        for refund_id in waiting
    )
