"""Run jobs and keep a row of each run: started, then its result. `run_due_jobs` is the scheduler; the thread only calls it."""

import logging
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from billing.jobs.context import JobContext
from billing.jobs.timetable import TIMETABLE, Job, get_job
from billing.kernel.ids import new_id
from billing.payments.providers.port import Provider
from billing.storage import correlation
from billing.storage.database import Database
from billing.storage.tables import JobRun

_log = logging.getLogger("billing.jobs")
HOLDER = f"{socket.gethostname()}:{os.getpid()}"
_ABANDONED_AFTER = timedelta(hours=2)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one run ended. `result` is succeeded or failed; `detail` says why it failed."""

    job: str
    result: str
    done_count: int
    detail: str | None


def run_due_jobs(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    only: str | None = None,
    holder: str | None = None,
) -> list[Outcome]:
    """Run, in the timetable's order, every job whose last start is at least its interval before `now`."""
    with database.reading("jobs") as session:
        last = last_starts(session)
    due = [
        job
        for job in TIMETABLE
        if only in (None, job.name) and (job.name not in last or last[job.name] + job.every <= now)
    ]
    return [_run(database, providers, job, now=now, trigger="schedule", holder=holder) for job in due]


def run_job(
    database: Database, providers: Mapping[str, Provider], name: str, *, now: datetime, trigger: str = "manual"
) -> Outcome:
    """Run one job now. Raises Invalid for an unknown name; a failure of the job itself is an outcome."""
    return _run(database, providers, get_job(name), now=now, trigger=trigger)


def last_starts(session: Session) -> dict[str, datetime]:
    """{job: started_at of its newest run}."""
    rows = session.execute(select(JobRun.job, func.max(JobRun.started_at)).group_by(JobRun.job)).all()
    return {row.job: row[1] for row in rows}


def _run(
    database: Database,
    providers: Mapping[str, Provider],
    job: Job,
    *,
    now: datetime,
    trigger: str,
    holder: str | None = None,
) -> Outcome:
    run_id = new_id("job")
    with correlation.scope(run_id):
        with database.transaction("jobs") as session:
            _close_abandoned(session, job.name, now)
            session.add(
                JobRun(id=run_id, job=job.name, trigger=trigger, started_at=now, holder=holder or HOLDER, done_count=0)
            )
        started = time.monotonic()
        try:
            done, result, detail = (
                job.run(JobContext(database=database, providers=providers, now=now)),
                "succeeded",
                None,
            )
        except Exception as error:
            _log.exception("job failed", extra={"job": job.name})
            done, result, detail = 0, "failed", f"{type(error).__name__}: {error}"[:2000]
        ended_at = now + timedelta(seconds=time.monotonic() - started)
        with database.transaction("jobs") as session:
            session.execute(
                update(JobRun)
                .where(JobRun.id == run_id)
                .values(ended_at=ended_at, result=result, done_count=done, detail=detail)
            )
        if done or result == "failed":
            _log.info("job ended", extra={"job": job.name, "result": result, "done_count": done})
    return Outcome(job=job.name, result=result, done_count=done, detail=detail)


def _close_abandoned(session: Session, name: str, now: datetime) -> None:
    """Runs without an end belong to a process that died: say so, once they are older than any run takes."""
    session.execute(
        update(JobRun)
        .where(JobRun.job == name, JobRun.result.is_(None), JobRun.started_at < now - _ABANDONED_AFTER)
        .values(result="abandoned", detail="the process ended before the job did")
    )
