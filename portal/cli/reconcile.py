"""`plumbline reconcile`: compare usage, rated lines, ledger and documents, and record what differs."""

from typing import Any

import click

from billing.assurance import reconciliation, reconciliation_findings
from billing.assurance.reconciliation_findings import Filters, FindingRow
from billing.kernel import clock
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = ("id", "stage", "account", "currency", "period", "state", "owner", "first_seen_at", "sentence")
_LISTED_MAX = 100_000


@click.command()
@click.option("--period", help="Only billing periods of this month, such as 2026-10.")
@with_format
def reconcile(period: str | None, form: str) -> None:
    """Compare usage - rated - ledger - invoice, stage by stage, and record the run; exit 1 when anything differs."""
    database = context.database()
    with database.reading("jobs") as session:
        found = reconciliation.compare(session, now=context.now(), period_label=period)
    with database.transaction("jobs") as session:
        run_id = reconciliation.record(session, now=context.now(), comparison=found, actor=context.actor())
    with database.reading("jobs") as session:
        run = reconciliation_findings.get_run(session, run_id)
        rows = reconciliation_findings.list_findings(session, Filters(run=run), limit=_LISTED_MAX)
    if form == "table":
        looked = ", ".join(f"{reconciliation.WORDS[stage.name].lower()} {stage.looked:,}" for stage in found.stages)
        click.echo(f"{found.checked:,} rows checked ({looked}), {found.difference_count} differences")
    if form != "table" or rows:
        differences = [_plain(row) for row in rows]
        emit(differences, form, columns=_COLUMNS, data={"checked": found.checked, "differences": differences})
    if found.difference_count:
        raise SystemExit(1)


def _plain(row: FindingRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "stage": row.stage,
        "account": row.account_code,
        "currency": row.currency,
        "period": row.period_label,
        "subject_type": row.subject_type,
        "subject_id": row.subject_id,
        "sentence": row.sentence,
        "facts": row.facts,
        "state": row.state,
        "owner": row.owner_name,
        "explanation": row.explanation,
        "first_seen_at": clock.to_rfc3339(row.first_seen_at),
    }
