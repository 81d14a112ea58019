"""Everybody who signs in, with what they may: the list of the command line."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.access_tables import TotpDevice, UserSession
from billing.accounts.tables import Membership, Tenant, User


@dataclass(frozen=True, kw_only=True)
class Person:
    """One person; `tenants` are (tenant code, role), by code."""

    id: str
    login: str
    name: str
    staff_role: str | None
    tenants: tuple[tuple[str, str], ...]
    is_disabled: bool
    has_second_factor: bool
    last_seen_at: datetime | None
    created_at: datetime


def list_people(session: Session, *, tenant_id: str | None = None, is_staff: bool = False) -> list[Person]:
    """Everybody by login; only the members of a tenant, or only the staff, where that is asked for."""
    wanted = select(User).order_by(User.login)
    if is_staff:
        wanted = wanted.where(User.staff_role.is_not(None))
    if tenant_id is not None:
        members = select(Membership.user_id).where(Membership.tenant_id == tenant_id)
        wanted = wanted.where(User.id.in_(members))
    roles: dict[str, list[tuple[str, str]]] = {}
    granted = select(Membership.user_id, Tenant.code, Membership.role).join(Tenant, Tenant.id == Membership.tenant_id)
    for user_id, code, role in session.execute(granted.order_by(Tenant.code)).all():
        roles.setdefault(user_id, []).append((code, role))
    seen_at = select(UserSession.user_id, func.max(UserSession.last_seen_at)).group_by(UserSession.user_id)
    seen = dict(session.execute(seen_at).all())
    factors = set(session.scalars(select(TotpDevice.user_id).where(TotpDevice.confirmed_at.is_not(None))))
    return [
        Person(
            id=user.id,
            login=user.login,
            name=user.name,
            staff_role=user.staff_role,
            tenants=tuple(roles.get(user.id, ())),
            is_disabled=user.is_disabled,
            has_second_factor=user.id in factors,
            last_seen_at=seen.get(user.id),
            created_at=user.created_at,
        )
        for user in session.scalars(wanted)
    ]
