"""Which customer at the provider is whose: the link, and every act that made or changed it."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from billing.accounts import directory, heads, names
from billing.accounts.tables import BillingAccount
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.payments.customers.errors import CustomerBusy, CustomerUnfit
from billing.payments.customers.tables import CustomerAct, PaymentMethod
from billing.payments.providers.ports.customers import CustomerFacts
from billing.payments.tables import PaymentSession, ProviderCustomer
from billing.storage import audit

REASON_MAX = 500
_GIVEN_UP_AFTER = timedelta(minutes=10)
_UNSETTLED = ("created", "unknown")


@dataclass(frozen=True, kw_only=True)
class LinkRow:
    """One billing account and its customer. `legacy_id` is what an older system kept, `customer_id` None before the first act."""

    account_id: str
    account_code: str
    account_name: str
    provider: str
    customer_id: str | None
    legacy_id: str | None
    linked_at: datetime | None
    gone_at: datetime | None
    copied_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ActRow:
    """One act that made or changed a link; `act` is create, adopt, relink or renew, `state` begun, done or failed."""

    id: str
    account_id: str
    provider: str
    act: str
    state: str
    customer_id: str | None
    previous_id: str | None
    reason: str | None
    failure: str | None
    actor: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class Begun:
    """What an act needs while no transaction is open. `legacy_id`: try this customer first."""

    id: str
    account_id: str
    label: str
    legacy_id: str | None
    created_at: datetime


def find_customer(session: Session, *, account_id: str, provider: str) -> str | None:
    """The provider's customer of a billing account, or None before the first payment and after it was deleted there."""
    row = session.get(ProviderCustomer, (account_id, provider))
    return None if row is None or row.gone_at is not None else row.customer_id


def begin(session: Session, *, now: datetime, account_id: str, provider: str, actor: str) -> str | Begun:
    """The customer in force, or the act under way that makes one, or a new one. Locks the account's head.

    Raises NotFound for a house account, CustomerBusy while an operator links a customer.
    """
    heads.lock_one(session, account_id)
    linked = session.get(ProviderCustomer, (account_id, provider), populate_existing=True)
    if linked is not None and linked.gone_at is None:
        return linked.customer_id
    account = directory.get_account(session, account_id)
    if account.kind == "house":
        raise NotFound(account_id=account_id)
    running = _running(session, account_id, provider, now)
    if running is not None and running.act == "relink":
        raise CustomerBusy(reason="customer_act_running", act_id=running.id)
    if running is None:
        kind = "create" if linked is None else "renew"
        running = _new_act(session, now, account_id, provider, actor, kind, linked)
    return _begun(account, running, account.legacy_customer_id if running.act == "create" else None)


def begin_asked(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    provider: str,
    actor: str,
    act: str,
    reason: str,
    customer_id: str | None = None,
) -> Begun:
    """An operator's act: relink to `customer_id`, or renew. Locks the account's head.

    Raises CustomerBusy while another act or a payment of unknown outcome hangs on the customer in force, NotFound for a house.
    """
    heads.lock_one(session, account_id)
    account = directory.get_account(session, account_id)
    if account.kind == "house":
        raise NotFound(account_id=account_id)
    _require_quiet(session, account_id, provider, _running(session, account_id, provider, now))
    linked = session.get(ProviderCustomer, (account_id, provider), populate_existing=True)
    item = _new_act(session, now, account_id, provider, actor, act, linked)
    item.customer_id, item.reason = customer_id, reason
    session.flush()
    return _begun(account, item, None)


def why_unfit(facts: CustomerFacts, *, account_id: str, is_live: bool) -> str | None:
    """Why the customer cannot be this billing account's, as a stable word; None when it can."""
    if facts.is_deleted:
        return "customer_deleted"
    if facts.is_live != is_live:
        return "customer_other_mode"
    if facts.reference not in (None, account_id):
        return "customer_of_another_account"
    return None


def owner_of(session: Session, *, provider: str, customer_id: str) -> str | None:
    """The billing account to which the customer is linked, or None."""
    query = select(ProviderCustomer.billing_account_id).where(
        ProviderCustomer.provider == provider, ProviderCustomer.customer_id == customer_id
    )
    return session.execute(query).scalar_one_or_none()


