"""Changes of plan that were taken back before they began: the row stays, it counts for nothing."""

from datetime import datetime

from sqlalchemy import ColumnElement, exists, select
from sqlalchemy.orm import Session

from billing.accounts import heads, names
from billing.catalog.tables import Subscription, SubscriptionWithdrawal
from billing.kernel.clock import to_rfc3339
from billing.kernel.errors import Conflict, NotFound
from billing.storage import audit


def is_standing(of: type[Subscription] = Subscription) -> ColumnElement[bool]:
    """Condition on subscriptions: not withdrawn."""
    return ~exists().where(SubscriptionWithdrawal.subscription_id == of.id)


def withdraw(session: Session, *, now: datetime, account_id: str, subscription_id: str, actor: str) -> Subscription:
    """Take back a change of plan that has not begun; the account stays on what it is on. A repeat changes nothing.

    What usage was rated already is asked by `rating.price_changes`, which wraps this. Locks the account's head. Raises NotFound, and
    Conflict: subscription_begun, or only_subscription for the one that gives the account its first plan.
    """
    heads.lock_one(session, account_id)
    row = session.get(Subscription, subscription_id) if names.is_safe(subscription_id) else None
    if row is None or row.billing_account_id != account_id:
        raise NotFound(subscription=names.shown(subscription_id))
    if session.get(SubscriptionWithdrawal, row.id) is not None:
        return row
    facts = {"subscription_id": row.id, "valid_from": to_rfc3339(row.valid_from)}
    if row.valid_from <= now:
        raise Conflict(**facts, reason="subscription_begun")
    earlier = select(Subscription.id).where(
        Subscription.billing_account_id == account_id, Subscription.valid_from < row.valid_from, is_standing()
    )
    if session.scalars(earlier.limit(1)).first() is None:
        raise Conflict(**facts, reason="only_subscription")
    session.add(
        SubscriptionWithdrawal(
            subscription_id=row.id, billing_account_id=account_id, withdrawn_by=actor, withdrawn_at=now
        )
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act="subscription.withdraw",
        subject_type="subscription",
        subject_id=row.id,
        billing_account_id=account_id,
        facts={"valid_from": facts["valid_from"]},
    )
    session.flush()  # whoever rates next in this act must not find it
    return row
