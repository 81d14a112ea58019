"""`plumbline tax`: rates in force, what a seller declares, and VAT ids."""

import sys
from datetime import datetime

import click

from billing.accounts import countries, directory, vat_consultations
from billing.accounts.tables import Seller
from billing.exports import tax_filing
from billing.invoicing.taxes import filing
from billing.kernel.errors import NotFound
from billing.reference import vat_rates
from billing.storage.database import Session
from portal.cli import context, files
from portal.cli.output import emit, with_format


@click.group()
def tax() -> None:
    """VAT: rates by date, declarations of a period, VAT ids."""


@tax.command()
@click.option("--on", type=click.DateTime(["%Y-%m-%d"]), default=None, help="As of this day; today by default.")
@click.option("--country", help="One country (ISO 3166); all member states by default.")
@with_format
def rates(on: datetime | None, country: str | None, form: str) -> None:
    """The standard rates in force on a day, by member state."""
    day = on.date() if on else context.now().date()
    if country is not None:
        countries.require_country(country)
    chosen = sorted(vat_rates.member_states()) if country is None else [country]
    rows = [
        {
            "country": code,
            "rate_percent": _percent(vat_rates.standard_rate_bp(vat_rates.vat_country(code), day)),
            "on": day.isoformat(),
        }
        for code in chosen
    ]
    emit(rows, form, columns=("country", "rate_percent", "on"))


@tax.command("filing")
@click.option("--period", required=True, help="A month or a quarter, such as 2026-10 or 2026-Q4.")
@click.option("--seller", help="The seller's code; the only one by default.")
@click.option(
    "--form", "which", type=click.Choice(["all", "oss", "local"]), default="all", help="The one stop shop apart."
)
@click.option(
    "-o", "--output", "path", type=click.Path(dir_okay=False, writable=True, allow_dash=True), help="A CSV file."
)
@with_format
def file_period(period: str, seller: str | None, which: str, path: str | None, form: str) -> None:
    """What a seller declares of a period, credit notes in their own; exit 1 where it does not tie to the ledger."""
    with context.database().reading("jobs") as session:
        found = filing.file(session, _seller(session, seller), period)
    declaration = tax_filing.declaration(found, form=which)
    if path is not None:
        files.write(path, declaration.export, declaration.to_manifest)
    else:
        emit(tax_filing.records(found, form=which), form, columns=tax_filing.COLUMNS)
    for each in found.differences:
        click.echo(
            f"tax of {each.jurisdiction} in {each.currency}: documents say {each.filed_minor}, the ledger {each.ledger_minor}",
            err=True,
        )
    if found.differences:
        sys.exit(1)


@tax.command("check-vat-id")
@click.argument("account")
@with_format
def check_vat_id(account: str, form: str) -> None:
    """Ask VIES about the VAT id of ACCOUNT and keep the answer."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account).id
    row = vat_consultations.consult(
        context.database(), context.vat_register(), now=context.now(), account_id=account_id, actor=context.actor()
    )
    rows = (
        []
        if row is None
        else [
            {
                "vat_id": row.vat_id,
                "outcome": row.outcome,
                "reference": row.reference,
                "name": row.name,
                "reason": row.reason,
            }
        ]
    )
    emit(rows, form, columns=("vat_id", "outcome", "reference", "name", "reason"))


def _seller(session: Session, code: str | None) -> Seller:
    if code is None:
        return directory.first_seller(session)
    found = directory.find_seller_by_code(session, code)
    if found is None:
        raise NotFound(kind="seller", id=code[:60])
    return found


def _percent(rate_bp: int) -> str:
    return f"{rate_bp // 100}.{rate_bp % 100:02}"
