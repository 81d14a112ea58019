"""What an account has left to use when the tax of its pending usage is counted in (money.md, "Prepaid").

available = wallet + receivable + disputed + R((unbilled + promo + deferred) x (1 + tax rate)); of `deferred` only what can pay.
A commitment pays charges of its families in its time. Money for other families or of a time that is over pays nothing that is
owed: it counts for what it covers of pending charges. What is left of a commitment that runs counts too; where it is for some
families only, as long as nothing beyond it is owed.
"""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import directory, profiles
from billing.accounts.tables import BillingAccount
from billing.invoicing import contracts
from billing.invoicing.taxes import service as taxes
from billing.kernel.clock import get_zone
from billing.ledger import balances
from billing.ledger.balances import Balance
from billing.ledger.entries import BALANCE_NAMES


def of_account(session: Session, *, now: datetime, account_id: str, currency: str | None = None) -> list[Balance]:
    """The account's balances as `balances.of_account` gives them, each with what is available by these rules."""
    account = directory.get_account(session, account_id)
    rate_bp = tax_rate_bp(session, account, now=now)
    held = balances.of_account(session, account_id, tax_rate_bp=rate_bp, currency=currency)
    return [_usable(session, now, account_id, one, rate_bp) if one.deferred_minor else one for one in held]


def as_of(session: Session, *, now: datetime, at: datetime, account_id: str) -> list[Balance]:
    """The balances at an instant, at today's rate. What commitments could pay then is not kept: all of `deferred` counts."""
    account = directory.get_account(session, account_id)
    return balances.as_of(session, account_id, at, tax_rate_bp=tax_rate_bp(session, account, now=now))


def tax_rate_bp(session: Session, account: BillingAccount, *, now: datetime) -> int:
    """The rate in basis points that pending usage will bear when it is invoiced; 0 where its prices hold the tax already."""
    if account.prices_include_tax:
        return 0
    profile, seller = profiles.get_profile(session, account.id), directory.get_seller(session, account.seller_id)
    on = now.astimezone(get_zone(account.zone)).date()
    return taxes.treat(session, account=account, seller=seller, profile=profile, on=on).treatment.rate_bp


def _usable(session: Session, now: datetime, account_id: str, held: Balance, rate_bp: int) -> Balance:
    covered = contracts.covered(session, account_id=account_id, currency=held.currency)
    running = [
        (one, left - covered.get(one.id, 0))
        for one, left in contracts.all_left(session, account_id)
        if one.currency == held.currency and one.starts_at <= now < one.ends_at
    ]
    for_all = sum(left for one, left in running if not one.families)
    for_some = sum(left for one, left in running if one.families)
    pays = sum(covered.values()) + for_all
    available = _with_deferred(held, pays, rate_bp)
    if available >= 0:
        available = _with_deferred(held, pays + for_some, rate_bp)
    return replace(held, available_minor=available)


def _with_deferred(held: Balance, deferred_minor: int, rate_bp: int) -> int:
    amounts = {name: getattr(held, f"{name}_minor") for name in BALANCE_NAMES}
    return balances.available_minor(amounts | {"deferred": deferred_minor}, rate_bp)
