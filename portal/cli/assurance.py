"""`plumbline self-check`, `plumbline replay` and `plumbline audit`: prove the books and the log of acts again."""

import click

from billing.assurance import replay as replaying
from billing.assurance import selfcheck
from billing.assurance.report import Report
from billing.storage import audit_chain, signing
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = ("check", "subject_id", "sentence", "facts")


@click.command("self-check")
@with_format
def self_check(form: str) -> None:
    """Check every law against every row it speaks of; exit 1 when rows contradict each other."""
    with context.database().reading("jobs") as session:
        show(selfcheck.run(session, now=context.now()), form)


@click.command()
@click.option("--period", help="Only billing periods of this month, such as 2026-10.")
@with_format
def replay(period: str | None, form: str) -> None:
    """Rate and post again from what is stored, and compare; exit 1 when anything comes out otherwise."""
    with context.database().reading("jobs") as session:
        show(replaying.replay(session, period), form)


@click.group()
def audit() -> None:
    """The log of who did what, and the chain over it."""


@audit.command()
@with_format
def verify(form: str) -> None:
    """Walk the chain over the audit log from its start; exit 1 where a row is not what was sealed."""
    with context.database().reading("jobs") as session:
        show(selfcheck.run_audit(session, now=context.now()), form)


@audit.command()
@with_format
def head(form: str) -> None:
    """Seal what waits and print the end of the chain, signed. Kept elsewhere, it proves later that no tail was cut off."""
    signer = signing.read_file(context.config().signing_key_path)
    with context.database().transaction("jobs") as session:
        while audit_chain.seal(session, now=context.now(), is_sweep=True) == audit_chain.BATCH:
            pass
        end = audit_chain.head(session)
        key = signing.current(session, signer, now=context.now())
    signature = signer.sign(audit_chain.signed_bytes(end))
    emit(
        [
            {
                "seq": end.seq,
                "chain_hash": end.chain_hash,
                "at": context.now(),
                "key": key.fingerprint,
                "signature": signature,
            }
        ],
        form,
        columns=("seq", "chain_hash", "at", "key", "signature"),
    )


def show(report: Report, form: str) -> None:
    """Print a report; exit 1 when it holds a difference. JSON: {"checked": n, "differences": [...]}."""
    rows: list[dict[str, object]] = [
        {"check": found.check, "subject_id": found.subject_id, "sentence": found.sentence, "facts": found.facts}
        for found in report.differences
    ]
    if form == "table":
        looked = ", ".join(f"{name} {count:,}" for name, count in report.by_check.items())
        click.echo(f"{report.checked:,} rows checked ({looked or 'nothing to check'}), {len(rows)} differences")
    if form != "table" or rows:
        emit(rows, form, columns=_COLUMNS, data={"checked": report.checked, "differences": rows})
    if rows:
        raise SystemExit(1)
