"""`plumbline shadow-rate`: what past usage would cost with other prices."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from billing.accounts import directory
from billing.catalog import books
from billing.catalog.trials import Limits, Trial
from billing.kernel import clock
from billing.rating import shadow, shadow_candidates, shadow_result
from billing.rating.shadow_candidates import Candidate
from billing.storage.database import Session
from billing.storage.works import Progress as Tell
from portal.cli import Failed, context, times
from portal.cli.output import emit, with_format

_COLUMNS = (
    "account",
    "currency",
    "rows",
    "current_minor",
    "candidate_minor",
    "delta_minor",
    "delta_percent",
    "is_inside",
)


def options(command: Any) -> Any:
    """What every command that starts a shadow rating takes beside its prices."""
    for add in reversed(
        (
            click.option(
                "--from", "from_at", required=True, callback=times.option, help="Start, such as 2026-10-01; UTC."
            ),
            click.option("--to", "to_at", required=True, callback=times.option, help="End, not included."),
            click.option("--account", "accounts", multiple=True, help="Only this billing account; again for more."),
            click.option(
                "--rows",
                type=click.IntRange(1, shadow.MAX_ROWS),
                default=shadow.DEFAULT_ROWS,
                show_default=True,
                help="Read at most so many usage records.",
            ),
            click.option(
                "--total-percent",
                default=shadow.DEFAULT_LIMITS.total_percent,
                show_default=True,
                help="Limit of each total's change, up or down.",
            ),
            click.option(
                "--account-percent",
                default=shadow.DEFAULT_LIMITS.account_percent,
                show_default=True,
                help="Limit of each account's change, up or down.",
            ),
            with_format,
        )
    ):
        command = add(command)
    return command


@click.command("shadow-rate")
@click.option("--prices", "file", required=True, type=click.File("rb"), help="A price book (TOML), loaded or not.")
@options
def shadow_rate(file: BinaryIO, form: str, **asked: Any) -> None:
    """Rate past usage again with the prices in a file, beside what was charged. Writes nothing but the trial.

    Exit 0 whether the change lies inside its limits or not: read `is_inside`.
    """
    try:
        text = file.read().decode()
    except UnicodeDecodeError:
        raise Failed("The file is not UTF-8 text.") from None
    run(lambda session: shadow_candidates.of_text(session, text), form=form, **asked)


def trial_of_version(code: str, version: int | None, *, form: str, **asked: Any) -> None:
    """The same for a loaded version of a book: what `plumbline prices trial` does."""
    run(
        lambda session: shadow_candidates.of_version(session, books.get_version(session, code, version).id),
        form=form,
        **asked,
    )


def run(
    candidate_of: Callable[[Session], Candidate],
    *,
    from_at: datetime,
    to_at: datetime,
    accounts: tuple[str, ...],
    rows: int,
    total_percent: str,
    account_percent: str,
    form: str,
) -> None:
    """Rate in one snapshot, keep the trial, print it."""
    limits = Limits(total_percent=total_percent, account_percent=account_percent)
    with _bar() as progress, context.database().reading("jobs") as session:
        outcome = shadow.run(
            session,
            shadow.Question(
                candidate=candidate_of(session),
                from_at=from_at,
                to_at=to_at,
                account_ids=tuple(directory.get_account_by_code(session, code).id for code in accounts),
                limits=limits,
                row_bound=rows,
            ),
            progress=progress,
        )
    with context.database().transaction("jobs") as session:
        trial = shadow.record(session, outcome, now=context.now(), actor=context.actor())
    _print(trial, form, accounts)


def _print(trial: Trial, form: str, accounts: tuple[str, ...]) -> None:
    totals = [{"account": "total", **_row(row)} for row in trial.result["totals"]]
    each = [{"account": row["code"], **_row(row)} for row in trial.result["accounts"]]
    data = {
        "trial": trial.id,
        "book": trial.book_code,
        "content_hash": trial.content_hash,
        "from": clock.to_rfc3339(trial.from_at),
        "to": clock.to_rfc3339(trial.to_at),
        "account_codes": list(accounts),
        "rows": trial.row_count,
        "row_bound": trial.row_bound,
        "is_whole": trial.is_whole,
        "is_inside": trial.is_inside,
        "opens_gate": trial.fault is None,
        "fault": trial.fault,
        "limits": trial.limits.content,
        "totals": [_row(row) for row in trial.result["totals"]],
        "accounts": each,
        "skus": [{"sku": row["sku"], **_row(row)} for row in trial.result["skus"]],
        "top_movers": [
            {"key": row["key"], "line_id": row["line_id"], "sku": row["sku"], **_row(row)}
            for row in trial.result["movers"]
        ],
        "distribution": trial.result["distribution"],
        "unpriced": trial.result["unpriced"],
        "waiting": trial.result["waiting"],
        "untried": trial.result["untried"],
        "ledger_writes": False,
        "rated_usage_writes": False,
    }
    emit([*totals, *each], form, columns=_COLUMNS, data=data)
    if form == "table":
        click.echo(
            f"{trial.id}: {trial.row_count} rows compared, {'inside' if trial.is_inside else 'not inside'} its limits"
            f"{'' if trial.is_whole else ', stopped at its bound'}."
        )


def _row(row: dict[str, Any]) -> dict[str, Any]:
    old_micro, new_micro = int(row["old_micro"]), int(row["new_micro"])
    shown = {
        "currency": row["currency"],
        "rows": row.get("rows", 1),
        "current_minor": shadow_result.exact_minor(old_micro),
        "candidate_minor": shadow_result.exact_minor(new_micro),
        "delta_minor": shadow_result.exact_minor(new_micro - old_micro),
        "delta_percent": shadow_result.percent(old_micro, new_micro),
    }
    return shown | ({"is_inside": row["is_inside"]} if "is_inside" in row else {})


@contextmanager
def _bar() -> Iterator[Tell | None]:
    """A progress bar over the rows, on a terminal only."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()):
        yield None
        return
    columns = (TextColumn("Rating"), BarColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("rate", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
