"""What one request set in motion, or what happened to one thing: every trace of an id, in order of time (AS4)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table, or_, select
from sqlalchemy.orm import Session

from billing.accounts import people
from billing.assurance import schema

_LIMIT = 200
# (kind, table, column of the instant, columns that say what it was)
_TRACES = (
    ("ledger_transaction", "ledger_transactions", "recorded_at", ("type", "source_type", "source_id")),
    ("payment_session", "payment_sessions", "created_at", ("purpose", "state", "provider_session_id")),
    ("refund", "refund_requests", "requested_at", ("mode", "state", "provider_refund_id")),
    ("notice", "outbox_messages", "created_at", ("topic",)),
    ("work", "works", "requested_at", ("kind", "state")),
)


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One thing that carries the id. `act` is set for acts of the audit log, which also name who acted."""

    at: datetime
    kind: str
    id: str
    act: str | None
    actor: str | None
    actor_name: str | None
    words: str
    account_id: str | None
    correlation_id: str | None


def trace(session: Session, text: str) -> list[Trace]:
    """Everything that carries `text` as its correlation id, and every act on the thing of that id; oldest first, at most 200 of a kind."""
    found = [*_acts(session, text), *_rows(session, text), *_runs(session, text)]
    named = people.names_of(session, {each.actor for each in found})
    found = [_named(each, named) for each in found]
    return sorted(found, key=lambda each: (each.at, each.id))


def _acts(session: Session, text: str) -> Iterator[Trace]:
    log = _table("audit_log")
    query = select(log).where(or_(log.c.correlation_id == text, log.c.subject_id == text)).order_by(log.c.id)
    for row in session.execute(query.limit(_LIMIT)):
        yield Trace(
            at=row.recorded_at,
            kind=row.subject_type,
            id=row.subject_id,
            act=row.act,
            actor=row.actor,
            actor_name=None,
            words=", ".join(f"{name.replace('_', ' ')} {value}" for name, value in row.facts.items()),
            account_id=row.billing_account_id,
            correlation_id=row.correlation_id,
        )


def _rows(session: Session, text: str) -> Iterator[Trace]:
    for kind, name, at, columns in _TRACES:
        table = _table(name)
        account: Any = table.c.billing_account_id if "billing_account_id" in table.c else None
        wanted = select(table).where(table.c.correlation_id == text).order_by(table.c.id).limit(_LIMIT)
        for row in session.execute(wanted).mappings():
            said = [str(row[column]).replace("_", " ") for column in columns if row[column]]
            yield Trace(
                at=row[at],
                kind=kind,
                id=row["id"],
                act=None,
                actor=None,
                actor_name=None,
                words=", ".join(said),
                account_id=row["billing_account_id"] if account is not None else None,
                correlation_id=text,
            )


def _runs(session: Session, text: str) -> Iterator[Trace]:
    """A job's run gives its own id to everything it does."""
    runs = _table("job_runs")
    row = session.execute(select(runs).where(runs.c.id == text)).first()
    if row is not None:
        yield Trace(
            at=row.started_at,
            kind="job_run",
            id=row.id,
            act=None,
            actor=None,
            actor_name=None,
            words=f"{row.job}: {row.result or 'running'}, {row.done_count} done",
            account_id=None,
            correlation_id=row.id,
        )


def _named(each: Trace, named: dict[str, str]) -> Trace:
    return Trace(**{**vars(each), "actor_name": named.get(each.actor or "")})


def _table(name: str) -> Table:
    return schema.metadata.tables[name]
