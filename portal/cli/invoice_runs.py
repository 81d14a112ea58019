"""`plumbline invoices run`: a whole month, tried, drafted, or taken up again where it stopped; and correcting parties or tax."""

import secrets
import sys
from collections.abc import Sequence
from typing import Any

import click

from billing.invoicing import batches, corrections, dry_runs, invoices, waiting
from billing.invoicing.dry_runs import Row
from billing.jobs import steps, works
from billing.jobs.context import JobContext
from billing.kernel import periods
from billing.kernel.errors import Conflict, NotFound, Refusal
from billing.storage import works as work_rows
from portal import sentences
from portal.cli import Failed, context
from portal.cli.output import emit, with_format

_ROW = (
    *("account", "state", "kind", "currency", "lines", "net_minor", "tax_minor", "total_minor"),
    *("before_net_minor", "change_minor", "finding", "change", "why"),
)


@click.command("run")
@click.option("--period", required=True, help="The month, such as 2026-10.")
@click.option("--dry-run", is_flag=True, help="Only say what would be drafted and refused; nothing is written.")
@click.option(
    "--resume", is_flag=True, help="First go on with approvals and issues that were decided and not finished."
)
@with_format
def run(period: str, dry_run: bool, resume: bool, form: str) -> None:
    """Draft a month for all accounts that wait for it, one transaction each. Killed anywhere, run it again: it goes on."""
    periods.month(period, "UTC")
    job = JobContext(database=context.database(), providers={}, now=context.now())
    if dry_run:
        emit([_plain(row) for row in _tried(job, period)], form, columns=_ROW)
        return
    moved = steps.invoice_batches(job) if resume else 0
    drafted, failures = _draft(job, period)
    with context.database().reading("jobs") as session:
        left = waiting.drafting(session, now=job.now, period_label=period)
        unfinished = len(batches.list_waiting(session))
    row = {
        "period": period,
        "drafted": drafted,
        "refused": len(failures),
        "documents": left.drafted,
        "waiting": left.waiting + left.in_grace,
        "decided": moved,
        "undecided": unfinished,
    }
    emit([row], form)
    if failures:
        raise Failed("\n".join(dict.fromkeys(failures)))


@click.command("correct")
@click.argument("key", metavar="ID|NUMBER")
@click.option("--reason", required=True, help="Printed on both documents.")
@with_format
def correct(key: str, reason: str, form: str) -> None:
    """Credit an invoice whole and bill its charges again to today's profile and tax, as of their own time."""
    with context.database().reading("jobs") as session:
        invoice_id = invoices.find_id(session, key)
    if invoice_id is None:
        raise NotFound(invoice=key[:60])
    with context.database().transaction("jobs") as session:
        done = corrections.reissue(
            session, now=context.now(), invoice_id=invoice_id, reason=reason, actor=context.actor()
        )
    emit([vars(done)], form)


def _tried(job: JobContext, period: str) -> Sequence[Row]:
    with job.database.transaction("jobs") as session:
        work_id = works.ask(
            session,
            now=job.now,
            kind=works.DRY_RUN.name,
            facts={"period": period},
            form_key=f"command-{secrets.token_urlsafe(12)}",
            actor=context.actor(),
        )
    works.do_waiting(job)
    with job.database.reading("jobs") as session:
        work = work_rows.get(session, work_id)
        if work.state != "succeeded":
            raise Failed(f"The dry run could not be finished: {work.failure or 'another process is at it'}.")
        return list(dry_runs.stream_rows(session, work_id=work_id))


def _draft(job: JobContext, period: str) -> tuple[int, list[str]]:
    with job.database.reading("jobs") as session:
        accounts = waiting.list_accounts(session, period_label=period)
    drafted, failures = 0, list[str]()
    with click.progressbar(
        accounts, label=f"Drafting {period}", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as bar:
        for code, account_id in bar:
            try:
                with job.database.transaction("jobs") as session:
                    drafted += steps.generate_draft(session, job, account_id, period)
            except Refusal as refusal:
                failures.append(f"{code}: {sentences.of(refusal)}")
    return drafted, failures


def _plain(row: Row) -> dict[str, Any]:
    why = None
    if row.refusal_code is not None:
        refusal = Conflict(**(row.refusal_facts or {}))
        refusal.code = row.refusal_code
        why = sentences.of(refusal)
    return {
        "account": row.account_code,
        "state": row.state,
        "kind": row.kind,
        "currency": row.currency,
        "lines": row.line_count,
        "net_minor": row.net_minor,
        "tax_minor": row.tax_minor,
        "total_minor": row.total_minor,
        "before_net_minor": row.before_net_minor,
        "change_minor": row.change_minor,
        "finding": row.finding,
        "change": row.change,
        "why": why,
    }
