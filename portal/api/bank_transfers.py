"""GET and POST /billing/bank-transfers: lines of the seller's bank statement, booked by finance's machines. Taking back is for people."""

from datetime import date
from typing import Annotated

from flask import Response
from pydantic import Field

from billing.accounts import directory, names
from billing.accounts.tables import BillingAccount
from billing.invoicing import invoices
from billing.kernel import money as kernel_money
from billing.kernel.errors import Invalid, NotFound
from billing.payments.bank import transfers
from billing.payments.bank.transfers import Line, TransferRow
from billing.payments.crediting import Share
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.values import In, Instant, Money, Out


class PaidInvoice(In):
    """An invoice by its id or number, and how much of the transfer is for it."""

    invoice: Annotated[str, Field(min_length=1, max_length=64)]
    amount_minor: Annotated[int, Field(ge=1)]


class BankTransferRequest(In):
    """A line of the statement. Without `pays` it pays what is due first; an empty list leaves all of it to the wallet."""

    account: Annotated[str, Field(min_length=1, max_length=64)]
    amount: Money
    value_on: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", examples=["2026-11-20"])]
    bank_reference: Annotated[str, Field(min_length=1, max_length=64)]
    payer: Annotated[str, Field(min_length=1, max_length=140)]
    bank_account: Annotated[str, Field(min_length=1, max_length=42)] | None = None
    pays: Annotated[list[PaidInvoice], Field(max_length=1_000)] | None = None


class PaidPart(Out):
    """What of a transfer an invoice got."""

    invoice_id: str
    number: str
    amount_minor: int


class BankTransfer(Out):
    """A booked line; `state` is booked or reversed. `payer` is null once it was erased."""

    id: str
    account: str
    amount: Money
    value_on: str
    bank_account: str
    bank_reference: str
    payer: str | None
    pays: list[PaidPart]
    to_wallet: Money
    state: str
    payment_id: str
    ledger_transaction: str
    booked_at: Instant


class BankTransferPage(Out):
    """Booked lines, newest first."""

    data: list[BankTransfer]
    next_cursor: str | None


@keys.needs_staff("finance.read")
def list_bank_transfers() -> Response:
    """Newest first, of one account or of all."""
    parameters.refuse_unknown("account", "limit", "cursor")
    limit, code = cursors.limit(), parameters.text("account")
    with services.database().reading() as session:
        account_id = _account(session, code).id if code else None
        before = cursors.read(account_id or "all")
        if before is not None and not isinstance(before, str):
            raise Invalid(field="cursor", reason="bad_cursor")
        rows, _ = transfers.list_transfers(session, account_id=account_id, limit=limit + 1, before_id=before)
    page = rows[:limit]
    return answers.of(
        BankTransferPage(
            data=[_transfer(row) for row in page],
            next_cursor=cursors.write(account_id or "all", page[-1].id) if len(rows) > limit else None,
        )
    )


@keys.needs_staff("finance.run")
def book_bank_transfer() -> Response:
    """201 with the booking. The same line again gives the first booking, another content of it is a conflict."""
    asked = bodies.read(BankTransferRequest)

    def act(session: Session) -> Response:
        account = _account(session, asked.account)
        done = transfers.book(
            session,
            now=services.now(),
            account_id=account.id,
            line=Line(
                amount=kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency),
                value_on=_day(asked.value_on),
                bank_reference=asked.bank_reference,
                payer=asked.payer,
                bank_account=asked.bank_account,
            ),
            actor=keys.actor(),
            shares=None if asked.pays is None else [_share(session, account.id, one) for one in asked.pays],
        )
        return answers.of(_transfer(done), 201)

    return answers.once(act)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Invalid(field="value_on", value=text, reason="not_a_day") from None


def _account(session: Session, code: str) -> BillingAccount:
    found = directory.find_account_by_code(session, code) if names.is_safe(code) else None
    if found is None:
        raise NotFound(account=names.shown(code))
    return found


def _share(session: Session, account_id: str, asked: PaidInvoice) -> Share:
    if not names.is_safe(asked.invoice):
        raise NotFound(invoice=names.shown(asked.invoice))
    found = invoices.get_invoice(session, now=services.now(), key=asked.invoice, account_id=account_id)
    return Share(invoice_id=found.row.id, amount_minor=asked.amount_minor)


def _transfer(row: TransferRow) -> BankTransfer:
    return BankTransfer(
        id=row.id,
        account=row.account_code,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        value_on=row.value_on.isoformat(),
        bank_account=row.bank_account,
        bank_reference=row.bank_reference,
        payer=row.payer,
        pays=[PaidPart(invoice_id=one, number=number, amount_minor=minor) for one, number, minor in row.parts],
        to_wallet=Money(amount_minor=row.wallet_minor, currency=row.currency),
        state="reversed" if row.reversed_at else "booked",
        payment_id=row.payment_id,
        ledger_transaction=row.transaction_id,
        booked_at=row.booked_at,
    )
