"""Our copy of what hangs on a customer: fetched whole, so that the order of events does not matter, and kept unless overtaken."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.kernel.ids import new_id
from billing.payments.customers import links
from billing.payments.customers.tables import PaymentMethod
from billing.payments.errors import ProviderMismatch, ProviderRefused
from billing.payments.providers.ports.customers import CustomerFacts, CustomersPort, MethodFacts
from billing.payments.tables import ProviderCustomer
from billing.storage import audit

MISSING = "resource_missing"


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which customer to fetch, and how many copies were kept before: a copy that another overtook meanwhile is old."""

    account_id: str
    provider: str
    customer_id: str
    copies: int


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A customer with all its methods, as the provider held them at one time. No facts: the provider has no such customer."""

    facts: CustomerFacts | None
    methods: tuple[MethodFacts, ...] = ()


def asked_for(session: Session, *, account_id: str, provider: str) -> Asked | None:
    """What to fetch for a billing account, or None where no living customer is linked."""
    linked = session.get(ProviderCustomer, (account_id, provider), populate_existing=True)
    return None if linked is None or linked.gone_at is not None else _asked(linked)


def asked_for_customer(session: Session, *, provider: str, customer_id: str) -> Asked | None:
    """The same from the provider's side: None where the customer is nobody's of ours."""
    query = select(ProviderCustomer).where(
        ProviderCustomer.provider == provider, ProviderCustomer.customer_id == customer_id
    )
    linked = session.execute(query).scalar_one_or_none()
    return None if linked is None or linked.gone_at is not None else _asked(linked)


def copied_at(session: Session, *, account_id: str, provider: str) -> datetime | None:
    """When the account's methods were last fetched, or None where they never were."""
    linked = session.get(ProviderCustomer, (account_id, provider))
    return None if linked is None else linked.copied_at


def fetch(provider: CustomersPort, asked: Asked) -> Copy:
    """The customer and its methods now. Outside any transaction."""
    try:
        facts = provider.fetch_customer(asked.customer_id)
        if facts.is_deleted:
            return Copy(facts=facts)
        return Copy(facts=facts, methods=tuple(provider.list_methods(asked.customer_id)))
    except ProviderRefused as refused:
        if refused.reason != MISSING:
            raise
        return Copy(facts=None)


def record(session: Session, *, now: datetime, asked: Asked, copy: Copy, is_live: bool) -> bool:
    """Keep the copy; False when another was kept since it was asked for. Locks the account's head.

    Raises ProviderMismatch for a customer of the other mode or of another billing account: nothing of it is kept.
    """
    heads.lock_one(session, asked.account_id)
    linked = session.get(ProviderCustomer, (asked.account_id, asked.provider), populate_existing=True)
    if linked is None or linked.customer_id != asked.customer_id or linked.copies != asked.copies:
        return False
    if copy.facts is None or copy.facts.is_deleted:
        return links.record_gone(
            session, now=now, account_id=asked.account_id, provider=asked.provider, customer_id=asked.customer_id
        )
    if copy.facts.is_live != is_live:
        raise ProviderMismatch(reason="livemode_mismatch", customer_id=asked.customer_id)
    if copy.facts.reference not in (None, asked.account_id):
        raise ProviderMismatch(reason="reference_mismatch", customer_id=asked.customer_id, found=copy.facts.reference)
    _keep(session, now, asked, copy)
    linked.copies += 1
    linked.copied_at = now
    session.flush()
    return True


def _keep(session: Session, now: datetime, asked: Asked, copy: Copy) -> None:
    query = select(PaymentMethod).where(
        PaymentMethod.billing_account_id == asked.account_id, PaymentMethod.provider == asked.provider
    )
    known = {item.provider_method_id: item for item in session.execute(query).scalars()}
    default_id = copy.facts.default_method_id if copy.facts is not None else None
    there = {facts.id: facts for facts in copy.methods if facts.customer_id == asked.customer_id}
    for method_id, item in known.items():
        if method_id != default_id or method_id not in there:
            item.is_default = False
        if method_id not in there and item.detached_at is None:
            item.detached_at = now
            _audit(session, now, asked, item, "payment_method.detached")
    session.flush()  # the one default of before must be gone before there is another
    for facts in reversed(list(there.values())):  # oldest first, so that our ids sort as they were saved
        item = known.get(facts.id) or _new(session, now, asked, facts)
        item.customer_id, item.kind, item.brand, item.last4 = asked.customer_id, facts.kind, facts.brand, facts.last4
        item.exp_month, item.exp_year, item.detached_at = facts.exp_month, facts.exp_year, None
        item.is_default = facts.id == default_id and item.removal_asked_at is None
    session.flush()


def _new(session: Session, now: datetime, asked: Asked, facts: MethodFacts) -> PaymentMethod:
    item = PaymentMethod(
        id=new_id("met"),
        billing_account_id=asked.account_id,
        provider=asked.provider,
        provider_method_id=facts.id,
        customer_id=asked.customer_id,
        kind=facts.kind,
        is_default=False,
        saved_at=now,
    )
    session.add(item)
    _audit(session, now, asked, item, "payment_method.saved")
    return item


def _audit(session: Session, now: datetime, asked: Asked, item: PaymentMethod, act: str) -> None:
    audit.record(
        session,
        now=now,
        actor=f"provider:{asked.provider}",
        act=act,
        subject_type="payment_method",
        subject_id=item.id,
        billing_account_id=asked.account_id,
        facts={"provider": asked.provider, "provider_method_id": item.provider_method_id},
    )


def _asked(linked: ProviderCustomer) -> Asked:
    return Asked(
        account_id=linked.billing_account_id,
        provider=linked.provider,
        customer_id=linked.customer_id,
        copies=linked.copies,
    )
