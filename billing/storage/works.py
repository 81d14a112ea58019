"""Long works: something a person asks for that takes longer than a page may. A row holds the question, how far it is, and the answer.

Asking is one act under the form's key. Whoever leads does one at a time (`billing.jobs.works`); one whose process died is begun
again, so a work must bear being begun twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session

from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, correlation
from billing.storage.tables import Work

LOST_AFTER = timedelta(minutes=2)
_FAILURE_MAX = 2_000

Progress = Callable[[int, int | None], None]
"""Told by a work as it goes: done so far, and of how many where that is known."""


@dataclass(frozen=True, kw_only=True)
class WorkRow:
    """One work. `state` is waiting, running, succeeded or failed; `result` is there when it succeeded."""

    id: str
    kind: str
    facts: dict[str, Any]
    requested_by: str
    requested_at: datetime
    state: str
    total_count: int | None
    done_count: int
    started_at: datetime | None
    ended_at: datetime | None
    result: dict[str, Any] | None
    failure: str | None
    correlation_id: str | None

    @property
    def is_ended(self) -> bool:
        """Whether nothing about it will change any more."""
        return self.ended_at is not None


def ask(session: Session, *, now: datetime, kind: str, facts: dict[str, Any], form_key: str, actor: str) -> str:
    """Ask for a work; its id. The same form sent twice is one work. Raises Invalid without a key, Conflict for a key used otherwise."""
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    known = session.scalars(select(Work).where(Work.form_key == form_key)).first()
    if known is not None:
        if (known.kind, known.facts, known.requested_by) != (kind, facts, actor):
            raise Conflict(work_id=known.id, reason="form_key_reused")
        return known.id
    work = Work(
        id=new_id("wrk"),
        kind=kind,
        facts=facts,
        form_key=form_key,
        requested_by=actor,
        requested_at=now,
        state="waiting",
        correlation_id=correlation.current(),
    )
    session.add(work)
    audit.record(
        session, now=now, actor=actor, act="work.ask", subject_type="work", subject_id=work.id, facts={"kind": kind}
    )
    session.flush()  # the form's key must collide here, inside the act
    return work.id


def claim(session: Session, *, now: datetime) -> WorkRow | None:
    """Take the oldest work that waits, or whose process gave no sign of life for two minutes; None when there is none."""
    lost = (Work.state == "running") & (Work.moved_at < now - LOST_AFTER)
    waiting = (
        select(Work)
        .where(or_(Work.state == "waiting", lost))
        .order_by(Work.id)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    work = session.scalars(waiting).first()
    if work is None:
        return None
    work.state, work.started_at, work.moved_at, work.done_count = "running", now, now, 0
    session.flush()  # the claim is what this transaction is for
    return _row(work)


def move(session: Session, *, work_id: str, now: datetime, done: int, total: int | None) -> None:
    """Say how far a running work is."""
    session.execute(
        update(Work)
        .where(Work.id == work_id, Work.state == "running")
        .values(done_count=done, total_count=total, moved_at=now)
    )


def beat(session: Session, *, work_id: str, now: datetime) -> None:
    """A sign of life of a running work."""
    session.execute(update(Work).where(Work.id == work_id, Work.state == "running").values(moved_at=now))


def is_running(session: Session, *, work_id: str) -> bool:
    """Whether the work still goes on, held until the transaction ends: of two processes that did it only the first keeps what it found."""
    query = select(Work.id).where(Work.id == work_id, Work.state == "running").with_for_update()
    return session.execute(query).first() is not None


def succeed(session: Session, *, work_id: str, now: datetime, result: dict[str, Any]) -> None:
    """Keep the answer of a running work; of two processes that both did it the first one's stands."""
    _end(session, work_id, {"state": "succeeded", "ended_at": now, "moved_at": now, "result": result})


def fail(session: Session, *, work_id: str, now: datetime, failure: str) -> None:
    """Keep why a running work could not be done."""
    _end(session, work_id, {"state": "failed", "ended_at": now, "moved_at": now, "failure": failure[:_FAILURE_MAX]})


def get(session: Session, work_id: str) -> WorkRow:
    """One work. Raises NotFound."""
    work = session.get(Work, work_id)
    if work is None:
        raise NotFound(work_id=work_id[:60])
    return _row(work)


def list_works(session: Session, *, kinds: tuple[str, ...] = (), limit: int = 20, offset: int = 0) -> list[WorkRow]:
    """The newest works, of some kinds or of all."""
    query = select(Work).order_by(Work.id.desc()).limit(limit).offset(offset)
    return [_row(work) for work in session.scalars(query.where(Work.kind.in_(kinds)) if kinds else query)]


def count_works(session: Session, *, kinds: tuple[str, ...] = ()) -> int:
    """How many works there are."""
    query = select(func.count()).select_from(Work)
    return session.scalar(query.where(Work.kind.in_(kinds)) if kinds else query) or 0


def _end(session: Session, work_id: str, values: dict[str, Any]) -> None:
    session.execute(update(Work).where(Work.id == work_id, Work.state == "running").values(**values))


def _row(work: Work) -> WorkRow:
    return WorkRow(
        id=work.id,
        kind=work.kind,
        facts=work.facts,
        requested_by=work.requested_by,
        requested_at=work.requested_at,
        state=work.state,
        total_count=work.total_count,
        done_count=work.done_count,
        started_at=work.started_at,
        ended_at=work.ended_at,
        result=work.result,
        failure=work.failure,
        correlation_id=work.correlation_id,
    )
