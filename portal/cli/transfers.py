"""`plumbline transfers`: lines of the bank statement that were booked, booking one, and asking to take one back."""

from datetime import date

import click

from billing.accounts import currencies, directory, principals
from billing.accounts.errors import NotPermitted
from billing.invoicing import invoices
from billing.kernel import clock, money
from billing.payments.bank import reversals
from billing.payments.bank import transfers as room
from billing.payments.bank.transfers import Line, TransferRow
from billing.payments.crediting import Share
from billing.storage.database import Session
from portal.cli import context
from portal.cli.approvals import as_person, person
from portal.cli.output import emit, with_format

_COLUMNS = (
    *("id", "account", "value_on", "amount_minor", "currency", "bank_account", "bank_reference", "payer"),
    *("pays", "wallet_minor", "state"),
)


@click.group()
def transfers() -> None:
    """Bank transfers that people book from the bank statement."""


@transfers.command("list")
@click.option("--account", "account_code", help="Only this billing account.")
@with_format
def list_(account_code: str | None, form: str) -> None:
    """What was booked, newest first."""
    with context.database().reading("jobs") as session:
        account_id = directory.get_account_by_code(session, account_code).id if account_code else None
        rows, _ = room.list_transfers(session, account_id=account_id, limit=1_000_000)
    emit([_plain(row) for row in rows], form, columns=_COLUMNS)


@transfers.command()
@click.option("--account", "account_code", required=True, help="The billing account that paid.")
@click.option("--amount", required=True, help="Such as 119.00, in the currency.")
@click.option("--currency", help="That of the account's invoices where left out.")
@click.option(
    "--value-date", "value_on", required=True, type=click.DateTime(["%Y-%m-%d"]), help="As the statement says."
)
@click.option("--reference", required=True, help="The bank's own reference of the line: a line is booked once.")
@click.option("--payer", required=True, help="Who paid, as the statement says it; can be erased.")
@click.option("--bank-account", help="The seller's; that of its invoices where left out.")
@click.option(
    "--pay",
    "pays",
    multiple=True,
    metavar="NUMBER=AMOUNT",
    help="Pay so much of an invoice. Repeatable; left out: due first.",
)
@click.option("--to-wallet", is_flag=True, help="Pay no invoice: all of it goes to the wallet.")
@as_person
@with_format
def book(
    account_code: str,
    amount: str,
    currency: str | None,
    value_on: date,
    reference: str,
    payer: str,
    bank_account: str | None,
    pays: tuple[str, ...],
    to_wallet: bool,
    login: str,
    form: str,
) -> None:
    """Book one line. The same line again gives the first booking."""
    if pays and to_wallet:
        raise click.UsageError("--pay and --to-wallet exclude each other")
    now = context.now()
    with context.database().transaction("jobs") as session:
        account = directory.get_account_by_code(session, account_code)
        sum_ = money.parse(amount, currency or currencies.invoice_currency_of(account))
        done = room.book(
            session,
            now=now,
            account_id=account.id,
            line=Line(
                amount=sum_,
                value_on=date(value_on.year, value_on.month, value_on.day),
                bank_reference=reference,
                payer=payer,
                bank_account=bank_account,
            ),
            actor=_bookkeeper(session, login),
            shares=[_share(session, account.id, text, sum_.currency) for text in pays] if pays or to_wallet else None,
        )
    emit([_plain(done)], form, columns=_COLUMNS)


@transfers.command()
@click.argument("transfer_id")
@click.option("--reason", required=True, help="Stands beside the reversal.")
@as_person
@with_format
def reverse(transfer_id: str, reason: str, login: str, form: str) -> None:
    """Ask for a booking to be taken back; somebody else approves it (`plumbline approvals`)."""
    with context.database().transaction("jobs") as session:
        asked = reversals.request(
            session, now=context.now(), transfer_id=transfer_id, maker=person(session, login), reason=reason
        )
        row = {
            "approval": asked.id,
            "state": asked.state,
            "content_hash": asked.content_hash,
            "expires_at": clock.to_rfc3339(asked.expires_at),
        }
    emit([row], form, columns=tuple(row))


def _bookkeeper(session: Session, login: str) -> str:
    found = principals.find_principal(session, person(session, login))
    if found is None or "payments.manage" not in found.staff_permissions:
        raise NotPermitted(act="bank_transfer.book", permission="payments.manage", reason="staff_permission_missing")
    return found.id


def _share(session: Session, account_id: str, text: str, currency: str) -> Share:
    number, sign, amount = text.rpartition("=")
    if not sign:
        raise click.UsageError(f"--pay takes NUMBER=AMOUNT, such as INV-2026-000001=119.00, not {text}")
    found = invoices.get_invoice(session, now=context.now(), key=number, account_id=account_id)
    return Share(invoice_id=found.row.id, amount_minor=money.parse(amount, currency).minor)


def _plain(row: TransferRow) -> dict[str, object]:
    return {
        "id": row.id,
        "account": row.account_code,
        "value_on": row.value_on.isoformat(),
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "bank_account": row.bank_account,
        "bank_reference": row.bank_reference,
        "payer": row.payer,
        "pays": " ".join(f"{number}={minor}" for _, number, minor in row.parts),
        "wallet_minor": row.wallet_minor,
        "state": "reversed" if row.reversed_at else "booked",
    }
