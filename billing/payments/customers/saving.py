"""Acts on saved methods at a provider: have one saved, choose the default, take one off, send a person to the portal (Law 6).

The intent is committed before the call. What the provider then has is fetched whole and kept (`copies`), so that a process that
dies in between, or an answer that never comes, is put right by the next event, page or `look_up_unknown`.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from sqlalchemy import or_, select

from billing.accounts import currencies, directory
from billing.kernel.errors import NotFound, Refusal
from billing.payments.customers import acts, copies, methods, setups
from billing.payments.customers.setups import SetupRow
from billing.payments.customers.tables import MethodSetup, PaymentMethod
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.payments.providers.ports.customers import SetupFacts, SetupRequest
from billing.storage import audit, correlation
from billing.storage.database import Database, Role

_log = logging.getLogger("billing.payments")
_MAX_REPEAT_AGE = timedelta(hours=23)
_SETTLE_S, _OPEN_PAUSE_S = 60, 600
_NOT_FOUND_IS_FINAL = timedelta(minutes=15)
_BATCH = 50


def start_setup(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    form_key: str,
    actor: str,
    return_url_of: Callable[[str], str],
    makes_default: bool = True,
    role: Role = "web",
) -> SetupRow:
    """Open the provider's page for saving a method: `open` with its redirect_url, or `failed` or `unknown`.

    The same form again gives the same setup. Raises what `setups.open_intent` raises.
    """
    with database.transaction(role) as session:
        row = setups.open_intent(
            session,
            now=now,
            account_id=account_id,
            provider=provider.name,
            makes_default=makes_default,
            form_key=form_key,
            actor=actor,
        )
        currency = currencies.invoice_currency_of(directory.get_account(session, account_id))
    is_over = row.provider != provider.name or row.created_at < now - _MAX_REPEAT_AGE
    if row.state not in ("created", "unknown") or is_over:
        return row
    customer_id: str | None = None
    try:
        customer_id = acts.ensure_customer(database, provider, now=now, account_id=account_id, actor=actor, role=role)
        customer_id, facts = _open_page(
            database, provider, row, customer_id, currency=currency, url=return_url_of(row.id), now=now, role=role
        )
    except ProviderRefused as refused:
        with database.transaction(role) as session:
            return setups.record_refused(session, now=now, setup_id=row.id, reason=refused.reason)
    except OutcomeUnknown:
        with database.transaction(role) as session:
            return setups.record_unknown(session, now=now, setup_id=row.id, customer_id=customer_id)
    with database.transaction(role) as session:
        return setups.record_opened(session, now=now, setup_id=row.id, customer_id=customer_id, facts=facts)


def refresh_setup(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    account_id: str,
    setup_id: str,
    role: Role = "web",
) -> SetupRow:
    """Ask the provider how a setup stands and return it: the return page's poll. Nothing the browser brings along is believed.

    When the provider does not answer, the setup is returned as it is. Raises NotFound for a setup of another billing account.
    """
    with database.reading(role) as session:
        row = setups.get_setup(session, account_id=account_id, setup_id=setup_id)
    provider = providers.get(row.provider)
    if row.is_final or provider is None:
        return row
    try:
        return look_up(database, provider, row, now=now, role=role)
    except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
        _log.warning("setup could not be looked up", extra={"setup_id": row.id, "cause": str(trouble)})
        return row


def look_up(database: Database, provider: Provider, row: SetupRow, *, now: datetime, role: Role = "jobs") -> SetupRow:
    """Bring a setup to what its provider says, its method copied and made the default where that was asked for."""
    facts = fetch_page(provider, row)
    if facts is None:
        if now - row.created_at < _NOT_FOUND_IS_FINAL:
            return row
        with database.transaction(role) as session:
            return setups.record_refused(session, now=now, setup_id=row.id, reason=acts.NEVER_REACHED)
    choose_default(provider, row, facts)
    with database.transaction(role) as session:
        row = setups.record_facts(session, now=now, setup_id=row.id, facts=facts, is_live=provider.is_live)
    if row.state == "saved":
        acts.refresh(database, provider, now=now, account_id=row.account_id, role=role)
    return row


def fetch_page(provider: Provider, row: SetupRow) -> SetupFacts | None:
    """The provider's page of a setup, or None when it certainly has none. Outside any transaction."""
    if row.provider_session_id is not None:
        return provider.fetch_setup(row.provider_session_id)
    if row.customer_id is None:
        return None
    return provider.find_setup(reference=row.id, customer_id=row.customer_id)


def choose_default(provider: Provider, row: SetupRow, facts: SetupFacts) -> None:
    """Make the new method the default at the provider, once: not again after the person has chosen another.

    One that was taken off again meanwhile is no default, and the setup is saved all the same.
    """
    if facts.saving != "succeeded" or row.state == "saved" or not row.makes_default or facts.customer_id is None:
        return
    try:
        provider.set_default_method(facts.customer_id, facts.method_id or "")
    except ProviderRefused as refused:
        _log.warning("default not taken", extra={"setup_id": row.id, "cause": str(refused)})


def make_default(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    method_id: str,
    actor: str,
    role: Role = "web",
) -> None:
    """Choose the default. Raises NotFound, MethodGone, OutcomeUnknown, ProviderRefused: then it is as it was."""
    with database.transaction(role) as session:
        row = methods.ask_default(session, now=now, account_id=account_id, method_id=method_id, actor=actor)
    _require_same(row.provider, provider)
    provider.set_default_method(row.customer_id, row.provider_method_id)
    acts.refresh(database, provider, now=now, account_id=account_id, role=role)


