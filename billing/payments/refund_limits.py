"""How much a refund may take, read under the account's lock: the refundable rest, and the funds that may leave as money."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory, profiles
from billing.accounts.tables import BillingAccount
from billing.invoicing import contracts, credit_notes
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.ledger import balances
from billing.payments import limits
from billing.payments.errors import AboveRefundable, DisputedAccount
from billing.payments.tables import Payment, RefundRequest


@dataclass(frozen=True, kw_only=True)
class FundsLeft:
    """Funds that may leave as money (minor units), and whether a dispute forbids it altogether."""

    minor: int
    is_disputed: bool


def check(session: Session, item: RefundRequest, *, now: datetime, waiting_minor: int = 0) -> None:
    """Refuse a refund above what is left of its payment or invoice, less `waiting_minor`, or above the refundable funds.

    The caller holds the account's head: check-then-insert without a lock over-refunds. Raises AboveRefundable with the limit, or
    DisputedAccount.
    """
    left_minor = rest_minor(session, item) - waiting_minor
    facts = {"refund_id": item.id, "amount_minor": item.amount_minor, "currency": item.currency}
    if item.amount_minor > left_minor:
        raise AboveRefundable(reason="above_rest", limit_minor=max(0, left_minor), **facts)
    if item.mode == "credit":
        return
    left = funds(session, now=now, account_id=item.billing_account_id, currency=item.currency)
    if left.is_disputed:
        raise DisputedAccount(refund_id=item.id)
    if item.amount_minor > left.minor:
        raise AboveRefundable(reason="above_funds", limit_minor=left.minor, **facts)


def rest_minor(session: Session, item: RefundRequest) -> int:
    """What of the payment was not refunded, or what of the invoice was not credited (minor units)."""
    if item.mode == "credit":
        return credit_notes.rest_minor(session, item.invoice_id or "")
    payment = session.get_one(Payment, item.payment_id, populate_existing=True)
    return payment.amount_minor - payment.refunded_minor


def waiting_minor(session: Session, *, payment_id: str | None = None, invoice_id: str | None = None) -> int:
    """What undecided requests already ask of the same payment or invoice (minor units)."""
    subject = RefundRequest.payment_id == payment_id if payment_id else RefundRequest.invoice_id == invoice_id
    query = select(func.coalesce(func.sum(RefundRequest.amount_minor), 0)).where(
        subject, RefundRequest.state == "requested"
    )
    return int(session.execute(query).scalar_one())


def funds(session: Session, *, now: datetime, account_id: str, currency: str) -> FundsLeft:
    """What of the account's money in that currency may leave, by its policy (money.md)."""
    account = directory.get_account(session, account_id)
    held = next((row for row in balances.of_account(session, account_id) if row.currency == currency), None)
    if held is None:
        return FundsLeft(minor=0, is_disputed=False)
    amounts = limits.Funds(
        wallet=held.wallet_minor,
        receivable=held.receivable_minor,
        disputed=held.disputed_minor,
        unbilled=held.unbilled_minor,
        promo=held.promo_minor,
        # Only what it covers of pending usage: what was paid in advance for other families pays none of it.
        deferred=contracts.covered_minor(session, account_id=account_id, currency=currency)
        if held.deferred_minor and account.policy == "prepaid"
        else 0,
    )
    rate_bp = _tax_rate_bp(session, account, now) if account.policy == "prepaid" else 0
    minor = limits.refundable_minor(amounts, policy=account.policy, tax_rate_bp=rate_bp)
    return FundsLeft(minor=minor, is_disputed=held.disputed_minor != 0)


def _tax_rate_bp(session: Session, account: BillingAccount, now: datetime) -> int:
    """The rate that the pending usage will bear when it is invoiced."""
    if account.prices_include_tax:  # it stands in the pending amounts already
        return 0
    profile = profiles.get_profile(session, account.id)
    seller = directory.get_seller(session, account.seller_id)
    on = now.astimezone(get_zone(account.zone)).date()
    return taxes.treat(session, account=account, seller=seller, profile=profile, on=on).treatment.rate_bp
