"""How much a refund may take, read under the account's lock: the refundable rest, and the funds that may leave as money."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory, profiles
from billing.accounts.tables import BillingAccount
from billing.invoicing import contracts, credit_notes, settlement
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.kernel.money import MAX_MINOR
from billing.ledger import balances
from billing.payments import limits
from billing.payments.disputes import standing as disputes
from billing.payments.disputes.tables import Dispute
from billing.payments.errors import AboveRefundable, DisputedAccount
from billing.payments.refund_tables import ForeignRefund
from billing.payments.tables import Payment, RefundRequest


@dataclass(frozen=True, kw_only=True)
class FundsLeft:
    """Funds that may leave as money (minor units, below zero where something is owed first), and by what rule.

    `is_disputed`: a dispute forbids it altogether.
    """

    minor: int
    is_disputed: bool
    policy: str
    tax_rate_bp: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What a decision about a refund stands on, in minor units. `reason` names what binds: above_rest, above_creditable,
    invoice_open or above_funds. `funds` is None for a refund as credit, which leaves nothing."""

    rest_minor: int
    creditable_minor: int | None
    funds: FundsLeft | None
    limit_minor: int
    reason: str

    def facts(self) -> dict[str, Any]:
        """As it is kept with the request and in its history."""
        found: dict[str, Any] = {"rest_minor": self.rest_minor, "limit_minor": self.limit_minor}
        if self.creditable_minor is not None:
            found["creditable_minor"] = self.creditable_minor
        if self.funds is not None:
            found |= {
                "policy": self.funds.policy,
                "funds_minor": max(0, self.funds.minor),
                "tax_rate_bp": self.funds.tax_rate_bp,
            }
        return found


def check(session: Session, item: RefundRequest, *, now: datetime, with_waiting: bool = False) -> Standing:
    """Refuse a refund above what is left of its payment and invoice, or above the refundable funds; returns what that stood on.

    `with_waiting`: what other undecided requests ask for counts as gone. The caller holds the account's head: check-then-insert
    without a lock over-refunds. Raises AboveRefundable with the limit, or DisputedAccount.
    """
    found = standing(session, item, now=now, with_waiting=with_waiting)
    if item.origin == "request" and is_disputed(session, item, found):
        raise DisputedAccount(refund_id=item.id)
    if item.amount_minor > found.limit_minor:
        raise AboveRefundable(
            reason=found.reason,
            limit_minor=max(0, found.limit_minor),
            refund_id=item.id,
            amount_minor=item.amount_minor,
            currency=item.currency,
        )
    return found


def standing(
    session: Session,
    item: RefundRequest,
    *,
    now: datetime,
    with_waiting: bool = False,
    left: FundsLeft | None = None,
) -> Standing:
    """The limits of a request as they are now; `left` where the funds were read before.

    Money that a provider has sent already is not held to the funds: it is gone.
    """
    bounds: list[tuple[int, str]] = []
    creditable_minor = None
    if item.invoice_id is not None:
        creditable_minor = credit_notes.rest_minor(session, item.invoice_id)
        if with_waiting:
            creditable_minor -= waiting_minor(session, invoice_id=item.invoice_id)
        bounds.append((creditable_minor, "above_rest" if item.payment_id is None else "above_creditable"))
    if item.payment_id is None:
        rest = creditable_minor or 0
        return Standing(
            rest_minor=rest, creditable_minor=creditable_minor, funds=None, limit_minor=rest, reason="above_rest"
        )
    rest = rest_minor(session, item.payment_id, but_for=item.provider_refund_id if item.origin == "provider" else None)
    if with_waiting:
        rest -= waiting_minor(session, payment_id=item.payment_id)
    bounds.append((rest, "above_rest"))
    if left is None:
        left = funds(session, now=now, account_id=item.billing_account_id, currency=item.currency)
    if item.origin == "request":
        bounds.append(_funds_bound(session, item, left))
    limit_minor, reason = min(bounds, key=lambda bound: bound[0])  # of equal bounds the first one named binds
    return Standing(
        rest_minor=rest, creditable_minor=creditable_minor, funds=left, limit_minor=max(0, limit_minor), reason=reason
    )


