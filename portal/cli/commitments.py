"""`plumbline commitments`: amounts paid in advance, what is left of them, and agreeing on a new one."""

import click

from billing.accounts import currencies, directory
from billing.catalog import commitments as commitment_room
from billing.invoicing import contracts, sales
from billing.invoicing.contracts import ContractRow
from billing.kernel import clock, money
from portal.cli import context
from portal.cli.output import emit, with_format
from portal.cli.prices import maker_of

_COLUMNS = (
    *("id", "account", "name", "state", "currency", "amount_minor", "drawn_minor", "left_minor"),
    *("starts_at", "ends_at", "sale"),
)


@click.group()
def commitments() -> None:
    """Commitments: amounts paid in advance and drawn down by invoices."""


@commitments.command("list")
@click.option("--account", "account_code", help="Only this billing account.")
@with_format
def list_(account_code: str | None, form: str) -> None:
    """Commitments with what is left of them, earliest end first."""
    now = context.now()
    with context.database().reading("jobs") as session:
        if account_code is not None:
            accounts = {directory.get_account_by_code(session, account_code).id: account_code}
        else:
            ids = {one.billing_account_id for one in commitment_room.list_contracts(session)}
            accounts = {account_id: directory.get_account(session, account_id).code for account_id in sorted(ids)}
        rows = [
            _row(row, code)
            for account_id, code in accounts.items()
            for row in contracts.list_rows(session, now=now, account_id=account_id)
        ]
    emit(rows, form, columns=_COLUMNS)


@commitments.command()
@click.option("--account", "account_code", required=True, help="The billing account that pays in advance.")
@click.option("--name", required=True, help="Stands on the invoices.")
@click.option("--amount", required=True, help="Before tax, such as 10000.00, in the currency.")
@click.option("--currency", help="That of the account's invoices where left out.")
@click.option("--from", "starts_text", required=True, help="Such as 2026-12-01, in the account's zone.")
@click.option("--until", "ends_text", required=True)
@click.option("--family", "families", multiple=True, help="Which charges draw it down; left out for all. Repeatable.")
@click.option("--as", "actor", required=True, help="E-mail of who agrees on it: a maker of the staff.")
@with_format
def create(
    account_code: str,
    name: str,
    amount: str,
    currency: str | None,
    starts_text: str,
    ends_text: str,
    families: tuple[str, ...],
    actor: str,
    form: str,
) -> None:
    """Agree on a commitment and draft the invoice that sells it."""
    now = context.now()
    with context.database().transaction("jobs") as session:
        account = directory.get_account_by_code(session, account_code)
        maker = maker_of(session, actor)
        made = commitment_room.create(
            session,
            now=now,
            account_id=account.id,
            name=name,
            amount=money.parse(amount, currency or currencies.invoice_currency_of(account)),
            starts_at=clock.parse_instant(starts_text, field="from", zone=account.zone),
            ends_at=clock.parse_instant(ends_text, field="until", zone=account.zone),
            families=families,
            actor=maker,
        )
        sales.draft(session, now=now, contract_id=made.id, actor=maker)
        row = contracts.get_row(session, now=now, contract_id=made.id)
    emit([_row(row, account_code)], form, columns=_COLUMNS)


def _row(row: ContractRow, account_code: str) -> dict[str, object]:
    return {
        "id": row.id,
        "account": account_code,
        "name": row.name,
        "state": row.state,
        "currency": row.currency,
        "amount_minor": row.amount_minor,
        "drawn_minor": row.drawn_minor,
        "left_minor": row.left_minor,
        "starts_at": clock.to_rfc3339(row.starts_at),
        "ends_at": clock.to_rfc3339(row.ends_at),
        "sale": row.sale_number or row.sale_invoice_id or "",
    }
