"""How much of refunds a role may ask for or allow: limits as data, which two people change. No row is no limit.

A maker's limit holds what they ask for, an approver's what they allow, an administrator's both: per refund, and per person and UTC
day in the currency of the refund. Tenants ask for their own money and are held by what is refundable alone.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import approvals, names
from billing.accounts.access_tables import Approval
from billing.accounts.approvals import Allowed
from billing.accounts.tables import ApiKey, User
from billing.kernel import money
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.ids import new_id
from billing.kernel.money import MAX_MINOR, Money
from billing.payments.errors import AboveAuthority
from billing.payments.refund_tables import RefundRoleLimit
from billing.payments.tables import RefundRequest
from billing.storage import audit, locks

ACT, SUBJECT = "refund.limits", "refund_role_limit"
ROLES = ("maker", "approver", "admin")
_HELD = {"maker": ("ask",), "approver": ("allow",), "admin": ("ask", "allow")}


@dataclass(frozen=True, kw_only=True)
class RoleLimit:
    """What is in force, or was, for a role in a currency (minor units; None is no limit), and who set it with whose consent."""

    id: str
    role: str
    currency: str
    per_refund_minor: int | None
    per_day_minor: int | None
    reason: str
    set_by: str
    approved_by: str
    valid_from: datetime


def in_force(session: Session) -> list[RoleLimit]:
    """The limits in force, by role and currency."""
    newest = select(func.max(RefundRoleLimit.id)).group_by(RefundRoleLimit.role, RefundRoleLimit.currency)
    query = select(RefundRoleLimit).where(RefundRoleLimit.id.in_(newest))
    found = [_row(item) for item in session.execute(query).scalars()]
    return sorted(found, key=lambda row: (ROLES.index(row.role), row.currency))


def history(session: Session, *, limit: int = 100) -> list[RoleLimit]:
    """Every limit that was ever set, newest first."""
    query = select(RefundRoleLimit).order_by(RefundRoleLimit.id.desc()).limit(limit)
    return [_row(item) for item in session.execute(query).scalars()]


def find_limit(session: Session, *, role: str, currency: str) -> RoleLimit | None:
    """The limit in force for a role in a currency, or None where there is none."""
    query = (
        select(RefundRoleLimit)
        .where(RefundRoleLimit.role == role, RefundRoleLimit.currency == currency)
        .order_by(RefundRoleLimit.id.desc())
        .limit(1)
    )
    item = session.execute(query).scalar_one_or_none()
    return None if item is None else _row(item)


def require(
    session: Session, *, now: datetime, person_id: str, act: str, amount: Money, refund_id: str
) -> dict[str, Any]:
    """Refuse what is above the limit of a person's role; returns the limit that was applied, as facts, empty for none.

    `act` is `ask` or `allow`. Locks the person's day, so that several refunds at once do not pass it together. Raises
    AboveAuthority.
    """
    actor = person_id
    kind, _, key_id = person_id.partition(":")
    if kind == "apikey":  # a key does no more than whoever made it
        person_id = session.scalar(select(ApiKey.created_by).where(ApiKey.id == key_id)) or person_id
    role = session.scalar(select(User.staff_role).where(User.id == person_id))
    rule = find_limit(session, role=role, currency=amount.currency) if role and act in _HELD.get(role, ()) else None
    if rule is None:
        return {}
    locks.take(session, f"refund-authority:{person_id}:{amount.currency}")
    used_minor = _used_minor(session, now, {actor, person_id}, act, amount.currency, refund_id)
    facts: dict[str, Any] = {"role": rule.role, "role_limit_id": rule.id, "day_used_minor": used_minor}
    for name, limit_minor in (
        ("above_role_refund", rule.per_refund_minor),
        ("above_role_day", None if rule.per_day_minor is None else max(0, rule.per_day_minor - used_minor)),
    ):
        if limit_minor is not None and amount.minor > limit_minor:
            raise AboveAuthority(
                reason=name,
                role=rule.role,
                limit_minor=limit_minor,
                amount_minor=amount.minor,
                currency=amount.currency,
                refund_id=refund_id,
            )
    return facts


def request(
    session: Session,
    *,
    now: datetime,
    role: str,
    currency: str,
    per_refund_minor: int | None,
    per_day_minor: int | None,
    maker: str,
    reason: str,
    form_key: str | None = None,
) -> Approval:
    """Ask for another limit of a role. Raises Invalid, and as `approvals.request`."""
    content = content_of(
        session,
        {
            "role": role,
            "currency": currency,
            "per_refund_minor": per_refund_minor,
            "per_day_minor": per_day_minor,
        },
    )
    return approvals.request(
        session,
        now=now,
        act=ACT,
        subject_type=SUBJECT,
        subject_id=f"{content['role']}:{content['currency']}",
        content=content,
        maker=maker,
        reason=reason,
        billing_account_id=None,
        form_key=form_key,
    )


def content_of(session: Session, wanted: dict[str, Any]) -> dict[str, Any]:
    """What approval would set, checked again, and which limit it takes the place of. Raises Invalid."""
    role, currency = str(wanted.get("role")), str(wanted.get("currency"))
    if role not in ROLES:
        raise Invalid(field="role", value=names.shown(role), reason="unknown_role")
    money.exponent(currency)  # refuses what is no currency
    per_refund, per_day = wanted.get("per_refund_minor"), wanted.get("per_day_minor")
    for field, minor in (("per_refund", per_refund), ("per_day", per_day)):
        if minor is not None and not 0 <= minor <= MAX_MINOR:
            raise Invalid(field=field, value=minor, reason="amount_out_of_range")
    if per_refund is not None and per_day is not None and per_refund > per_day:
        raise Invalid(field="per_day", value=per_day, reason="day_below_refund")
    before = find_limit(session, role=role, currency=currency)
    if before is not None and (before.per_refund_minor, before.per_day_minor) == (per_refund, per_day):
        raise Invalid(field="per_refund", value=per_refund, reason="limit_unchanged")
    return {
        "role": role,
        "currency": currency,
        "per_refund_minor": per_refund,
        "per_day_minor": per_day,
        "replaces": before.id if before else None,
    }


def set_limit(session: Session, *, now: datetime, content: dict[str, Any], reason: str, allowed: Allowed) -> str:
    """Put the limit into force as a second person allowed it; returns its id. Raises NotAllowed, Conflict, Invalid."""
    approvals.spend(session, allowed, act=ACT, subject_id=allowed.subject_id, content=content)
    locks.take(session, f"refund-limit:{content['role']}:{content['currency']}")
    if content_of(session, content) != content:
        raise Conflict(reason="content_changed")
    item = RefundRoleLimit(
        id=new_id("rrl"),
        role=content["role"],
        currency=content["currency"],
        per_refund_minor=content["per_refund_minor"],
        per_day_minor=content["per_day_minor"],
        reason=reason,
        set_by=allowed.maker,
        approved_by=allowed.checker,
        approval_id=allowed.approval_id,
        valid_from=now,
    )
    session.add(item)
    audit.record(
        session,
        now=now,
        actor=allowed.checker,
        act="refund.limit",
        subject_type=SUBJECT,
        subject_id=item.id,
        facts=content,
    )
    session.flush()
    return item.id


def _used_minor(session: Session, now: datetime, actors: set[str], act: str, currency: str, refund_id: str) -> int:
    """What the person, or their key, has asked for, or allowed, since the UTC day began; what was dropped again does not count."""
    day = datetime.combine(now.astimezone(UTC).date(), time(), UTC)
    who, when = (
        (RefundRequest.requested_by, RefundRequest.requested_at)
        if act == "ask"
        else (RefundRequest.decided_by, RefundRequest.decided_at)
    )
    query = select(func.coalesce(func.sum(RefundRequest.amount_minor), 0)).where(
        who.in_(actors),
        when >= day,
        RefundRequest.currency == currency,
        RefundRequest.state != "rejected",
        RefundRequest.id != refund_id,
    )
    return int(session.execute(query).scalar_one())


def _row(item: RefundRoleLimit) -> RoleLimit:
    return RoleLimit(
        id=item.id,
        role=item.role,
        currency=item.currency,
        per_refund_minor=item.per_refund_minor,
        per_day_minor=item.per_day_minor,
        reason=item.reason,
        set_by=item.set_by,
        approved_by=item.approved_by,
        valid_from=item.valid_from,
    )
