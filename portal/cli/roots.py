"""`plumbline roots`: the signed hashes over all chains, and their files outside the database."""

import click

from billing.assurance import verification
from billing.jobs import sealing
from billing.kernel.clock import to_rfc3339
from billing.ledger import root_files
from billing.ledger import roots as ledger_roots
from portal.cli import assurance, context
from portal.cli.output import emit, with_format

_COLUMNS = ("seq", "signed_at", "chain_count", "transaction_count", "merkle_root", "hash", "fingerprint")


@click.group()
def roots() -> None:
    """Signed roots: what shows that no chain's tail was cut."""


@roots.command()
@with_format
def sign(form: str) -> None:
    """Sign a root over all chains now, and write its file. Where no chain moved since the last one, none is signed."""
    row = sealing.sign_root(context.database(), context.config().keeping(), now=context.now(), actor=context.actor())
    if row is None and form == "table":
        click.echo("nothing new: no chain moved since the newest root")
        return
    emit([_shown(row)] if row else [], form, columns=_COLUMNS)


@roots.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many, newest first.")
@with_format
def list_roots(limit: int, form: str) -> None:
    """The roots signed last, newest first."""
    with context.database().reading("jobs") as session:
        rows = ledger_roots.list_roots(session, limit=limit)
    emit([_shown(row) for row in rows], form, columns=_COLUMNS)


@roots.command()
@with_format
def export(form: str) -> None:
    """Write every root's file that is missing into PLUMBLINE_ROOTS_DIR; files that are there are left as they are."""
    folder = context.config().keeping().folder
    with context.database().reading("jobs") as session:
        written = root_files.export(session, folder, fills_gaps=True)
    if not written and form == "table":
        click.echo(f"nothing to write: {len(root_files.list_files(folder))} files are in {folder}")
        return
    emit([{"file": str(path)} for path in written], form, columns=("file",))


@roots.command()
@with_format
def verify(form: str) -> None:
    """Compare database, files and signatures; exit 1 naming what was cut, replaced, taken away or forked."""
    with context.database().reading("jobs") as session:
        report = verification.verify_roots(session, context.config().keeping().folder)
    assurance.show(report, form)


def _shown(row: ledger_roots.RootRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in _COLUMNS} | {"signed_at": to_rfc3339(row.signed_at)}
