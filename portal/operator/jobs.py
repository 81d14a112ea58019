"""Jobs: the timetable, who leads, the last runs; and asking for one to run now."""

from flask import url_for
from werkzeug.wrappers import Response

from billing.jobs import history, leadership, runner, timetable
from billing.kernel.errors import Invalid, NotFound
from portal import access, htmx, services
from portal.navigation import url_with
from portal.tenant.query import Query, chip, path_key

_SIZE = 50
_STATES = ("asked", "running", "succeeded", "failed", "abandoned")


@access.requires_staff("finance.read")
def jobs() -> Response:
    """The timetable and, below it, the runs that did something."""
    now, query = services.now(), Query()
    job = query.choice("job", [job.name for job in timetable.TIMETABLE], "")
    state = query.choice("state", _STATES, "")
    shows_idle = query.choice("idle", ("yes",), "") == "yes"
    page = query.page()
    with services.database().reading() as session:
        rows = history.list_jobs(session)
        runs, total = history.list_runs(
            session,
            job=job or None,
            state=state or None,
            only_busy=not shows_idle,
            limit=_SIZE,
            offset=(page - 1) * _SIZE,
        )
        leader = leadership.find_leader(session, now=now)
    chips = [chip("Job", job, "job")] if job else []
    chips += [chip("Result", state, "state")] if state else []
    return htmx.render(
        "operator/jobs/index.html",
        "operator/jobs/_runs.html",
        jobs=rows,
        job_choices=[("", "All jobs"), *((row.name, row.name) for row in rows)],
        state_choices=[("", "All results"), *((name, name.capitalize()) for name in _STATES)],
        leader=leader,
        runs=runs,
        total=total,
        page=page,
        size=_SIZE,
        chips=chips,
        job=job,
        state=state,
        shows_idle=shows_idle,
        idle_url=url_with(idle=None if shows_idle else "yes", page=None),
        notices=query.notices,
        now=now,
        may_run="jobs.run" in access.current_principal().staff_permissions,
    )


@access.requires_staff("jobs.run")
def jobs_ask(name: str) -> Response:
    """Ask whoever leads to run a job at its next look; then its page, which waits for the result."""
    try:
        with services.database().transaction() as session:
            run_id = runner.ask_for(session, now=services.now(), name=name, actor=access.current_principal().id)
    except Invalid:
        raise NotFound(job=name[:60]) from None
    return htmx.redirect(url_for("operator.jobs_run", run_id=run_id))


@access.requires_staff("finance.read")
def jobs_run(run_id: str) -> Response:
    """One run; while it waits or works, the page asks again."""
    now = services.now()
    with services.database().reading() as session:
        run = history.get_run(session, run_id=path_key(run_id))
        leader = leadership.find_leader(session, now=now)
    return htmx.render(
        "operator/jobs/run.html",
        "operator/jobs/_run.html",
        run=run,
        words=next((job.words for job in timetable.TIMETABLE if job.name == run.job), run.job),
        leader=leader,
        every=htmx.poll_pace((now - run.started_at).total_seconds()) if run.state in ("asked", "running") else None,
    )
