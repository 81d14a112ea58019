"""Invitations: somebody is asked by e-mail to join a tenant's team or the staff, and joins by the link within seven days.

Whoever has an account already signs in first and only gains the role; for everybody else the link makes the account. A role that the
person has by then stays as it is: an older invitation never takes a right away.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import links, names, people, permissions, users
from billing.accounts.access_tables import AccessLink
from billing.accounts.errors import AlreadyMember, InvitationOpen, LinkForOther
from billing.accounts.passwords import DEFAULT_COST, Cost
from billing.accounts.tables import Membership, Tenant, User
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, outbox
from billing.storage.limits import Policy

LIFE = timedelta(days=7)
TOPIC = "access.invitation"
# Mails that a tenant's owners can have sent to addresses of their choice.
PER_TENANT = Policy(name="invitation", limit=50, window_s=86_400)


@dataclass(frozen=True, kw_only=True)
class InvitationRow:
    """An invitation that waits. `tenant_name` is None and `staff_role` set for one to the staff."""

    id: str
    login: str
    tenant_id: str | None
    tenant_name: str | None
    role: str | None
    staff_role: str | None
    invited_by: str  # in words
    created_at: datetime
    expires_at: datetime
    is_known: bool  # whether somebody signs in with that address already


def invite(
    session: Session,
    *,
    now: datetime,
    login: str,
    actor: str,
    tenant_id: str | None = None,
    role: str | None = None,
    staff_role: str | None = None,
    form_key: str | None = None,
) -> str:
    """Invite an address to a tenant with a role, or to the staff with a staff role; the link's id. The mail leaves by the outbox.

    The same form sent twice is one invitation. Raises Invalid(not_an_address, unknown_role, one_purpose), NotFound for the tenant,
    AlreadyMember, InvitationOpen. Locks the address.
    """
    login = names.require_email(login, "login")
    _require_role(tenant_id, role, staff_role)
    tenant = session.get(Tenant, tenant_id) if tenant_id is not None else None
    if tenant_id is not None and tenant is None:
        raise NotFound(tenant_id=tenant_id)
    links.lock(session, login)
    own_key = f"{actor}:{tenant_id or 'staff'}:{form_key}" if form_key else None
    made = session.scalar(select(AccessLink.id).where(AccessLink.form_key == own_key)) if own_key else None
    if made is not None:
        return made
    user = users.find_user_by_login(session, login)
    if user is not None and _has_role(session, user, tenant_id):
        raise AlreadyMember(login=login)
    if links.list_open(session, purpose=links.INVITATION, now=now, login=login, tenant_id=tenant_id):
        raise InvitationOpen(login=login)
    return _make(
        session,
        AccessLink(
            login=login, tenant_id=tenant_id, role=role, staff_role=staff_role, created_by=actor, form_key=own_key
        ),
        now=now,
    )


def list_open(session: Session, *, now: datetime, tenant_id: str | None) -> list[InvitationRow]:
    """Invitations to that tenant (None: to the staff) that still let somebody in, newest first."""
    found = links.list_open(session, purpose=links.INVITATION, now=now, tenant_id=tenant_id)
    return _rows(session, found)


def get_open(session: Session, *, now: datetime, invitation_id: str, tenant_id: str | None) -> InvitationRow:
    """One of `list_open`. Raises NotFound for every other one."""
    return _rows(session, [_get(session, now=now, invitation_id=invitation_id, tenant_id=tenant_id)])[0]


def send_again(session: Session, *, now: datetime, invitation_id: str, tenant_id: str | None, actor: str) -> str:
    """A new link for seven more days in place of the old one, which stops working; the new id. Raises NotFound."""
    link = _get(session, now=now, invitation_id=invitation_id, tenant_id=tenant_id)
    links.lock(session, link.login)
    session.refresh(link)
    if not links.is_open(link, now=now):
        raise NotFound(invitation_id=invitation_id)
    link.revoked_at = now
    again = AccessLink(
        login=link.login, tenant_id=link.tenant_id, role=link.role, staff_role=link.staff_role, created_by=actor
    )
    return _make(session, again, now=now, replaces=link.id)


def revoke(session: Session, *, now: datetime, invitation_id: str, tenant_id: str | None, actor: str) -> None:
    """Withdraw an invitation: its link stops working. Raises NotFound for one that is not open."""
    link = _get(session, now=now, invitation_id=invitation_id, tenant_id=tenant_id)
    links.lock(session, link.login)
    session.refresh(link)
    if not links.is_open(link, now=now):
        raise NotFound(invitation_id=invitation_id)
    link.revoked_at = now
    _record(session, link, now=now, actor=actor, act="invitation.revoke")
    session.flush()  # the link must not be found open any more


def read(session: Session, token: str, *, key: bytes, now: datetime) -> InvitationRow:
    """What the invitation of that token is to. Raises LinkRefused."""
    return _rows(session, [links.get_open(session, token, key=key, purpose=links.INVITATION, now=now)])[0]


def accept_as_new(
    session: Session, token: str, *, key: bytes, now: datetime, name: str, password: str, cost: Cost = DEFAULT_COST
) -> str:
    """Make the person that was invited, with the role; their user id. Uses the link.

    Raises LinkRefused, Invalid for the name or password (the link stays good), LoginTaken when they exist by now.
    """
    link = links.take(session, token, key=key, purpose=links.INVITATION, now=now)
    user = users.create_user(
        session, now=now, login=link.login, name=name, password=password, actor=f"link:{link.id}", cost=cost
    )
    _grant(session, link, user, now=now)
    return user.id


def accept_as_known(session: Session, token: str, *, key: bytes, now: datetime, user_id: str) -> None:
    """Give the signed-in person the role that they were invited to. Uses the link.

    Raises LinkRefused, and LinkForOther when it was sent to another address (the link stays good).
    """
    link = links.take(session, token, key=key, purpose=links.INVITATION, now=now)
    user = users.find_user(session, user_id)
    if user is None or user.is_disabled or user.login != link.login:
        raise LinkForOther()
    _grant(session, link, user, now=now)


def _require_role(tenant_id: str | None, role: str | None, staff_role: str | None) -> None:
    if (tenant_id is None) == (staff_role is None) or (tenant_id is None) != (role is None):
        raise Invalid(field="role", reason="one_purpose")
    if role is not None and role not in permissions.MEMBER_ROLES:
        raise Invalid(field="role", value=names.shown(role), reason="unknown_role")
    if staff_role is not None and staff_role not in permissions.STAFF_ROLES:
        raise Invalid(field="staff_role", value=names.shown(staff_role), reason="unknown_role")


def _has_role(session: Session, user: User, tenant_id: str | None) -> bool:
    if tenant_id is None:
        return user.staff_role is not None
    return session.get(Membership, (user.id, tenant_id)) is not None


def _make(session: Session, link: AccessLink, *, now: datetime, replaces: str | None = None) -> str:
    link.id, link.purpose = new_id("lnk"), links.INVITATION
    link.created_at, link.expires_at = now, now + LIFE
    session.add(link)
    _record(session, link, now=now, actor=link.created_by, act="invitation.send", replaces=replaces)
    session.flush()  # the mail's row names it
    outbox.enqueue(
        session,
        now=now,
        topic=TOPIC,
        dedup_key=f"{TOPIC}:{link.id}",
        payload={"link_id": link.id, "login": link.login},
    )
    return link.id


def _get(session: Session, *, now: datetime, invitation_id: str, tenant_id: str | None) -> AccessLink:
    link = session.get(AccessLink, invitation_id) if names.is_safe(invitation_id) else None
    if (
        link is None
        or link.purpose != links.INVITATION
        or link.tenant_id != tenant_id
        or not links.is_open(link, now=now)
    ):
        raise NotFound(invitation_id=names.shown(invitation_id))
    return link


def _grant(session: Session, link: AccessLink, user: User, *, now: datetime) -> None:
    link.user_id = user.id
    is_new = not _has_role(session, user, link.tenant_id)
    if is_new and link.tenant_id is not None and link.role is not None:
        users.grant_membership(
            session, user_id=user.id, tenant_id=link.tenant_id, role=link.role, now=now, actor=link.created_by
        )
    elif is_new:
        user.staff_role = link.staff_role
    _record(session, link, now=now, actor=user.id, act="invitation.accept", is_new=is_new)
    session.flush()  # the next request is theirs


def _record(
    session: Session,
    link: AccessLink,
    *,
    now: datetime,
    actor: str,
    act: str,
    replaces: str | None = None,
    is_new: bool | None = None,
) -> None:
    facts: dict[str, object] = {"tenant_id": link.tenant_id, "role": link.role, "staff_role": link.staff_role}
    if replaces is not None:
        facts["replaces"] = replaces
    if is_new is not None:
        facts["is_new"] = is_new
    audit.record(session, now=now, actor=actor, act=act, subject_type="access_link", subject_id=link.id, facts=facts)


def _rows(session: Session, found: list[AccessLink]) -> list[InvitationRow]:
    inviters = people.names_of(session, [link.created_by for link in found])
    tenant_ids = {link.tenant_id for link in found if link.tenant_id is not None}
    tenants = dict(session.execute(select(Tenant.id, Tenant.name).where(Tenant.id.in_(tenant_ids))).all())
    known = set(session.scalars(select(User.login).where(User.login.in_({link.login for link in found}))).all())
    return [
        InvitationRow(
            id=link.id,
            login=link.login,
            tenant_id=link.tenant_id,
            tenant_name=tenants.get(link.tenant_id) if link.tenant_id is not None else None,
            role=link.role,
            staff_role=link.staff_role,
            invited_by=inviters.get(link.created_by, link.created_by),
            created_at=link.created_at,
            expires_at=link.expires_at,
            is_known=link.login in known,
        )
        for link in found
    ]
