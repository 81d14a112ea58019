"""Change of the currency in which an account is invoiced, as long as no money waits for invoices of the one it leaves."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, heads
from billing.accounts.tables import BillingAccount
from billing.invoicing import contracts
from billing.kernel.errors import Conflict
from billing.ledger import promos


def change(session: Session, *, now: datetime, account_code: str, currency: str, actor: str) -> BillingAccount:
    """`currencies.set_invoice_currency`, where no commitment and no gift would be left that no invoice can use any more.

    Locks the account's head; flushes. Raises as that does, and Conflict(reason="money_in_invoice_currency").
    """
    account = directory.get_account_by_code(session, account_code)
    heads.lock_one(session, account.id)
    before = currencies.invoice_currency_of(account)
    if currency != before:
        running = [
            contract.id
            for contract, left in contracts.all_left(session, account.id)
            if contract.currency == before and contract.lapsed_at is None and (left > 0 or contract.ends_at > now)
        ]
        gifts = promos.list_usable(session, account.id, before, at=now)
        if running or gifts:
            raise Conflict(
                account=account.code,
                commitments=len(running),
                gifts_minor=sum(one.remaining_minor for one in gifts),
                currency=before,
                reason="money_in_invoice_currency",
            )
    return currencies.set_invoice_currency(session, now=now, account_code=account_code, currency=currency, actor=actor)
