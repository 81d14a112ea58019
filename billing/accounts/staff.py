"""The operator's own people: their roles, and whether they may sign in.

Laws of this module: at least one administrator who can sign in remains; nobody changes their own rights. Every change waits for the
one before (`staff`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import changes, names, permissions, sessions
from billing.accounts.access_tables import TotpDevice, UserSession
from billing.accounts.errors import LastAdmin, OwnAccess
from billing.accounts.tables import User
from billing.kernel.errors import Invalid, NotFound
from billing.storage import audit, locks


@dataclass(frozen=True, kw_only=True)
class StaffMember:
    """One operator; `open_sessions` counts their sign-ins in force."""

    user_id: str
    name: str
    login: str
    role: str
    since_at: datetime
    last_seen_at: datetime | None
    has_second_factor: bool
    is_disabled: bool
    open_sessions: int


def list_staff(session: Session, *, now: datetime) -> list[StaffMember]:
    """Everybody with a staff role: those who may sign in first, then by name."""
    found = [_member(*row) for row in session.execute(_staff(now)).all()]
    return sorted(found, key=lambda member: (member.is_disabled, member.name.casefold(), member.user_id))


def get_staff(session: Session, user_id: str, *, now: datetime) -> StaffMember:
    """One operator. Raises NotFound, also for somebody who is no staff."""
    row = session.execute(_staff(now).where(User.id == user_id)).first() if names.is_safe(user_id) else None
    if row is None:
        raise NotFound(user_id=names.shown(user_id))
    return _member(*row)


def change_role(session: Session, *, now: datetime, user_id: str, role: str | None, actor: str) -> bool:
    """Give an operator another role, or with None take them off the staff; False when nothing changes. Their sign-ins end.

    Raises NotFound, Invalid(unknown_role), OwnAccess, LastAdmin.
    """
    if role is not None and role not in permissions.STAFF_ROLES:
        raise Invalid(field="role", value=names.shown(role), reason="unknown_role")
    user = _lock(session, user_id, actor)
    if user.staff_role == role:
        return False
    before, user.staff_role = user.staff_role, role
    session.flush()  # counted below
    if before == "admin":
        _require_admin(session)
    sessions.end_all(session, user_id=user_id, now=now, by="revoked", actor=actor)
    facts: dict[str, Any] = {"role": role, "role_before": before}
    changes.record(session, now=now, user_id=user_id, what="role", act="staff.role", actor=actor, facts=facts)
    return True


def disable(session: Session, *, now: datetime, user_id: str, actor: str) -> bool:
    """Keep an operator from signing in, and end their sign-ins; False when it is so already. Raises as `change_role` does."""
    user = _lock(session, user_id, actor)
    if user.is_disabled:
        return False
    set_disabled(session, now=now, user=user, is_disabled=True, actor=actor)
    return True


def enable(session: Session, *, now: datetime, user_id: str, actor: str) -> bool:
    """Let a disabled operator sign in again; False when they may already. Raises NotFound, OwnAccess."""
    user = _lock(session, user_id, actor)
    if not user.is_disabled:
        return False
    set_disabled(session, now=now, user=user, is_disabled=False, actor=actor)
    return True


def end_sessions(session: Session, *, now: datetime, user_id: str, actor: str) -> int:
    """End an operator's sign-ins in all browsers; how many there were. Raises NotFound."""
    get_staff(session, user_id, now=now)
    count = sessions.end_all(session, user_id=user_id, now=now, by="revoked", actor=actor)
    if count:
        changes.record(
            session,
            now=now,
            user_id=user_id,
            what="sessions_ended",
            act="user.sessions_ended",
            actor=actor,
            facts={"count": count},
        )
    return count


def set_disabled(session: Session, *, now: datetime, user: User, is_disabled: bool, actor: str) -> None:
    """Disable or enable anybody, staff or not, as the command line does. Raises LastAdmin. The caller holds `staff` for operators."""
    user.is_disabled = is_disabled
    session.flush()  # counted below
    if is_disabled and user.staff_role == "admin":
        _require_admin(session)
    if not is_disabled:
        audit.record(session, now=now, actor=actor, act="user.enable", subject_type="user", subject_id=user.id)
        return
    sessions.end_all(session, user_id=user.id, now=now, by="revoked", actor=actor)
    changes.record(session, now=now, user_id=user.id, what="disabled", act="user.disable", actor=actor)


def lock(session: Session) -> None:
    """Let changes of the staff wait for each other until the transaction ends."""
    locks.take(session, "staff")


def _lock(session: Session, user_id: str, actor: str) -> User:
    lock(session)
    user = session.get(User, user_id, populate_existing=True) if names.is_safe(user_id) else None
    if user is None or user.staff_role is None:
        raise NotFound(user_id=names.shown(user_id))
    if user.id == actor:
        raise OwnAccess()
    return user


def _require_admin(session: Session) -> None:
    admins = select(func.count()).select_from(User).where(User.staff_role == "admin", User.is_disabled.in_([False]))
    if not session.execute(admins).scalar_one():
        raise LastAdmin()


def _staff(now: datetime) -> Select[Any, Any, Any, Any]:
    """Rows (user, last seen, when the second factor came into force, sign-ins in force)."""
    idle = timedelta(seconds=sessions.OF_STAFF.idle_s)
    mine = select(UserSession.id).where(UserSession.user_id == User.id).correlate(User)
    seen = mine.with_only_columns(func.max(UserSession.last_seen_at)).scalar_subquery()
    standing = mine.where(
        UserSession.ended_at.is_(None), UserSession.expires_at > now, UserSession.last_seen_at > now - idle
    )
    count = standing.with_only_columns(func.count()).scalar_subquery()
    factor = select(TotpDevice.confirmed_at).where(TotpDevice.user_id == User.id).correlate(User).scalar_subquery()
    return select(User, seen, factor, count).where(User.staff_role.is_not(None))


def _member(user: User, seen_at: datetime | None, factor_at: datetime | None, open_sessions: int) -> StaffMember:
    return StaffMember(
        user_id=user.id,
        name=user.name,
        login=user.login,
        role=user.staff_role or "",
        since_at=user.created_at,
        last_seen_at=seen_at,
        has_second_factor=factor_at is not None,
        is_disabled=user.is_disabled,
        open_sessions=open_sessions,
    )
