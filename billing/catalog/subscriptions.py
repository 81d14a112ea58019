"""Which plan an account is on, from when on."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.catalog import plans
from billing.catalog.errors import SubscriptionExists
from billing.catalog.tables import Subscription
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.ids import new_id
from billing.storage import audit


def subscribe(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    plan_code: str = plans.DEFAULT_CODE,
    valid_from: datetime = plans.ALWAYS,
    actor: str = "system",
) -> Subscription:
    """Put the account on a plan from an instant on, until its next subscription; the same again gives the same row.

    Locks the account's head: rating must not read half of it. Raises NotFound for account or plan, SubscriptionExists where the
    account changes to another plan at that instant.
    """
    heads.lock_one(session, account_id)
    plan = plans.get_plan(session, plan_code)
    valid_from = require_utc(valid_from, "valid_from")
    found = session.scalar(
        select(Subscription).where(Subscription.billing_account_id == account_id, Subscription.valid_from == valid_from)
    )
    if found is not None:
        if found.plan_id != plan.id:
            raise SubscriptionExists(account_id=account_id, plan=plan_code, valid_from=to_rfc3339(valid_from))
        return found
    subscription = Subscription(
        id=new_id("sub"), billing_account_id=account_id, plan_id=plan.id, valid_from=valid_from, created_at=now
    )
    session.add(subscription)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="subscription.create",
        subject_type="subscription",
        subject_id=subscription.id,
        billing_account_id=account_id,
        facts={"plan": plan_code, "valid_from": to_rfc3339(valid_from)},
    )
    session.flush()  # whoever rates next in this act must find it
    return subscription
