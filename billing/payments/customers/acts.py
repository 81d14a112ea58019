"""Acts on customers at a provider: intent committed before the call, outcome after it, nothing in between (Law 6).

What a process that dies in between leaves is found by its intent: an act of the same account goes on under its key, and once the
key is too old the provider is searched for what it made.
"""

from datetime import datetime, timedelta

from billing.payments.customers import copies, links
from billing.payments.customers.copies import MISSING
from billing.payments.customers.errors import CustomerUnfit
from billing.payments.customers.links import Begun
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from billing.storage.database import Database, Role

# Stripe may forget a key after 24 h; what is older is only looked up, never sent again.
_MAX_REPEAT_AGE = timedelta(hours=23)
NEVER_REACHED = "never_reached_provider"


def ensure_customer(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    actor: str = "system",
    role: Role = "web",
) -> str:
    """The billing account's customer at the provider: the linked one, an older system's once it is verified, or a new one.

    Two tabs make one. Raises ProviderRefused, OutcomeUnknown (the next caller goes on under the same key), NotFound for a house.
    """
    with database.transaction(role) as session:
        begun = links.begin(session, now=now, account_id=account_id, provider=provider.name, actor=actor)
    if isinstance(begun, str):
        return begun
    adopted = _adopt(database, provider, begun, now, role) if begun.legacy_id is not None else None
    return adopted or _make(database, provider, begun, now, role)


def replace_if_gone(
    database: Database, provider: Provider, *, now: datetime, account_id: str, customer_id: str, role: Role = "web"
) -> str | None:
    """A new customer in place of one that the provider has no more; None when it still has it. Raises as `ensure_customer`."""
    if look_for(provider, customer_id) is not None:
        return None
    with database.transaction(role) as session:
        links.record_gone(session, now=now, account_id=account_id, provider=provider.name, customer_id=customer_id)
    return ensure_customer(database, provider, now=now, account_id=account_id, role=role)


def look_for(provider: Provider, customer_id: str) -> str | None:
    """The customer's id when the provider has it and it lives, else None. Raises OutcomeUnknown."""
    try:
        facts = provider.fetch_customer(customer_id)
    except ProviderRefused as refused:
        if refused.reason != MISSING:
            raise
        return None
    return None if facts.is_deleted else facts.id


def relink(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    customer_id: str,
    reason: str,
    actor: str,
    role: Role = "web",
) -> str:
    """An operator links another customer: verified at the provider first, then claimed there, with its methods copied.

    Raises Invalid without a reason or with an id that cannot be one, CustomerUnfit (missing, deleted, other mode, another account's), CustomerBusy.
    """
    reason, customer_id = links.check_reason(reason), links.check_customer_id(customer_id.strip())
    _require_fit(provider, customer_id, account_id)
    with database.transaction(role) as session:
        links.require_free(session, account_id=account_id, provider=provider.name, customer_id=customer_id)
        begun = links.begin_asked(
            session,
            now=now,
            account_id=account_id,
            provider=provider.name,
            actor=actor,
            act="relink",
            customer_id=customer_id,
            reason=reason,
        )
    _claim(database, provider, begun, customer_id, now, role)
    with database.transaction(role) as session:
        links.record_done(session, now=now, act_id=begun.id, customer_id=customer_id)
    refresh(database, provider, now=now, account_id=account_id, role=role)
    return customer_id


def renew(
    database: Database,
    provider: Provider,
    *,
    now: datetime,
    account_id: str,
    reason: str,
    actor: str,
    role: Role = "web",
) -> str:
    """An operator makes a customer anew, because the provider has the linked one no more.

    Raises Invalid without a reason, CustomerUnfit(customer_still_there), CustomerBusy, and as `ensure_customer`.
    """
    reason = links.check_reason(reason)
    with database.reading(role) as session:
        linked = links.find_customer(session, account_id=account_id, provider=provider.name)
    if linked is not None:
        if look_for(provider, linked) is not None:
            raise CustomerUnfit(reason="customer_still_there", customer_id=linked)
        with database.transaction(role) as session:
            links.record_gone(session, now=now, account_id=account_id, provider=provider.name, customer_id=linked)
    with database.transaction(role) as session:
        begun = links.begin_asked(
            session, now=now, account_id=account_id, provider=provider.name, actor=actor, act="renew", reason=reason
        )
    return _make(database, provider, begun, now, role)


