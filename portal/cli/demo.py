"""`plumbline demo`: a believable small cloud to look at."""

import click

from portal.cli import Failed, context


@click.command()
def demo() -> None:
    """Load the demo cloud once: five tenants, three months of usage, invoices, payments, refunds. Prints the sign-ins."""
    from billing.demo import cloud

    if context.config().is_production:
        raise Failed("The demo has known passwords: it is not loaded in production.")
    is_new = cloud.load(context.database(), context.providers(), now=context.now(), progress=click.echo)
    click.echo("The demo cloud is loaded." if is_new else "The demo cloud was loaded before; nothing was changed.")
    click.echo("\nSign in with:")
    for one in cloud.sign_ins():
        click.echo(f"  {one.login:<28} {one.password:<16} {one.who}")
