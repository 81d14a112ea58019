"""`plumbline usage`: taking usage in, summing it, giving it out."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from billing.accounts import directory
from billing.catalog.items import MODES
from billing.exports import csv
from billing.exports import usage as usage_export
from billing.kernel import periods
from billing.metering import imports, summaries
from billing.metering.errors import BrokenInput
from billing.metering.imports import ImportCounts
from billing.metering.sources.port import Reject
from portal import sentences
from portal.cli import Failed, context, files, output, times

_COUNTS = ("read", "accepted", "duplicate", "rejected", "open")
_REJECT_COLUMNS = ("line", "id", "reason", "detail", "raw")


@click.group()
def usage() -> None:
    """Usage: import it, sum it, export it."""


@usage.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True))
@click.option("--source", required=True, type=click.Choice(imports.SOURCES), help="What wrote the file.")
@click.option(
    "--map",
    "map_path",
    type=click.Path(exists=True, dir_okay=False, readable=True),
    help="TOML that says what the columns of a CSV mean; see docs/usage-import.md.",
)
@click.option("--account", help="Bill all of it to this account; the file's accounts become its projects.")
@click.option(
    "--zone", help="Time zone of times without offset. Without one, logs are read in UTC, other files refuse them."
)
@click.option("--epoch", callback=times.option, help="Numbers in a CSV's time columns are seconds since then.")
@click.option(
    "--create-accounts", is_flag=True, help="Open billing accounts that the file names and that do not exist."
)
@click.option(
    "--rejects", type=click.Path(dir_okay=False, writable=True), help="Write refused lines and reasons to this CSV."
)
@output.with_format
def import_(
    file: str,
    source: str,
    map_path: str | None,
    account: str | None,
    zone: str | None,
    epoch: datetime | None,
    create_accounts: bool,
    rejects: str | None,
    form: str,
) -> None:
    """Take a file of usage in, plain or gzip ("-" for standard input). Safe to repeat and to interrupt.

    slurm-sacct: `sacct --parsable2 --allocations`. cloudevents: CloudEvents 1.0, one a line or a JSON array, as the API takes them.
    storage-json: daily snapshots of storage. legacy-json: records of the older simple service. csv: any columns, with a map:

    \b
      name = "gpu-log"                  # names these records for ever
      id = "name"                       # or id_from = "row": the hash of the row
      zone = "Europe/Berlin"            # of times without offset
      [columns]
      account = "tenant"
      start = "started"
      end = "ended"
      [[usage]]
      meter = "gpu_hour"
      rate = "num_gpu * gpu_milli"      # held from start to end; or quantity = ...
      unit = "milligpu"
      [open]
      status = ["RUNNING"]              # told again when it has ended; [ignore] likewise
    """
    reasons: Counter[str] = Counter()
    failure: BrokenInput | None = None
    with _opened(file) as (stream, size), _reject_file(rejects) as write_reject, _bar(stream, size) as progress:

        def on_reject(reject: Reject) -> None:
            reasons[reject.reason] += 1
            write_reject(reject)

        try:
            counts = imports.import_file(
                context.database(),
                stream,
                source=source,
                actor=context.actor(),
                now=context.now(),
                create_accounts=create_accounts,
                account_code=account,
                zone=zone,
                epoch=epoch,
                column_map=_text_of(map_path),
                file_name=Path(file).name,
                rejects=on_reject,
                progress=progress,
            )
        except BrokenInput as broken:
            failure, counts = broken, broken.fields["counts"]  # type: ignore[assignment]
    row = {name: getattr(counts, name) for name in _COUNTS}
    output.emit([row], form, columns=_COUNTS, data=row)
    if reasons and rejects is None and form == "table":
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        click.echo(f"Refused lines by reason: {told}. Repeat with --rejects FILE to see them.", err=True)
    if failure is not None:
        raise Failed(sentences.of(failure))


def _text_of(path: str | None) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8") if path is not None else None
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{path} cannot be read: {error}.") from None


@usage.command()
@click.option(
    "--by", required=True, type=click.Choice(["hour", "day", "month", "year"]), help="Length of a row's period."
)
@click.option("--meter", help="Sum this meter, such as cpu_hour.")
@click.option("--variant", help="Only this model, such as h100.")
@click.option("--mode", type=click.Choice(MODES), help="Only this mode.")
@click.option("--count", type=click.Choice(["started", "ended", "running"]), help="Count jobs instead.")
@click.option("--account", help="Only this billing account.")
@click.option("--per-account", is_flag=True, help="One row per account and period.")
@click.option("--from", "from_", help="First instant, such as 2016-12-22 or 2016-12-22T00:00:00Z.")
@click.option("--to", help="First instant after the range.")
@click.option(
    "--zone", default="UTC", show_default=True, help="Time zone of the periods, or `account` for each account's own."
)
@output.with_format
def summary(
    by: periods.Grain,
    meter: str | None,
    variant: str | None,
    mode: str | None,
    count: summaries.Count | None,
    account: str | None,
    per_account: bool,
    from_: str | None,
    to: str | None,
    zone: str,
    form: str,
) -> None:
    """Exact quantities by period; windows are split at its borders."""
    if (meter is None) == (count is None):
        raise click.UsageError("Give either --meter or --count.")
    if count is not None and (variant or mode):
        raise click.UsageError("--variant and --mode narrow usage: give them with --meter.")
    with context.database().reading("jobs") as session:
        owner = directory.get_account_by_code(session, account) if account else None
        clock_zone = (owner.zone if owner else "UTC") if zone == "account" else zone
        rows = summaries.summarize(
            session,
            by=by,
            meter_code=meter,
            variant=variant,
            mode=mode,
            count=count,
            account_id=owner.id if owner else None,
            per_account=per_account,
            from_at=times.parse(from_, clock_zone) if from_ else None,
            to_at=times.parse(to, clock_zone) if to else None,
            zone=zone,
            now=context.now(),
        )
    columns = ["period", *(["account"] if per_account else []), "meter", "unit", "quantity"]
    shown = [
        {name: getattr(row, name) for name in columns} | {"quantity": csv.decimal_text(row.quantity, least=6)}
        for row in rows
    ]
    output.emit(shown, form, columns=columns)


@usage.command()
@click.option("--account", required=True, help="Code of the billing account.")
@click.option("--period", help="A month of the account, such as 2026-10.")
@click.option("--from", "from_", help="First instant.")
@click.option("--to", help="First instant after the range.")
@click.option("-o", "--output", "path", required=True, type=click.Path(dir_okay=False, writable=True, allow_dash=True))
@output.with_format
def export(account: str, period: str | None, from_: str | None, to: str | None, path: str, form: str) -> None:
    """Write an account's usage records as CSV, with count, sum and SHA-256 in FILE.manifest.json."""
    if (period is None) == (from_ is None or to is None) or (period is not None and (from_ or to)):
        raise click.UsageError("Give either --period, or --from and --to.")
    with context.database().reading("jobs") as session:
        owner = directory.get_account_by_code(session, account)
        if period is not None:
            month = periods.month(period, owner.zone)
        else:
            month = periods.Period(
                start_at=times.parse(from_ or "", owner.zone), end_at=times.parse(to or "", owner.zone)
            )
        export = usage_export.of_period(session, owner.id, month.start_at, month.end_at)
        files.write(path, export, export.manifest.to_json)
    if path != "-":
        manifest = export.manifest.to_json()
        output.emit([{name: manifest[name] for name in ("count", "sum", "sha256")}], form, data=manifest)