def refresh(database: Database, provider: Provider, *, now: datetime, account_id: str, role: Role = "web") -> bool:
    """Fetch the account's methods from the provider and keep them; False where there is no customer or another was faster.

    Raises OutcomeUnknown, ProviderRefused, ProviderMismatch: the copy stays as it was.
    """
    with database.reading(role) as session:
        asked = copies.asked_for(session, account_id=account_id, provider=provider.name)
    if asked is None:
        return False
    copy = copies.fetch(provider, asked)
    with database.transaction(role) as session:
        return copies.record(session, now=now, asked=asked, copy=copy, is_live=provider.is_live)


def _adopt(database: Database, provider: Provider, begun: Begun, now: datetime, role: Role) -> str | None:
    """The older system's customer, if it can be this account's; None, with the reason in the audit log, if not."""
    legacy_id = begun.legacy_id or ""
    try:
        _require_fit(provider, legacy_id, begun.account_id)
        with database.transaction(role) as session:
            links.require_free(session, account_id=begun.account_id, provider=provider.name, customer_id=legacy_id)
        provider.claim_customer(legacy_id, account_id=begun.account_id)
        with database.transaction(role) as session:
            customer_id = links.record_done(session, now=now, act_id=begun.id, customer_id=legacy_id, is_adopted=True)
    except CustomerUnfit as unfit:
        with database.transaction(role) as session:
            links.record_not_adopted(
                session, now=now, act_id=begun.id, legacy_id=legacy_id, reason=str(unfit.fields["reason"])
            )
        return None
    try:
        refresh(database, provider, now=now, account_id=begun.account_id, role=role)
    except (OutcomeUnknown, ProviderRefused):
        pass  # the link stands; the copy is fetched again by the next event or page
    return customer_id


def _make(database: Database, provider: Provider, begun: Begun, now: datetime, role: Role) -> str:
    """A new customer under the act's key, or the one that this key made before it became too old to be sent again."""
    try:
        if now - begun.created_at < _MAX_REPEAT_AGE:
            customer_id = provider.create_customer(key=begun.id, account_id=begun.account_id, label=begun.label)
        else:
            found = provider.find_customer(account_id=begun.account_id, since=begun.created_at)
            if found is None:
                with database.transaction(role) as session:
                    links.record_failed(session, now=now, act_id=begun.id, failure=NEVER_REACHED)
                return ensure_customer(database, provider, now=now, account_id=begun.account_id, role=role)
            customer_id = found.id
    except ProviderRefused as refused:
        with database.transaction(role) as session:
            links.record_failed(session, now=now, act_id=begun.id, failure=refused.reason)
        raise
    with database.transaction(role) as session:
        return links.record_done(session, now=now, act_id=begun.id, customer_id=customer_id)


def _require_fit(provider: Provider, customer_id: str, account_id: str) -> None:
    """Raises CustomerUnfit unless the provider's customer can be this billing account's."""
    try:
        facts = provider.fetch_customer(customer_id)
    except ProviderRefused as refused:
        raise CustomerUnfit(reason="customer_missing", customer_id=customer_id, detail=refused.reason) from refused
    reason = links.why_unfit(facts, account_id=account_id, is_live=provider.is_live)
    if reason is not None:
        raise CustomerUnfit(reason=reason, customer_id=customer_id)


def _claim(database: Database, provider: Provider, begun: Begun, customer_id: str, now: datetime, role: Role) -> None:
    """Write our id on it. A relink can be asked again at once, so an unclear answer ends the act too: nothing of ours has changed."""
    try:
        provider.claim_customer(customer_id, account_id=begun.account_id)
    except (ProviderRefused, OutcomeUnknown) as error:
        failure = error.reason if isinstance(error, ProviderRefused) else "provider_unreachable"
        with database.transaction(role) as session:
            links.record_failed(session, now=now, act_id=begun.id, failure=failure)
        raise
