"""A tenant with people, and operators, as the tests of access need them."""

from datetime import UTC, datetime

from sqlalchemy import select

from billing.accounts import links, users
from billing.accounts.access_tables import AccessLink
from billing.accounts.passwords import Cost
from billing.catalog import onboarding
from billing.storage.database import Database
from billing.storage.tables import AuditRecord, OutboxMessage

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
QUICK = Cost(memory_kib=8, passes=1)
PASSWORD = "correct horse battery"
KEY = b"k" * 32


def tenant(database: Database, code: str = "calla") -> str:
    """The id of a new tenant with one billing account."""
    with database.transaction() as session:
        return str(onboarding.open_account(session, now=NOW, code=code).tenant_id)


def person(
    database: Database, name: str, *, tenant_id: str | None = None, role: str = "owner", staff: str | None = None
) -> str:
    """The id of a new person, name@acme.example, with a role."""
    with database.transaction() as session:
        made = users.create_user(
            session,
            now=NOW,
            login=f"{name}@acme.example",
            name=name.capitalize(),
            password=PASSWORD,
            staff_role=staff,
            cost=QUICK,
        )
        if tenant_id is not None:
            users.grant_membership(session, user_id=made.id, tenant_id=tenant_id, role=role, now=NOW)
    return made.id


def token_of(link_id: str) -> str:
    """What the mail of that link leads to."""
    return links.make_token(link_id, key=KEY)


def newest_link(database: Database) -> AccessLink:
    """The row of the link made last."""
    with database.reading() as session:
        return session.scalars(select(AccessLink).order_by(AccessLink.id.desc())).first()  # type: ignore[return-value]


def acts(database: Database) -> list[str]:
    """What the audit log says was done, oldest first, but for the making of people and accounts."""
    with database.reading() as session:
        rows = session.scalars(select(AuditRecord.act).order_by(AuditRecord.id)).all()
    return [act for act in rows if act.partition(".")[0] not in ("tenant", "account", "subscription", "seller")]


def mails(database: Database, topic: str) -> list[dict[str, object]]:
    """The payloads queued under a topic, oldest first."""
    with database.reading() as session:
        found = select(OutboxMessage.payload).where(OutboxMessage.topic == topic).order_by(OutboxMessage.id)
        return list(session.scalars(found))
