"""Whether this installation may take traffic: schema, guards, walls, roles. Each fact has a name and a sentence."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import schema
from billing.kernel.clock import to_rfc3339
from billing.ledger import roots
from billing.storage import guards, migrate, walls

_SIGNED_WITHIN = timedelta(hours=3)  # the job signs each hour


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One thing that must hold before traffic is taken."""

    name: str
    holds: bool
    sentence: str


def facts(session: Session) -> list[Fact]:
    """Look at the database as the web role sees it. Raises what the database raises when it does not answer."""
    return [_migrations(session), _guards(session), _walls(session), _roles(session)]


def root(session: Session, *, now: datetime) -> Fact:
    """How old the newest signed root is, and whether transactions wait for one longer than they should.

    It is told and does not decide: traffic may be taken while nothing is signed, but a chain cannot show that its tail was cut.
    """
    newest = roots.find_newest(session)
    if newest is not None and now - newest.signed_at <= _SIGNED_WITHIN:
        return Fact(name="root", holds=True, sentence=f"root {newest.seq} was signed at {to_rfc3339(newest.signed_at)}")
    posted = int(session.scalar(select(func.sum(AccountHead.chain_seq))) or 0)
    waiting = posted - (newest.transaction_count if newest is not None else 0)
    if newest is None:
        sentence = f"nothing was ever signed, unsigned transactions: {waiting}" if waiting else "nothing is posted yet"
    else:
        since = f"root {newest.seq} was signed at {to_rfc3339(newest.signed_at)}"
        sentence = f"{since}, unsigned transactions: {waiting}" if waiting else f"{since}, and nothing was posted since"
    return Fact(name="root", holds=not waiting, sentence=sentence)


def _migrations(session: Session) -> Fact:
    found = session.execute(text("SELECT version_num FROM alembic_version")).scalar()
    expected = migrate.head_revision()
    return Fact(
        name="migrations",
        holds=found == expected,
        sentence=f"database at revision {found}, the code expects {expected}",
    )


def _guards(session: Session) -> Fact:
    missing = guards.differences(session.connection(), schema.metadata)
    sentence = f"missing or altered: {', '.join(missing[:5])}" if missing else "every guard is as it must be"
    return Fact(name="guards", holds=not missing, sentence=sentence)


def _walls(session: Session) -> Fact:
    """On PostgreSQL the role of requests is held to one tenant's rows, table by table."""
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    role = "" if is_sqlite else str(session.execute(text("SELECT current_user")).scalar())
    down = walls.differences(session.connection(), schema.metadata, web_role=role)
    sentence = f"not held apart: {', '.join(down[:5])}" if down else "every tenant's rows are held apart"
    if is_sqlite:
        sentence = "SQLite holds no rows apart; the queries' own conditions do"
    return Fact(name="walls", holds=not down, sentence=sentence)


def _roles(session: Session) -> Fact:
    """On PostgreSQL the web role must not be a superuser, whom no guard stops."""
    if session.get_bind().dialect.name == "sqlite":
        return Fact(
            name="roles",
            holds=True,
            sentence="SQLite knows no roles; whoever holds the file is stopped by the chain only",
        )
    row = session.execute(text("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")).one()
    owner = session.execute(text("SELECT tableowner FROM pg_tables WHERE tablename = 'ledger_entries'")).scalar()
    if row.rolsuper:
        return Fact(name="roles", holds=False, sentence=f"{row.current_user} is a superuser, whom no guard stops")
    if owner == row.current_user:
        return Fact(name="roles", holds=True, sentence=f"{owner} owns the tables it serves: three roles are safer")
    return Fact(name="roles", holds=True, sentence=f"serves as {row.current_user}, tables belong to {owner}")
