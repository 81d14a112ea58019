"""The timetable with its last runs, and the runs themselves, as pages show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.jobs.runner import NOBODY
from billing.jobs.timetable import TIMETABLE
from billing.kernel.errors import NotFound
from billing.storage.tables import JobRun


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """One run. `state` is asked (nobody has begun), running, succeeded, failed or abandoned; `detail` says why it failed."""

    id: str
    job: str
    trigger: str
    state: str
    started_at: datetime
    ended_at: datetime | None
    done_count: int
    detail: str | None
    holder: str

    @property
    def took(self) -> timedelta | None:
        """How long it ran, None while it does."""
        return None if self.ended_at is None else self.ended_at - self.started_at


@dataclass(frozen=True, kw_only=True)
class JobRow:
    """One line of the timetable with its newest run, and when it is due next (None: at once)."""

    name: str
    words: str
    every: timedelta
    last: RunRow | None
    last_success_at: datetime | None
    next_at: datetime | None
    asked_id: str | None


def list_jobs(session: Session) -> list[JobRow]:
    """The timetable in its order."""
    newest = dict(
        session.execute(
            select(JobRun.job, func.max(JobRun.id)).where(JobRun.holder != NOBODY).group_by(JobRun.job)
        ).all()
    )
    runs = {run.job: run for run in _rows(session.scalars(select(JobRun).where(JobRun.id.in_(newest.values()))).all())}
    succeeded = dict(
        session.execute(
            select(JobRun.job, func.max(JobRun.ended_at)).where(JobRun.result == "succeeded").group_by(JobRun.job)
        ).all()
    )
    asked = dict(
        session.execute(select(JobRun.job, JobRun.id).where(JobRun.holder == NOBODY, JobRun.result.is_(None))).all()
    )
    return [
        JobRow(
            name=job.name,
            words=job.words,
            every=job.every,
            last=runs.get(job.name),
            last_success_at=succeeded.get(job.name),
            next_at=runs[job.name].started_at + job.every if job.name in runs else None,
            asked_id=asked.get(job.name),
        )
        for job in TIMETABLE
    ]


def list_runs(
    session: Session,
    *,
    job: str | None = None,
    state: str | None = None,
    only_busy: bool = False,
    limit: int = 50,
    offset: int = 0,
) -> tuple[list[RunRow], int]:
    """Runs, newest first, and how many match. `only_busy` leaves out those that succeeded with nothing to do."""
    query = select(JobRun)
    if job is not None:
        query = query.where(JobRun.job == job)
    if state in ("succeeded", "failed", "abandoned"):
        query = query.where(JobRun.result == state)
    elif state == "running":
        query = query.where(JobRun.result.is_(None), JobRun.holder != NOBODY)
    elif state == "asked":
        query = query.where(JobRun.result.is_(None), JobRun.holder == NOBODY)
    if only_busy:
        query = query.where((JobRun.done_count > 0) | JobRun.result.is_distinct_from("succeeded"))
    total = session.execute(select(func.count()).select_from(query.subquery())).scalar_one()
    rows = session.scalars(query.order_by(JobRun.started_at.desc(), JobRun.id.desc()).limit(limit).offset(offset)).all()
    return _rows(rows), total


def get_run(session: Session, *, run_id: str) -> RunRow:
    """One run. Raises NotFound."""
    run = session.get(JobRun, run_id)
    if run is None:
        raise NotFound(run_id=run_id[:60])
    return _rows([run])[0]


def _rows(runs: Sequence[JobRun]) -> list[RunRow]:
    return [
        RunRow(
            id=run.id,
            job=run.job,
            trigger=run.trigger,
            state=run.result or ("asked" if run.holder == NOBODY else "running"),
            started_at=run.started_at,
            ended_at=run.ended_at,
            done_count=run.done_count,
            detail=run.detail,
            holder=run.holder,
        )
        for run in runs
    ]
