"""People who sign in: making them, checking and changing their password, giving them a role in a tenant."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import attempts, changes, names, passwords, permissions, sessions
from billing.accounts.errors import LoginTaken
from billing.accounts.passwords import DEFAULT_COST, Cost
from billing.accounts.tables import Membership, Tenant, User
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks

LOCALES = ("en", "de", "fr", "ja")


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """The answer to a try: the person's id, or None; `is_slowed` when it was not even looked at, for too many failures."""

    user_id: str | None
    is_slowed: bool = False


def create_user(
    session: Session,
    *,
    now: datetime,
    login: str,
    name: str,
    password: str,
    staff_role: str | None = None,
    actor: str = "system",
    cost: Cost = DEFAULT_COST,
) -> User:
    """A person who signs in with `login` (an e-mail address, kept in lower case). Raises LoginTaken, Invalid."""
    login = names.require_email(login, "login")
    if staff_role is not None and staff_role not in permissions.STAFF_ROLES:
        raise Invalid(field="staff_role", value=names.shown(staff_role), reason="unknown_role")
    if find_user_by_login(session, login) is not None:
        raise LoginTaken(login=login)
    user = User(
        id=new_id("usr"),
        login=login,
        name=names.require_name(name),
        password_hash=passwords.make_hash(passwords.require_password(password, login=login, name=name), cost),
        staff_role=staff_role,
        created_at=now,
    )
    session.add(user)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="user.create",
        subject_type="user",
        subject_id=user.id,
        facts={"staff_role": staff_role},
    )
    session.flush()  # memberships refer to it
    return user


def try_sign_in(
    session: Session, login: str, password: str, *, now: datetime, address: str, cost: Cost = DEFAULT_COST
) -> SignIn:
    """Check a login and password from a network address. Never raises for what was typed: the caller commits, then answers.

    A failure is counted per login and per address; past the limits of `attempts` nothing is compared, not even the right
    password. An unknown, disabled or mistyped login costs the same time and gets the same answer as a wrong password.
    """
    login = _clean(login)
    keys = attempts.buckets(login, address)
    return _try(session, keys, lambda: find_user_by_login(session, login), password, now=now, cost=cost)


def try_password(
    session: Session, *, user_id: str, password: str, now: datetime, address: str, cost: Cost = DEFAULT_COST
) -> SignIn:
    """Check the password of somebody who is signed in, as `try_sign_in` does; failures are counted per person and address."""
    keys = attempts.buckets_of_person("password", user_id, address)
    return _try(session, keys, lambda: session.get(User, user_id), password, now=now, cost=cost)


def change_password(
    session: Session,
    *,
    user_id: str,
    password: str,
    now: datetime,
    actor: str | None = None,
    except_session_id: str | None = None,
    cost: Cost = DEFAULT_COST,
) -> None:
    """Give a person a new password: every sign-in but `except_session_id` ends, and they are told by e-mail.

    Whoever calls has checked the old password or a link sent to them. `actor`: None for the person. Raises Invalid, NotFound.
    """
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(user_id=user_id)
    wanted = passwords.require_password(password, login=user.login, name=user.name)
    user.password_hash = passwords.make_hash(wanted, cost)
    user.password_changed_at = now
    sessions.end_all(session, user_id=user_id, now=now, by="password_change", except_id=except_session_id, actor=actor)
    changes.record(session, now=now, user_id=user_id, what="password", act="user.password", actor=actor)
    session.flush()  # the old one is worth nothing from here


def change_profile(session: Session, *, user_id: str, name: str, locale: str | None, now: datetime) -> None:
    """A person's shown name, and how numbers and dates are written for them (None: as their browser asks). Raises Invalid, NotFound."""
    user = session.get(User, user_id)
    if user is None:
        raise NotFound(user_id=user_id)
    if locale is not None and locale not in LOCALES:
        raise Invalid(field="locale", value=names.shown(locale), reason="unknown_locale")
    user.name, user.locale = names.require_name(name), locale
    audit.record(
        session,
        now=now,
        actor=user_id,
        act="user.profile",
        subject_type="user",
        subject_id=user_id,
        facts={"locale": locale},
    )
    session.flush()  # the next page greets by it


def mark_of_password(user: User) -> str:
    """Changes with the password and says nothing about it: what began before the change can be told from what began after."""
    return hashlib.sha256(user.password_hash.encode()).hexdigest()[:16]


def find_user(session: Session, user_id: str) -> User | None:
    """The person of that id, or None."""
    return session.get(User, user_id) if names.is_safe(user_id) else None


def find_user_by_login(session: Session, login: str) -> User | None:
    """The person who signs in with that address, or None; also for a text that could be no address."""
    login = _clean(login)
    return session.scalar(select(User).where(User.login == login)) if login else None


def grant_membership(
    session: Session, *, user_id: str, tenant_id: str, role: str, now: datetime, actor: str = "system"
) -> Membership:
    """Give a person a role in a tenant, in place of the one they had there. Raises NotFound, Invalid(unknown_role)."""
    if role not in permissions.MEMBER_ROLES:
        raise Invalid(field="role", value=names.shown(role), reason="unknown_role")
    if session.get(User, user_id) is None or session.get(Tenant, tenant_id) is None:
        raise NotFound(user_id=user_id, tenant_id=tenant_id)
    membership = session.get(Membership, (user_id, tenant_id))
    if membership is None:
        membership = Membership(user_id=user_id, tenant_id=tenant_id, role=role, created_at=now)
        session.add(membership)
    membership.role = role
    audit.record(
        session,
        now=now,
        actor=actor,
        act="membership.grant",
        subject_type="user",
        subject_id=user_id,
        facts={"tenant_id": tenant_id, "role": role},
    )
    session.flush()  # pages of this person are read from it
    return membership


def _clean(login: str) -> str:
    try:
        return names.require_email(login, "login")
    except Invalid:
        return ""


def _try(
    session: Session,
    keys: tuple[str, str],
    find: Callable[[], User | None],
    password: str,
    *,
    now: datetime,
    cost: Cost,
) -> SignIn:
    locks.take(session, *keys)  # many tries at once would all see the same count
    if attempts.is_slowed(session, keys, now=now):
        return SignIn(user_id=None, is_slowed=True)
    user = find()
    matches = passwords.is_match(user.password_hash if user is not None else None, password, cost)
    if user is None or user.is_disabled or not matches:
        attempts.record_failure(session, keys, now=now)
        return SignIn(user_id=None)
    attempts.forget(session, keys[0])
    if passwords.needs_rehash(user.password_hash, cost):
        user.password_hash = passwords.make_hash(password, cost)
    session.flush()  # a new hash belongs to this act
    return SignIn(user_id=user.id)
