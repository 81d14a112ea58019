"""Opening a billing account so that it can be billed at once: tenant, account, head, profile, plan."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import BillingAccount, Seller
from billing.catalog import plans, subscriptions


def open_account(
    session: Session,
    *,
    now: datetime,
    code: str,
    name: str | None = None,
    seller: Seller | None = None,
    currency: str = "USD",
    zone: str = "UTC",
    policy: str = "postpaid",
    prices_include_tax: bool = False,
    profile: ProfileFacts | None = None,
    plan_code: str = plans.DEFAULT_CODE,
    actor: str = "system",
) -> BillingAccount:
    """A tenant's billing account on a plan that has always applied, so that old usage finds its price.

    Locks the seller, then the new head: call it before locking other heads. Raises CodeTaken, Invalid, NotFound.
    """
    account = directory.create_tenant_account(
        session,
        now=now,
        code=code,
        name=name,
        seller=seller,
        currency=currency,
        zone=zone,
        policy=policy,
        prices_include_tax=prices_include_tax,
        profile=profile,
        actor=actor,
    )
    subscriptions.subscribe(session, now=now, account_id=account.id, plan_code=plan_code, actor=actor)
    return account


def find_or_open_account(session: Session, *, now: datetime, code: str, actor: str = "system") -> BillingAccount:
    """The account of that code, opened with the defaults if there is none: also right where two imports meet the code at once.

    Call it before locking heads. Raises Invalid.
    """
    found = directory.find_account_by_code(session, code)
    if found is None:
        directory.lock_seller(session)  # whoever was opening it has committed now
        found = directory.find_account_by_code(session, code)
    return found if found is not None else open_account(session, now=now, code=code, actor=actor)
