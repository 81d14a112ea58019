"""Sign-ins of browsers, kept on the server. The browser holds a random token of 256 bits; the row says who, since when, until when.

Only the token's SHA-256 is stored, so a copy of the database signs nobody in. A sign-in ends by sign-out, revocation, a change of
how the person signs in, idleness or age, whichever comes first, and ended it is for every process at once: each request reads it.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from billing.accounts import changes
from billing.accounts.access_tables import UserSession
from billing.accounts.tables import User
from billing.kernel.errors import NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

FRESH_FOR = timedelta(
    minutes=10
)  # how long after proving who they are a person may act over money without being asked again
SEEN_EVERY = timedelta(minutes=1)
KEPT_FOR = timedelta(days=90)
_AGENT_MAX = 300


@dataclass(frozen=True, kw_only=True)
class Limits:
    """After how many seconds without a request, and after how long in all, a sign-in ends."""

    idle_s: int
    life: timedelta


OF_TENANTS = Limits(idle_s=30 * 60, life=timedelta(hours=12))
OF_STAFF = Limits(idle_s=15 * 60, life=timedelta(hours=8))


@dataclass(frozen=True, kw_only=True)
class Standing:
    """A sign-in in force."""

    id: str
    user_id: str
    method: str
    created_at: datetime
    verified_at: datetime
    last_seen_at: datetime
    address: str
    agent: str

    def is_fresh(self, now: datetime) -> bool:
        """Whether the person proved who they are within the last ten minutes."""
        return now - self.verified_at < FRESH_FOR

    def is_due(self, now: datetime) -> bool:
        """Whether `seen` has something to write: once a minute at most, so that reading pages does not become writing."""
        return now - self.last_seen_at >= SEEN_EVERY


def start(session: Session, *, user_id: str, method: str, now: datetime, address: str, agent: str) -> str:
    """Sign a person in; returns the browser's token, which is known to nobody else. Raises NotFound for a disabled person.

    `method`: "password", "password+totp" or "password+recovery_code". The caller has checked it.
    """
    user = session.get(User, user_id)
    if user is None or user.is_disabled:
        raise NotFound(user_id=user_id)
    limits, token = _limits_of(user), _new_token()
    row = UserSession(
        id=new_id("ses"),
        token_hash=_hash(token),
        user_id=user_id,
        method=method,
        created_at=now,
        verified_at=now,
        last_seen_at=now,
        idle_limit_s=limits.idle_s,
        expires_at=now + limits.life,
        address=_plain(address),
        agent=_plain(agent),
    )
    session.add(row)
    _record(session, now=now, user_id=user_id, act="user.sign_in", facts={"session_id": row.id, "method": method})
    session.flush()  # the token must work as soon as the transaction ends
    return token


def find(session: Session, token: str, *, now: datetime) -> Standing | None:
    """The sign-in of that token while it is in force, else None: ended, idle, too old, unknown, or the person disabled.

    Limits are those of the person's role of today: whoever became staff since is held to the staff's.
    """
    found = session.execute(
        select(UserSession, User)
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.token_hash == _hash(token), UserSession.ended_at.is_(None))
    ).first()
    if found is None:
        return None
    row, user = found
    return _standing(row) if not user.is_disabled and _is_in_time(row, user, now) else None


def find_owner(session: Session, token: str) -> str | None:
    """Whose sign-in it was, also when it has ended; None for a token that is not known (any more)."""
    return session.scalar(select(UserSession.user_id).where(UserSession.token_hash == _hash(token)))


def seen(session: Session, *, session_id: str, now: datetime) -> None:
    """Note that the person is there, to the minute."""
    session.execute(
        update(UserSession)
        .where(
            UserSession.id == session_id,
            UserSession.ended_at.is_(None),
            UserSession.last_seen_at <= now - SEEN_EVERY,
        )
        .values(last_seen_at=now)
    )


def renew(session: Session, *, session_id: str, now: datetime, method: str | None = None) -> str:
    """A new token in place of the old one, after the person proved again who they are; `method` where it became a stronger one.

    Raises NotFound when the sign-in ended meanwhile.
    """
    token = _new_token()
    values: dict[str, Any] = {"token_hash": _hash(token), "verified_at": now, "last_seen_at": now}
    if method is not None:
        values["method"] = method
    row = session.execute(
        update(UserSession)
        .where(UserSession.id == session_id, UserSession.ended_at.is_(None))
        .values(values)
        .returning(UserSession.user_id)
    ).first()
    if row is None:
        raise NotFound(session_id=session_id)
    _record(session, now=now, user_id=row.user_id, act="user.verify", facts={"session_id": session_id})
    return token


def end(session: Session, token: str, *, now: datetime) -> bool:
    """Sign out; False where there was nothing to end."""
    return bool(_end(session, UserSession.token_hash == _hash(token), now=now, by="sign_out", actor=None))


def end_one(session: Session, *, user_id: str, session_id: str, now: datetime) -> None:
    """End one of a person's own sign-ins. Raises NotFound for another person's; one that has ended already is no fault."""
    if session.scalar(select(UserSession.user_id).where(UserSession.id == session_id)) != user_id:
        raise NotFound(session_id=session_id)
    _end(session, UserSession.id == session_id, now=now, by="revoked", actor=None)


def end_all(
    session: Session,
    *,
    user_id: str,
    now: datetime,
    by: str,
    except_id: str | None = None,
    actor: str | None = None,
) -> int:
    """End all of a person's sign-ins but `except_id`; returns how many. `by` says why: revoked, password_change, factor_change."""
    mine = UserSession.user_id == user_id
    wanted = mine if except_id is None else mine & (UserSession.id != except_id)
    return _end(session, wanted, now=now, by=by, actor=actor)


