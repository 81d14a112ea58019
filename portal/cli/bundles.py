"""`plumbline ledger export` and `invoices bundle`: an account's statement, or one invoice's evidence, for strangers."""

from datetime import datetime
from pathlib import Path

import click

from billing.accounts import directory
from billing.assurance import bundle, evidence
from billing.jobs import sealing
from billing.kernel import clock
from portal.cli import context, files


@click.command()
@click.option("--account", required=True, help="The billing account (its code).")
@click.option("--from", "from_text", help="Usage, lines and documents of what was recorded from this instant on.")
@click.option("--to", "to_text", help="Up to this instant (RFC 3339), which is not included.")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The zip file.")
def export(account: str, from_text: str | None, to_text: str | None, output: Path) -> None:
    """Write one account's statement as a bundle that plumbline_verify.py proves offline; signs a fresh root first."""
    wanted = bundle.Range(from_at=_instant(from_text, "from"), to_at=_instant(to_text, "to"))
    database, keeping = context.database(), context.config().keeping()
    with database.reading("jobs") as session:
        found = directory.get_account_by_code(session, account)
    end = sealing.checkpoint(database, keeping, account_id=found.id, now=context.now(), actor=context.actor())
    with database.reading("jobs") as session, files.replacing(str(output)) as file:
        for chunk in bundle.stream(session, found, end, wanted):
            file.write(chunk)
    click.echo(f"{output}: {end.inclusion.head.chain_seq} transactions under root {end.inclusion.root.seq}")
    click.echo(f"fingerprint of the key: {end.signer.fingerprint}")


@click.command("bundle")
@click.argument("key", metavar="ID|NUMBER")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The zip file.")
def invoice_bundle(key: str, output: Path) -> None:
    """Write the evidence of an issued document: its files, each line down to its usage, and the proof; signs a fresh root first."""
    database, keeping = context.database(), context.config().keeping()
    with database.reading("jobs") as session:
        of = evidence.find(session, key=key)
        account = directory.get_account(session, of.account_id)
    end = sealing.checkpoint(database, keeping, account_id=account.id, now=context.now(), actor=context.actor())
    with database.reading("jobs") as session, files.replacing(str(output)) as file:
        for chunk in evidence.stream(session, account, end, of):
            file.write(chunk)
    click.echo(f"{output}: {of.number} under root {end.inclusion.root.seq}")
    click.echo(f"fingerprint of the key: {end.signer.fingerprint}")


def _instant(text: str | None, field: str) -> datetime | None:
    return clock.parse_instant(text, field=field) if text else None