@contextmanager
def _opened(path: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if path == "-":
        yield sys.stdin.buffer, None
        return
    try:
        with open(path, "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except OSError as error:
        raise Failed(f"{path} cannot be read: {error.strerror}.") from None


@contextmanager
def _reject_file(path: str | None) -> Iterator[Callable[[Reject], None]]:
    if path is None:
        yield lambda _reject: None
        return
    try:
        with open(path, "w", encoding="utf-8", newline="") as file:
            file.write(csv.line(_REJECT_COLUMNS))
            yield lambda reject: _ignored(file.write(csv.line(reject)))
    except OSError as error:
        raise Failed(f"{path} cannot be written: {error.strerror}.") from None


def _ignored(_value: object) -> None:
    return None


@contextmanager
def _bar(stream: BinaryIO, size: int | None) -> Iterator[Callable[[ImportCounts], None] | None]:
    """A progress bar over the file's bytes, on a terminal only."""
    if not (sys.stderr.isatty() and sys.stdout.isatty()) or size is None:
        yield None
        return
    columns = (TextColumn("Importing"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn())
    with Progress(
        *columns, TextColumn("{task.fields[lines]:,} lines"), console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task("import", total=max(size, 1), lines=0)
        yield lambda counts: bar.update(task, completed=stream.tell(), lines=counts.read)