def remove(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    method_id: str,
    actor: str,
    role: Role = "web",
) -> bool:
    """Take a method off, for ever. From the first commit on it is neither offered nor charged; False: the provider is asked again.

    Raises NotFound, MethodGone.
    """
    with database.transaction(role) as session:
        row = methods.ask_removal(session, now=now, account_id=account_id, method_id=method_id, actor=actor)
    _require_same(row.provider, provider)
    try:
        _detach(provider, row.provider_method_id)
        acts.refresh(database, provider, now=now, account_id=account_id, role=role)
    except (OutcomeUnknown, ProviderRefused) as trouble:
        _log.warning("method could not be detached", extra={"payment_method_id": method_id, "cause": str(trouble)})
        return False
    return True


def open_portal(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    return_url: str,
    actor: str,
    role: Role = "web",
) -> str:
    """The address of the provider's own page for the account's methods, good for minutes. Raises OutcomeUnknown, ProviderRefused."""
    customer_id = acts.ensure_customer(database, provider, now=now, account_id=account_id, actor=actor, role=role)
    with database.transaction(role) as session:
        audit.record(
            session,
            now=now,
            actor=actor,
            act="customer_portal.open",
            subject_type="billing_account",
            subject_id=account_id,
            billing_account_id=account_id,
            facts={"provider": provider.name, "customer_id": customer_id},
        )
    try:
        return provider.open_portal(customer_id, return_url=return_url)
    except ProviderRefused as refused:
        renewed = (
            acts.replace_if_gone(database, provider, now=now, account_id=account_id, customer_id=customer_id, role=role)
            if refused.reason == copies.MISSING
            else None
        )
        if renewed is None:
            raise
        return provider.open_portal(renewed, return_url=return_url)


def look_up_unknown(database: Database, providers: Mapping[str, Provider], *, now: datetime) -> int:
    """Setups that nobody told us about, and removals that were not carried out; returns how many changed. One that fails waits."""
    done = 0
    for row in _due_setups(database, providers, now):
        try:
            with correlation.restored(row.correlation_id):
                done += look_up(database, providers[row.provider], row, now=now).state != row.state
        except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
            _log.warning("lookup failed", extra={"setup_id": row.id, "cause": str(trouble)})
    for account_id, name, provider_method_id in _due_removals(database, providers, now):
        try:
            _detach(providers[name], provider_method_id)
            done += acts.refresh(database, providers[name], now=now, account_id=account_id, role="jobs")
        except (OutcomeUnknown, ProviderRefused, Refusal) as trouble:
            _log.warning("removal failed", extra={"method": provider_method_id, "cause": str(trouble)})
    return done


def _open_page(
    database: Database,
    provider: Provider,
    row: SetupRow,
    customer_id: str,
    *,
    currency: str,
    url: str,
    now: datetime,
    role: Role,
) -> tuple[str, SetupFacts]:
    """The page, for the customer in force; one that the provider has no more is replaced first."""

    def asked(customer: str) -> SetupRequest:
        return SetupRequest(
            reference=row.id,
            customer_id=customer,
            currency=currency,
            success_url=url,
            cancel_url=url,
            correlation_id=row.correlation_id,
            key_suffix="" if customer == customer_id else f":{customer}",
        )

    try:
        return customer_id, provider.create_setup(asked(customer_id))
    except ProviderRefused as refused:
        if refused.reason != copies.MISSING:
            raise
        renewed = acts.replace_if_gone(
            database, provider, now=now, account_id=row.account_id, customer_id=customer_id, role=role
        )
        if renewed is None:
            raise
        return renewed, provider.create_setup(asked(renewed))


def _detach(provider: Provider, provider_method_id: str) -> None:
    try:
        provider.detach_method(provider_method_id)
    except ProviderRefused as refused:
        if refused.reason != copies.MISSING:
            raise


def _require_same(name: str, provider: Provider) -> None:
    """The method is at the provider that was handed over: pages take it from the method's own row."""
    if name != provider.name:
        raise NotFound(provider=name)


def _due_setups(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[SetupRow]:
    settled_at, open_at = now - timedelta(seconds=_SETTLE_S), now - timedelta(seconds=_OPEN_PAUSE_S)
    looked = MethodSetup.looked_up_at
    unsettled = (
        MethodSetup.state.in_(("created", "unknown"))
        & (MethodSetup.updated_at <= settled_at)
        & (looked.is_(None) | (looked <= settled_at))
    )
    waiting = (
        (MethodSetup.state == "open") & (MethodSetup.updated_at <= open_at) & (looked.is_(None) | (looked <= open_at))
    )
    query = (
        select(MethodSetup)
        .where(or_(unsettled, waiting), MethodSetup.provider.in_(list(providers)))
        .order_by(MethodSetup.updated_at)
        .limit(_BATCH)
        .with_for_update(skip_locked=True)
    )
    with database.transaction("jobs") as session:
        items = list(session.execute(query).scalars())
        for item in items:
            item.looked_up_at = now
        return [setups.row_of(item) for item in items]


def _due_removals(database: Database, providers: Mapping[str, Provider], now: datetime) -> list[tuple[str, str, str]]:
    query = (
        select(PaymentMethod.billing_account_id, PaymentMethod.provider, PaymentMethod.provider_method_id)
        .where(
            PaymentMethod.removal_asked_at <= now - timedelta(seconds=_SETTLE_S),
            PaymentMethod.detached_at.is_(None),
            PaymentMethod.provider.in_(list(providers)),
        )
        .order_by(PaymentMethod.removal_asked_at)
        .limit(_BATCH)
    )
    with database.reading("jobs") as session:
        return [(row[0], row[1], row[2]) for row in session.execute(query).all()]
