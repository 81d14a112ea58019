"""A tenant's team: who belongs to it and with which role. A role covers all billing accounts of the tenant.

Law of this module: at least one owner who can sign in remains. Every change of a team waits for the one before (`team:<id>`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import changes, names, permissions
from billing.accounts.access_tables import TotpDevice, UserSession
from billing.accounts.errors import LastOwner
from billing.accounts.tables import ApiKey, Membership, User
from billing.kernel.errors import Invalid, NotFound
from billing.storage import audit, locks


@dataclass(frozen=True, kw_only=True)
class Member:
    """One person of a team. `since_at` is None for memberships older than its record, `last_seen_at` for who never came."""

    user_id: str
    name: str
    login: str
    role: str
    since_at: datetime | None
    last_seen_at: datetime | None
    has_second_factor: bool
    is_disabled: bool


def list_members(session: Session, tenant_id: str) -> list[Member]:
    """Everybody of the team: owners first, then by name."""
    found = [_member(*row) for row in session.execute(_members(tenant_id)).all()]
    order = {role: place for place, role in enumerate(permissions.MEMBER_ROLES)}
    return sorted(found, key=lambda member: (order[member.role], member.name.casefold(), member.user_id))


def get_member(session: Session, *, tenant_id: str, user_id: str) -> Member:
    """One person of the team. Raises NotFound, also for a person of another tenant."""
    row = session.execute(_members(tenant_id).where(User.id == user_id)).first() if names.is_safe(user_id) else None
    if row is None:
        raise NotFound(user_id=names.shown(user_id))
    return _member(*row)


def count_keys_of(session: Session, *, tenant_id: str, user_id: str) -> int:
    """How many of the tenant's keys in force that person made: they stay when the person goes."""
    wanted = select(func.count()).select_from(ApiKey)
    mine = wanted.where(ApiKey.tenant_id == tenant_id, ApiKey.created_by == user_id, ApiKey.revoked_at.is_(None))
    return int(session.execute(mine).scalar_one())


def change_role(session: Session, *, now: datetime, tenant_id: str, user_id: str, role: str, actor: str) -> bool:
    """Give a member another role; False when it is theirs already. Raises NotFound, Invalid(unknown_role), LastOwner."""
    if role not in permissions.MEMBER_ROLES:
        raise Invalid(field="role", value=names.shown(role), reason="unknown_role")
    membership = _lock(session, tenant_id, user_id)
    if membership.role == role:
        return False
    before, membership.role = membership.role, role
    session.flush()  # counted below
    if before == "owner":
        _require_owner(session, tenant_id)
    changes.record(
        session,
        now=now,
        user_id=user_id,
        what="role",
        act="membership.role",
        actor=actor,
        facts={"tenant_id": tenant_id, "role": role, "role_before": before},
    )
    return True


def remove(session: Session, *, now: datetime, tenant_id: str, user_id: str, actor: str) -> None:
    """Take a member out of the team; by themselves it is leaving. Raises NotFound, LastOwner.

    What they may is read anew for each request, so it is gone at once; keys that they made stay (`count_keys_of`).
    """
    membership = _lock(session, tenant_id, user_id)
    role = membership.role
    session.delete(membership)
    session.flush()  # counted below
    if role == "owner":
        _require_owner(session, tenant_id)
    facts = {"tenant_id": tenant_id, "role": role}
    if actor == user_id:
        audit.record(
            session,
            now=now,
            actor=actor,
            act="membership.leave",
            subject_type="user",
            subject_id=user_id,
            facts=facts,
        )
        return
    changes.record(
        session, now=now, user_id=user_id, what="removed_from_team", act="membership.remove", actor=actor, facts=facts
    )


def _lock(session: Session, tenant_id: str, user_id: str) -> Membership:
    locks.take(session, f"team:{tenant_id}")
    membership = (
        session.get(Membership, (user_id, tenant_id), populate_existing=True) if names.is_safe(user_id) else None
    )
    if membership is None:
        raise NotFound(user_id=names.shown(user_id))
    return membership


def _require_owner(session: Session, tenant_id: str) -> None:
    owners = (
        select(func.count())
        .select_from(Membership)
        .join(User, User.id == Membership.user_id)
        .where(Membership.tenant_id == tenant_id, Membership.role == "owner", User.is_disabled.in_([False]))
    )
    if not session.execute(owners).scalar_one():
        raise LastOwner(tenant_id=tenant_id)


def _members(tenant_id: str) -> Select[Any, Any, Any, Any]:
    """Rows (user, membership, last seen, when the second factor came into force)."""
    seen = (
        select(func.max(UserSession.last_seen_at)).where(UserSession.user_id == User.id).correlate(User)
    ).scalar_subquery()
    factor = select(TotpDevice.confirmed_at).where(TotpDevice.user_id == User.id).correlate(User).scalar_subquery()
    return (
        select(User, Membership, seen, factor)
        .join(Membership, Membership.user_id == User.id)
        .where(Membership.tenant_id == tenant_id)
    )


def _member(user: User, membership: Membership, seen_at: datetime | None, factor_at: datetime | None) -> Member:
    return Member(
        user_id=user.id,
        name=user.name,
        login=user.login,
        role=membership.role,
        since_at=membership.created_at,
        last_seen_at=seen_at,
        has_second_factor=factor_at is not None,
        is_disabled=user.is_disabled,
    )
