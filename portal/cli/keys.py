"""`plumbline keys`: the signing key of this installation."""

import click

from billing.storage import signing
from portal.cli import context
from portal.cli.output import emit, with_format

_COLUMNS = ("id", "fingerprint", "created_at", "previous_id", "is_vouched", "is_in_force")


@click.group()
def keys() -> None:
    """The key that signs what leaves this installation as proof."""


@keys.command("list")
@with_format
def list_keys(form: str) -> None:
    """Every key, oldest first. Publish the fingerprint of the one in force where your customers find it without this portal."""
    signer = signing.read_file(context.config().signing_key_path)
    with context.database().transaction("jobs") as session:
        signing.current(session, signer, now=context.now())
        rows = signing.list_keys(session)
    shown = [
        {name: getattr(row, name) for name in _COLUMNS[:-1]} | {"is_in_force": row.fingerprint == signer.fingerprint}
        for row in rows
    ]
    emit(shown, form, columns=_COLUMNS)


@keys.command()
def rotate() -> None:
    """Make a new key, signed by the present one. The old key's file is kept beside the new one; processes read it anew when restarted."""
    path = context.config().signing_key_path
    with context.database().transaction("jobs") as session:
        row = signing.rotate(session, path, now=context.now(), actor="cli:keys")
    signing.finish_rotation(path)
    click.echo(f"new key in force: {row.fingerprint}")