def require_free(session: Session, *, account_id: str, provider: str, customer_id: str) -> None:
    """Raises CustomerUnfit when another billing account is linked to the customer."""
    owner = owner_of(session, provider=provider, customer_id=customer_id)
    if owner not in (None, account_id):
        raise CustomerUnfit(reason="customer_of_another_account", customer_id=customer_id)


def record_done(session: Session, *, now: datetime, act_id: str, customer_id: str, is_adopted: bool = False) -> str:
    """The customer is linked; who comes second gets the first one's. Returns the customer in force. Raises CustomerUnfit."""
    item = _locked(session, act_id)
    linked = session.get(ProviderCustomer, (item.billing_account_id, item.provider), populate_existing=True)
    if item.state != "begun":
        return linked.customer_id if linked is not None else customer_id
    require_free(session, account_id=item.billing_account_id, provider=item.provider, customer_id=customer_id)
    _link(session, now, item, linked, customer_id)
    item.act = "adopt" if is_adopted else item.act
    item.state, item.customer_id, item.updated_at = "done", customer_id, now
    audit.record(
        session,
        now=now,
        actor=item.actor,
        act=f"provider_customer.{item.act}",
        subject_type="billing_account",
        subject_id=item.billing_account_id,
        billing_account_id=item.billing_account_id,
        facts={
            "provider": item.provider,
            "customer_id": customer_id,
            "previous_id": item.previous_id,
            "provider_customer_act": item.id,
        },
    )
    session.flush()
    return customer_id


def record_failed(session: Session, *, now: datetime, act_id: str, failure: str) -> None:
    """The act certainly changed nothing; the link stays as it was."""
    item = _locked(session, act_id)
    if item.state == "begun":
        item.state, item.failure, item.updated_at = "failed", failure, now
        session.flush()


def record_not_adopted(session: Session, *, now: datetime, act_id: str, legacy_id: str, reason: str) -> None:
    """The older system's customer is unfit: said in the audit log, and a new one is made."""
    item = _locked(session, act_id)
    audit.record(
        session,
        now=now,
        actor=item.actor,
        act="provider_customer.not_adopted",
        subject_type="billing_account",
        subject_id=item.billing_account_id,
        billing_account_id=item.billing_account_id,
        facts={"provider": item.provider, "customer_id": legacy_id, "reason": reason},
    )
    session.flush()


def record_gone(session: Session, *, now: datetime, account_id: str, provider: str, customer_id: str) -> bool:
    """The provider has the customer no more: its methods are gone with it, and the next use makes a new one. False: known already."""
    heads.lock_one(session, account_id)
    linked = session.get(ProviderCustomer, (account_id, provider), populate_existing=True)
    if linked is None or linked.customer_id != customer_id or linked.gone_at is not None:
        return False
    linked.gone_at = now
    linked.copies += 1
    session.execute(
        update(PaymentMethod)
        .where(PaymentMethod.customer_id == customer_id, PaymentMethod.provider == provider)
        .where(PaymentMethod.detached_at.is_(None))
        .values(detached_at=now, is_default=False)
    )
    audit.record(
        session,
        now=now,
        actor=f"provider:{provider}",
        act="provider_customer.gone",
        subject_type="billing_account",
        subject_id=account_id,
        billing_account_id=account_id,
        facts={"provider": provider, "customer_id": customer_id},
    )
    session.flush()
    return True


def set_legacy_id(session: Session, *, now: datetime, account_id: str, customer_id: str | None, actor: str) -> None:
    """Remember what an older system knew, to be verified and adopted at the first use. Raises Conflict once there is a link."""
    heads.lock_one(session, account_id)
    if customer_id is not None:
        check_customer_id(customer_id)
    account = directory.get_account(session, account_id)
    linked = session.execute(
        select(ProviderCustomer.provider).where(ProviderCustomer.billing_account_id == account_id).limit(1)
    ).scalar_one_or_none()
    if linked is not None:
        raise Conflict(account_id=account_id, reason="customer_linked_already")
    session.execute(
        update(BillingAccount).where(BillingAccount.id == account.id).values(legacy_customer_id=customer_id)
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act="provider_customer.legacy_id",
        subject_type="billing_account",
        subject_id=account_id,
        billing_account_id=account_id,
        facts={"customer_id": customer_id},
    )
    session.flush()


