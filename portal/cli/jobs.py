"""`plumbline jobs`: the timetable, and running it by hand."""

from datetime import datetime

import click

from billing.jobs import runner, timetable
from billing.kernel import clock
from portal.cli import Failed, context
from portal.cli.output import emit, with_format


@click.group()
def jobs() -> None:
    """The background work."""


@jobs.command("list")
@with_format
def list_jobs(form: str) -> None:
    """Each job, how often it runs, and when it last began."""
    with context.database().reading("jobs") as session:
        last = runner.last_starts(session)
    emit(
        [
            {
                "job": job.name,
                "does": job.words,
                "every_seconds": int(job.every.total_seconds()),
                "last_started_at": clock.to_rfc3339(last[job.name]) if job.name in last else None,
            }
            for job in timetable.TIMETABLE
        ],
        form,
    )


@jobs.command()
@click.argument("name", required=False)
@click.option("--due", is_flag=True, help="Run every job that is due.")
@click.option("--now", "at", help="Stand at this instant (RFC 3339) instead of the present.")
@with_format
def run(name: str | None, due: bool, at: str | None, form: str) -> None:
    """Run one job by NAME, or all that are due; exit 1 when one failed."""
    if (name is None) == (not due):
        raise click.UsageError("give either a job's name or --due")
    now: datetime = clock.parse_instant(at, field="now") if at else context.now()
    database, providers, keeping = context.database(), context.providers(), context.config().keeping
    register = context.vat_register()
    if name is None:
        outcomes = runner.run_due_jobs(
            database, providers, now=now, mail=context.mailer(), keeping=keeping, vat_register=register
        )
    else:
        outcomes = [
            runner.run_job(
                database, providers, name, now=now, mail=context.mailer(), keeping=keeping, vat_register=register
            )
        ]
    emit([vars_of(outcome) for outcome in outcomes], form, columns=("job", "result", "done_count", "detail"))
    failed = [outcome.job for outcome in outcomes if outcome.result == "failed"]
    if failed:
        raise Failed(f"failed: {', '.join(failed)}")


def vars_of(outcome: runner.Outcome) -> dict[str, object]:
    """One outcome as a row."""
    return {"job": outcome.job, "result": outcome.result, "done_count": outcome.done_count, "detail": outcome.detail}
