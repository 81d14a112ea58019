"""`plumbline openapi`: the API's description, as the portal serves it at /api/v1/openapi.json."""

import click

from portal.api import docs
from portal.api import openapi as description
from portal.cli import context


@click.command()
@click.option("--base-url", help="The address of the portal; by default PLUMBLINE_BASE_URL.")
def openapi(base_url: str | None) -> None:
    """Print the OpenAPI 3.1 document of the JSON API."""
    address = base_url.rstrip("/") if base_url else context.config().base_url
    click.echo(docs.text(description.document(address)), nl=False)