def check_reason(reason: str) -> str:
    """An operator's words, or Invalid."""
    clean = " ".join(reason.split())
    if not clean:
        raise Invalid(field="reason", reason="reason_missing", limit=REASON_MAX)
    return names.require_name(clean, "reason", max_length=REASON_MAX)


def check_customer_id(customer_id: str) -> str:
    """An id as a provider gives them, or Invalid."""
    if not 3 <= len(customer_id) <= 255 or not customer_id.isascii() or not customer_id.isprintable():
        raise Invalid(field="customer_id", reason="customer_id_malformed")
    return customer_id


def _running(session: Session, account_id: str, provider: str, now: datetime) -> CustomerAct | None:
    """What is under way. A relink that nobody ended is given up: it changed nothing of ours, and can be asked again."""
    query = select(CustomerAct).where(
        CustomerAct.billing_account_id == account_id, CustomerAct.provider == provider, CustomerAct.state == "begun"
    )
    item = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    if item is not None and item.act == "relink" and item.created_at <= now - _GIVEN_UP_AFTER:
        item.state, item.failure, item.updated_at = "failed", "given_up", now
        session.flush()
        return None
    return item


def _new_act(
    session: Session,
    now: datetime,
    account_id: str,
    provider: str,
    actor: str,
    act: str,
    linked: ProviderCustomer | None,
) -> CustomerAct:
    item = CustomerAct(
        id=new_id("pca"),
        billing_account_id=account_id,
        provider=provider,
        act=act,
        state="begun",
        previous_id=None if linked is None else linked.customer_id,
        actor=actor,
        created_at=now,
        updated_at=now,
    )
    session.add(item)
    session.flush()  # the key of what is begun must collide here
    return item


def _begun(account: BillingAccount, item: CustomerAct, legacy_id: str | None) -> Begun:
    return Begun(
        id=item.id,
        account_id=account.id,
        label=account.code,
        legacy_id=legacy_id,
        created_at=item.created_at,
    )


def _require_quiet(session: Session, account_id: str, provider: str, running: CustomerAct | None) -> None:
    if running is not None:
        raise CustomerBusy(reason="customer_act_running", act_id=running.id)
    waiting = session.execute(
        select(PaymentSession.id).where(
            PaymentSession.billing_account_id == account_id,
            PaymentSession.provider == provider,
            PaymentSession.state.in_(_UNSETTLED),
        )
    ).first()
    if waiting is not None:
        raise CustomerBusy(reason="payment_unsettled", payment_session_id=waiting[0])


def _locked(session: Session, act_id: str) -> CustomerAct:
    account_id = session.execute(select(CustomerAct.billing_account_id).where(CustomerAct.id == act_id)).scalar_one()
    heads.lock_one(session, account_id)
    query = select(CustomerAct).where(CustomerAct.id == act_id).execution_options(populate_existing=True)
    return session.execute(query).scalar_one()


def _link(
    session: Session, now: datetime, item: CustomerAct, linked: ProviderCustomer | None, customer_id: str
) -> None:
    if linked is None:
        linked = ProviderCustomer(billing_account_id=item.billing_account_id, provider=item.provider, copies=-1)
        session.add(linked)
    elif linked.customer_id != customer_id:
        _forget_methods(session, now, item)
    linked.customer_id, linked.created_at, linked.gone_at, linked.copied_at = customer_id, now, None, None
    linked.copies += 1
    try:
        session.flush()
    except IntegrityError:  # another account's link that row-level security keeps out of our sight
        raise CustomerUnfit(reason="customer_of_another_account", customer_id=customer_id) from None


def _forget_methods(session: Session, now: datetime, item: CustomerAct) -> None:
    """What hangs on another customer than the one in force is nothing of ours to charge."""
    session.execute(
        update(PaymentMethod)
        .where(PaymentMethod.billing_account_id == item.billing_account_id, PaymentMethod.provider == item.provider)
        .where(PaymentMethod.detached_at.is_(None))
        .values(detached_at=now, is_default=False)
    )
