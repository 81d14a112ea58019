"""Links that let someone in once: the token is derived from the row's id and a key outside the database.

A copy of the database therefore opens nothing, and whoever sends the mail computes the link when it leaves. What is wrong with a
link (forged, used, withdrawn, too old) is never told apart: `LinkRefused` is the one answer.
"""

import base64
import hashlib
import hmac
import re
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.access_tables import AccessLink
from billing.accounts.errors import LinkRefused
from billing.storage import locks

INVITATION, RESET = "invitation", "reset"

_TOKEN = re.compile(r"((?:lnk|rcp)_[0-9a-hjkmnp-tv-z]{26})\.([A-Za-z0-9_-]{43})")


def make_token(link_id: str, *, key: bytes) -> str:
    """What stands in the URL: the id and its HMAC-SHA256 under the portal's link key, safe in a path."""
    return f"{link_id}.{_mac(link_id, key)}"


def read_token(token: str, *, key: bytes) -> str:
    """The id that a token was made for, compared in constant time. Raises LinkRefused for any other text."""
    match = _TOKEN.fullmatch(token)
    if match is None or not hmac.compare_digest(match[2], _mac(match[1], key)):
        raise LinkRefused()
    return match[1]


def get_open(session: Session, token: str, *, key: bytes, purpose: str, now: datetime) -> AccessLink:
    """The link of that token while it can be used. Raises LinkRefused for every other one, whatever the cause."""
    link = session.get(AccessLink, read_token(token, key=key))
    if link is None or link.purpose != purpose or not is_open(link, now=now):
        raise LinkRefused()
    return link


def take(session: Session, token: str, *, key: bytes, purpose: str, now: datetime) -> AccessLink:
    """As `get_open`, and used from now on. Locks the login that it was sent to, so that two tries at once use it once."""
    found = get_open(session, token, key=key, purpose=purpose, now=now)
    lock(session, found.login)
    session.refresh(found)
    if not is_open(found, now=now):
        raise LinkRefused()
    found.used_at = now
    session.flush()  # nobody may find it open any more
    return found


def is_open(link: AccessLink, *, now: datetime) -> bool:
    """Whether the link still lets someone in."""
    return link.used_at is None and link.revoked_at is None and now < link.expires_at


def lock(session: Session, login: str) -> None:
    """Let everything that concerns the links of one login wait for each other until the transaction ends."""
    locks.take(session, "access_links:" + hashlib.sha256(login.encode()).hexdigest())


def list_open(
    session: Session, *, purpose: str, now: datetime, login: str | None = None, tenant_id: str | None = None
) -> list[AccessLink]:
    """Links of that purpose that still let someone in, newest first; of one login, of one tenant, or of nobody's tenant (staff)."""
    wanted = select(AccessLink).where(
        AccessLink.purpose == purpose,
        AccessLink.used_at.is_(None),
        AccessLink.revoked_at.is_(None),
        AccessLink.expires_at > now,
        AccessLink.tenant_id == tenant_id if tenant_id is not None else AccessLink.tenant_id.is_(None),
    )
    if login is not None:
        wanted = wanted.where(AccessLink.login == login)
    return list(session.scalars(wanted.order_by(AccessLink.id.desc())))


def _mac(link_id: str, key: bytes) -> str:
    digest = hmac.new(key, link_id.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
