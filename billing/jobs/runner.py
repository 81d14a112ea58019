"""Run jobs and keep a row of each run: started, then its result. `run_due_jobs` is the scheduler; the thread only calls it."""

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from billing.accounts.vat_consultations import Register
from billing.jobs.context import JobContext
from billing.jobs.timetable import TIMETABLE, Job, get_job
from billing.kernel.ids import new_id
from billing.ledger.root_files import Keeping
from billing.notices.mail import Mailer
from billing.payments.providers.port import Provider
from billing.storage import audit, correlation
from billing.storage.database import Database
from billing.storage.tables import JobRun

_log = logging.getLogger("billing.jobs")
HOLDER = f"{socket.gethostname()}:{os.getpid()}"
NOBODY = ""  # the holder of a run that was asked for and not begun
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
    mail: Mailer | None = None,
    keeping: Callable[[], Keeping] | None = None,
    vat_register: Register | None = None,
    long_ones: bool | None = None,
) -> list[Outcome]:
    """Run, in the timetable's order, every job whose last start is at least its interval before `now`.

    `long_ones`: only the long jobs, or only the others; None runs both.
    """
    with database.reading("jobs") as session:
        last, asked = last_starts(session), _asked_for(session)
    due = [
        job
        for job in TIMETABLE
        if only in (None, job.name)
        and long_ones in (None, job.is_long)
        and (job.name in asked or job.name not in last or last[job.name] + job.every <= now)
    ]
    return [
        _run(
            database,
            providers,
            job,
            now=now,
            trigger="schedule",
            holder=holder,
            asked_id=asked.get(job.name),
            mail=mail,
            keeping=keeping,
            vat_register=vat_register,
        )
        for job in due
    ]


def run_job(
    database: Database,
    providers: Mapping[str, Provider],
    name: str,
    *,
    now: datetime,
    trigger: str = "manual",
    mail: Mailer | None = None,
    keeping: Callable[[], Keeping] | None = None,
    vat_register: Register | None = None,
) -> Outcome:
    """Run one job now. Raises Invalid for an unknown name; a failure of the job itself is an outcome."""
    return _run(
        database,
        providers,
        get_job(name),
        now=now,
        trigger=trigger,
        mail=mail,
        keeping=keeping,
        vat_register=vat_register,
    )


def ask_for(session: Session, *, now: datetime, name: str, actor: str) -> str:
    """Ask whoever leads to run a job at its next look; the id of that run. While one waits, asking again gives the same.

    Raises Invalid for an unknown name.
    """
    job = get_job(name)
    waiting = _asked_for(session).get(job.name)
    if waiting is not None:
        return waiting
    run_id = new_id("job")
    session.add(JobRun(id=run_id, job=job.name, trigger="manual", started_at=now, holder=NOBODY, done_count=0))
    audit.record(session, now=now, actor=actor, act="job.ask", subject_type="job_run", subject_id=run_id)
    session.flush()  # the page that follows shows it
    return run_id


def last_starts(session: Session) -> dict[str, datetime]:
    """{job: started_at of its newest run}."""
    rows = session.execute(
        select(JobRun.job, func.max(JobRun.started_at)).where(JobRun.holder != NOBODY).group_by(JobRun.job)
    ).all()
    return {row.job: row[1] for row in rows}


def _asked_for(session: Session) -> dict[str, str]:
    """{job: id of the run that someone asked for and nobody has begun}."""
    waiting = select(JobRun.job, JobRun.id).where(JobRun.holder == NOBODY, JobRun.result.is_(None))
    return dict(session.execute(waiting).all())


def _run(
    database: Database,
    providers: Mapping[str, Provider],
    job: Job,
    *,
    now: datetime,
    trigger: str,
    holder: str | None = None,
    asked_id: str | None = None,
    mail: Mailer | None = None,
    keeping: Callable[[], Keeping] | None = None,
    vat_register: Register | None = None,
) -> Outcome:
    run_id = asked_id or new_id("job")
    with correlation.scope(run_id):
        with database.transaction("jobs") as session:
            _close_abandoned(session, job.name, now)
            if asked_id is None or not _take(session, asked_id, now, holder or HOLDER):
                run_id = new_id("job") if asked_id else run_id  # another process was faster: this is a run of its own
                session.add(
                    JobRun(
                        id=run_id, job=job.name, trigger=trigger, started_at=now, holder=holder or HOLDER, done_count=0
                    )
                )
        started = time.monotonic()
        try:
            context = JobContext(
                database=database,
                providers=providers,
                now=now,
                mail=mail,
                keeping=keeping,
                vat_register=vat_register,
            )
            done, result, detail = job.run(context), "succeeded", None
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


def _take(session: Session, run_id: str, now: datetime, holder: str) -> bool:
    """Make a run that was asked for one's own; False when another process has it."""
    taken = session.execute(
        update(JobRun).where(JobRun.id == run_id, JobRun.holder == NOBODY).values(holder=holder, started_at=now)
    )
    return int(getattr(taken, "rowcount", 0)) == 1


def _close_abandoned(session: Session, name: str, now: datetime) -> None:
    """Runs without an end belong to a process that died: say so, once they are older than any run takes."""
    session.execute(
        update(JobRun)
        .where(
            JobRun.job == name,
            JobRun.result.is_(None),
            JobRun.holder != NOBODY,
            JobRun.started_at < now - _ABANDONED_AFTER,
        )
        .values(result="abandoned", detail="the process ended before the job did")
    )
