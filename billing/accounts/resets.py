"""Forgotten passwords: a link by e-mail, good for an hour and once; a new one ends the older.

Asking does the same work and gives the same answer whether or not there is such a person, so that nobody learns who has an account.
The link only changes the password: whoever signs in with a second step still needs it.
"""

import hashlib
from contextlib import suppress
from datetime import datetime, timedelta

from sqlalchemy import update
from sqlalchemy.orm import Session

from billing.accounts import attempts, links, names, users
from billing.accounts.access_tables import AccessLink
from billing.accounts.errors import LinkRefused
from billing.accounts.passwords import DEFAULT_COST, Cost
from billing.kernel.errors import Invalid
from billing.kernel.ids import new_id
from billing.storage import audit, outbox
from billing.storage.limits import Policy

LIFE = timedelta(minutes=60)
TOPIC = "access.reset"

# Asked for one address from wherever; the person gets at most so many mails. And from one network, whatever the addresses.
PER_LOGIN = Policy(name="reset-login", limit=5, window_s=3_600)
PER_ADDRESS = Policy(name="reset-address", limit=30, window_s=3_600)


class _Nobody(Exception):
    """Takes back what was written for an address that nobody signs in with."""


def ask(session: Session, *, login: str, now: datetime) -> None:
    """Send a link to whoever signs in with that address, if anybody does. Never raises for what was typed, never says.

    For an unknown or disabled person the same rows are written and taken back; what stays in both cases is an audit row that names
    the address by its hash. Locks the address.
    """
    try:
        login = names.require_email(login, "login")
    except Invalid:
        login = ""
    links.lock(session, login)
    user = users.find_user_by_login(session, login)
    is_known = user is not None and not user.is_disabled
    user_id = user.id if user is not None else None
    link = AccessLink(
        id=new_id("lnk"),
        purpose=links.RESET,
        login=login,
        user_id=user_id,
        created_by=user_id or "nobody",
        created_at=now,
        expires_at=now + LIFE,
    )
    with suppress(_Nobody), session.begin_nested():
        _end_older(session, login, now=now)
        session.add(link)
        session.flush()  # the mail's row names it
        payload = {"link_id": link.id, "login": login}
        outbox.enqueue(session, now=now, topic=TOPIC, dedup_key=f"{TOPIC}:{link.id}", payload=payload)
        if not is_known:
            raise _Nobody
    digest = hashlib.sha256(login.encode()).hexdigest()
    audit.record(session, now=now, actor="anonymous", act="reset.ask", subject_type="login", subject_id=digest)
    session.flush()  # in both cases: a commit that writes


def read(session: Session, token: str, *, key: bytes, now: datetime) -> str:
    """The address whose password the link changes. Raises LinkRefused."""
    return links.get_open(session, token, key=key, purpose=links.RESET, now=now).login


def use(session: Session, token: str, *, key: bytes, now: datetime, password: str, cost: Cost = DEFAULT_COST) -> None:
    """Give the person the new password; all their sign-ins end, and failed tries at the old one are forgiven.

    Raises LinkRefused, and Invalid for the password (the link stays good).
    """
    link = links.take(session, token, key=key, purpose=links.RESET, now=now)
    user = users.find_user(session, link.user_id or "")
    if user is None or user.is_disabled or user.login != link.login:
        raise LinkRefused()
    users.change_password(session, user_id=user.id, password=password, now=now, cost=cost)
    attempts.forget(session, attempts.buckets(user.login, "")[0])
    audit.record(session, now=now, actor=user.id, act="reset.use", subject_type="access_link", subject_id=link.id)
    _end_older(session, link.login, now=now)


def _end_older(session: Session, login: str, *, now: datetime) -> None:
    session.execute(
        update(AccessLink)
        .where(
            AccessLink.purpose == links.RESET,
            AccessLink.login == login,
            AccessLink.used_at.is_(None),
            AccessLink.revoked_at.is_(None),
        )
        .values(revoked_at=now)
    )