def revoke_others(session: Session, *, user_id: str, now: datetime, except_id: str) -> int:
    """End all sign-ins but this one because the person asked, and tell them by e-mail; returns how many."""
    count = end_all(session, user_id=user_id, now=now, by="revoked", except_id=except_id)
    if count:
        changes.record(
            session,
            now=now,
            user_id=user_id,
            what="sessions_ended",
            act="user.sessions_ended",
            facts={"count": count},
        )
    return count


def list_standing(session: Session, *, user_id: str, now: datetime) -> list[Standing]:
    """A person's sign-ins in force, last seen first."""
    rows = session.execute(
        select(UserSession, User)
        .join(User, User.id == UserSession.user_id)
        .where(UserSession.user_id == user_id, UserSession.ended_at.is_(None))
        .order_by(UserSession.last_seen_at.desc(), UserSession.id.desc())
    ).all()
    return [_standing(row) for row, user in rows if _is_in_time(row, user, now)]


def sweep(session: Session, *, now: datetime) -> int:
    """Note which sign-ins ran out by idleness or age, and delete those that ended 90 days ago. Counts rows."""
    open_rows = UserSession.ended_at.is_(None)
    count = _rows(session, update(UserSession).where(open_rows, UserSession.expires_at <= now), now, "expired")
    for idle_s in session.scalars(select(UserSession.idle_limit_s).where(open_rows).distinct()).all():
        idle = UserSession.last_seen_at <= now - timedelta(seconds=idle_s)
        wanted = update(UserSession).where(open_rows, UserSession.idle_limit_s == idle_s, idle)
        count += _rows(session, wanted, now, "idle")
    gone = session.execute(delete(UserSession).where(UserSession.ended_at < now - KEPT_FOR))
    return count + int(getattr(gone, "rowcount", 0))


def _end(session: Session, wanted: Any, *, now: datetime, by: str, actor: str | None) -> int:
    ended = session.execute(
        update(UserSession)
        .where(wanted, UserSession.ended_at.is_(None))
        .values(ended_at=now, ended_by=by)
        .returning(UserSession.id, UserSession.user_id)
    ).all()
    act = "user.sign_out" if by == "sign_out" else "user.session_end"
    for session_id, user_id in ended:
        _record(session, now=now, user_id=user_id, act=act, facts={"session_id": session_id, "by": by}, actor=actor)
    return len(ended)


def _rows(session: Session, statement: Any, now: datetime, by: str) -> int:
    result = session.execute(statement.values(ended_at=now, ended_by=by).execution_options(synchronize_session=False))
    return int(getattr(result, "rowcount", 0))


def _record(
    session: Session, *, now: datetime, user_id: str, act: str, facts: dict[str, Any], actor: str | None = None
) -> None:
    audit.record(
        session, now=now, actor=actor or user_id, act=act, subject_type="user", subject_id=user_id, facts=facts
    )


def _is_in_time(row: UserSession, user: User, now: datetime) -> bool:
    limits = _limits_of(user)
    idle = timedelta(seconds=min(row.idle_limit_s, limits.idle_s))
    return now < row.last_seen_at + idle and now < min(row.expires_at, row.created_at + limits.life)


def _limits_of(user: User) -> Limits:
    return OF_STAFF if user.staff_role is not None else OF_TENANTS


def _standing(row: UserSession) -> Standing:
    return Standing(
        id=row.id,
        user_id=row.user_id,
        method=row.method,
        created_at=row.created_at,
        verified_at=row.verified_at,
        last_seen_at=row.last_seen_at,
        address=row.address,
        agent=row.agent,
    )


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(text: str) -> str:
    """What a browser says of itself, cut to printable ASCII of a bounded length."""
    return "".join(character for character in text if character.isascii() and character.isprintable())[:_AGENT_MAX]