def _funds_bound(session: Session, item: RefundRequest, left: FundsLeft) -> tuple[int, str]:
    """With a credit note first, what it brings into the wallet is what leaves: only what is owed before stands against it."""
    if item.invoice_id is None:
        return max(0, left.minor), "above_funds"
    if settlement.open_minor(session, item.invoice_id) > 0:
        return 0, "invoice_open"  # the credit would go against what is open, not into the wallet
    return (MAX_MINOR if left.minor >= 0 else 0), "above_funds"


def is_disputed(session: Session, item: RefundRequest, found: Standing) -> bool:
    """Whether a dispute stands in the way: of this payment, or one that holds money of the account."""
    if found.funds is None or item.payment_id is None:
        return False
    return found.funds.is_disputed or disputes.is_open(session, payment_id=item.payment_id, with_inquiries=False)


def rest_minor(session: Session, payment_id: str, *, but_for: str | None = None) -> int:
    """What of a payment was neither refunded nor taken back by its bank (minor units).

    Refunds made at the provider's own pages count before anybody has adopted them, but for the one of that provider's id: that one
    has left already, so that what a dispute took beside it does not stand against it.
    """
    payment = session.get_one(Payment, payment_id, populate_existing=True)
    if payment.reversed_at is not None:
        return 0
    foreign = select(func.coalesce(func.sum(ForeignRefund.amount_minor), 0)).where(
        ForeignRefund.payment_id == payment_id,
        ForeignRefund.state != "adopted",
        ForeignRefund.provider_status.not_in(("failed", "canceled")),
        ForeignRefund.provider_refund_id.is_distinct_from(but_for),
    )
    taken = select(func.coalesce(func.sum(Dispute.amount_minor), 0)).where(
        Dispute.payment_id == payment_id, Dispute.funds == "withdrawn", Dispute.currency == payment.currency
    )
    queries = (foreign, taken) if but_for is None else (foreign,)
    gone = sum(int(session.execute(query).scalar_one()) for query in queries)
    return payment.amount_minor - payment.refunded_minor - gone


def waiting_minor(session: Session, *, payment_id: str | None = None, invoice_id: str | None = None) -> int:
    """What undecided requests already ask of the same payment or invoice (minor units)."""
    subject = RefundRequest.payment_id == payment_id if payment_id else RefundRequest.invoice_id == invoice_id
    query = select(func.coalesce(func.sum(RefundRequest.amount_minor), 0)).where(
        subject, RefundRequest.state == "requested", RefundRequest.origin == "request"
    )
    return int(session.execute(query).scalar_one())


def funds(session: Session, *, now: datetime, account_id: str, currency: str) -> FundsLeft:
    """What of the account's money in that currency may leave, by its policy (money.md)."""
    account = directory.get_account(session, account_id)
    held = next((row for row in balances.of_account(session, account_id) if row.currency == currency), None)
    if held is None:
        return FundsLeft(minor=0, is_disputed=False, policy=account.policy)
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
    minor = limits.left_minor(amounts, policy=account.policy, tax_rate_bp=rate_bp)
    return FundsLeft(minor=minor, is_disputed=held.disputed_minor != 0, policy=account.policy, tax_rate_bp=rate_bp)


def _tax_rate_bp(session: Session, account: BillingAccount, now: datetime) -> int:
    """The rate that the pending usage will bear when it is invoiced."""
    if account.prices_include_tax:  # it stands in the pending amounts already
        return 0
    profile = profiles.get_profile(session, account.id)
    seller = directory.get_seller(session, account.seller_id)
    on = now.astimezone(get_zone(account.zone)).date()
    return taxes.treat(session, account=account, seller=seller, profile=profile, on=on).treatment.rate_bp
