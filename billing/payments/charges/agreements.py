"""What an account's people agreed to be charged for without being asked each time, and the words they agreed to."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, heads
from billing.accounts.tables import Seller
from billing.kernel.errors import Conflict, Invalid
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.payments import checkout
from billing.payments.charges import intents
from billing.payments.charges.tables import AutomaticPayments, ChargeConsent
from billing.payments.customers import methods
from billing.payments.customers.methods import MethodRow
from billing.payments.errors import AmountOutOfRange
from billing.reference import provider_currencies
from billing.storage import audit

_MOST_TOP_UPS = 100  # the cap is at most so many times the largest top-up


@dataclass(frozen=True, kw_only=True)
class TopUp:
    """When the wallet is filled, by how much, and how much in a month of the account's zone at most."""

    threshold: Money
    amount: Money
    cap: Money


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What is in force for an account. `top_up` keeps the figures while it is off; `off_reason` says why we turned it off."""

    account_id: str
    currency: str
    is_paying: bool
    is_topping_up: bool
    top_up: TopUp | None
    paying_since: datetime | None
    off_reason: str | None
    version: int
    updated_by: str | None
    updated_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ConsentRow:
    """Who agreed or ended it, when, in which words."""

    id: str
    purpose: str
    act: str
    wording: str
    method_label: str | None
    facts: dict[str, Any]
    actor: str
    recorded_at: datetime


def get(session: Session, account_id: str) -> Agreement:
    """The agreement in force; version 0 with everything off where nobody ever agreed."""
    item = session.get(AutomaticPayments, account_id)
    if item is None:
        currency = currencies.invoice_currency_of(directory.get_account(session, account_id))
        return Agreement(
            account_id=account_id,
            currency=currency,
            is_paying=False,
            is_topping_up=False,
            top_up=None,
            paying_since=None,
            off_reason=None,
            version=0,
            updated_by=None,
            updated_at=None,
        )
    return _row(item)


def change(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    is_paying: bool,
    is_topping_up: bool,
    top_up: TopUp | None,
    version: int,
    providers: Iterable[str],
    actor: str,
) -> Agreement:
    """Put an agreement in force and keep the consent to what it turns on or changes. Locks the account's head.

    `version` is the one that the person looked at. What is in force already stays without a trace. Raises Conflict(changed_meanwhile),
    Invalid(no_payment_method, method_refused) where there is nothing to charge, AmountOutOfRange, Invalid(cap_below_amount).
    """
    heads.lock_one(session, account_id)
    before = get(session, account_id)
    if before.version != version:
        raise Conflict(account_id=account_id, version=before.version, reason="changed_meanwhile")
    if is_topping_up:
        if top_up is None:
            raise Invalid(field="amount", reason="top_up_without_amount")
        check_top_up(session, account_id, top_up)
    else:
        top_up = top_up or before.top_up
    starts_paying = is_paying and not before.is_paying
    starts_top_up = is_topping_up and (not before.is_topping_up or top_up != before.top_up)
    method = _method(session, account_id, providers) if starts_paying or starts_top_up else None
    after = _store(session, now, before, is_paying, is_topping_up, top_up, actor)
    if after == before:
        return before
    seller = seller_name(session, account_id)
    if starts_paying:
        _consent(session, now, after, "auto_pay", "agreed", paying_wording(seller), method, actor)
    if starts_top_up and top_up is not None:
        _consent(session, now, after, "auto_top_up", "agreed", top_up_wording(seller, top_up), method, actor)
    if before.is_paying and not is_paying:
        _consent(session, now, after, "auto_pay", "withdrawn", "", None, actor)
    if before.is_topping_up and not is_topping_up:
        _consent(session, now, after, "auto_top_up", "withdrawn", "", None, actor)
    return after


def check_top_up(session: Session, account_id: str, top_up: TopUp) -> None:
    """Raises AmountOutOfRange, Invalid(currency_mismatch, not_payable, cap_below_amount, cap_out_of_range, threshold_negative)."""
    currency = currencies.invoice_currency_of(directory.get_account(session, account_id))
    for money in (top_up.threshold, top_up.amount, top_up.cap):
        if money.currency != currency:
            raise Invalid(field="currency", value=money.currency, expected=currency, reason="currency_mismatch")
    least, most = checkout.limits(currency)
    if not least.minor <= top_up.amount.minor <= most.minor:
        raise AmountOutOfRange(
            field="amount",
            amount_minor=top_up.amount.minor,
            min_minor=least.minor,
            max_minor=most.minor,
            currency=currency,
        )
    provider_currencies.require_payable(top_up.amount)
    if not 0 <= top_up.threshold.minor <= most.minor:
        raise Invalid(field="threshold", max_minor=most.minor, currency=currency, reason="threshold_out_of_range")
    if top_up.cap.minor < top_up.amount.minor:
        raise Invalid(field="cap", amount_minor=top_up.amount.minor, currency=currency, reason="cap_below_amount")
    if top_up.cap.minor > most.minor * _MOST_TOP_UPS:
        raise Invalid(field="cap", max_minor=most.minor * _MOST_TOP_UPS, currency=currency, reason="cap_out_of_range")


def list_consents(session: Session, account_id: str, *, limit: int = 20) -> list[ConsentRow]:
    """Who agreed to what and ended it, newest first."""
    rows = session.scalars(
        select(ChargeConsent)
        .where(ChargeConsent.billing_account_id == account_id)
        .order_by(ChargeConsent.id.desc())
        .limit(limit)
    )
    return [
        ConsentRow(
            id=row.id,
            purpose=row.purpose,
            act=row.act,
            wording=row.wording,
            method_label=row.method_label,
            facts=row.facts,
            actor=row.actor,
            recorded_at=row.recorded_at,
        )
        for row in rows
    ]


def paying_wording(seller: str) -> str:
    """What a person agrees to who lets invoices be paid; for a debit the mandate was given when the account was saved."""
    return (
        f"I authorise {seller} to charge the default payment method of this billing account for each issued invoice, with the "
        "amount that is open on it, on the days of the payment calendar shown here, until I turn this off. The invoice tells me "
        "of each charge beforehand, its receipt afterwards."
    )


def top_up_wording(seller: str, top_up: TopUp) -> str:
    """What a person agrees to who lets the wallet be filled, with the figures as codes and plain decimals."""
    return (
        f"I authorise {seller} to charge the default payment method of this billing account with {_plain(top_up.amount)} whenever "
        f"what is available falls below {_plain(top_up.threshold)}, at most {_plain(top_up.cap)} in a calendar month, until I "
        "turn this off. Each charge is told by its receipt."
    )


def seller_name(session: Session, account_id: str) -> str:
    """Who charges: the account's seller."""
    seller_id = directory.get_account(session, account_id).seller_id
    return session.get_one(Seller, seller_id).legal_name


def _method(session: Session, account_id: str, providers: Iterable[str]) -> MethodRow:
    for name in providers:
        found = methods.default_method(session, account_id=account_id, provider=name)
        if found is not None:
            if intents.is_refused(session, account_id, found.id):
                raise Invalid(field="method", label=found.label, reason="method_refused")
            return found
    raise Invalid(field="method", reason="no_payment_method")


def _store(
    session: Session,
    now: datetime,
    before: Agreement,
    is_paying: bool,
    is_topping_up: bool,
    top_up: TopUp | None,
    actor: str,
) -> Agreement:
    if (is_paying, is_topping_up, top_up) == (before.is_paying, before.is_topping_up, before.top_up):
        return before
    item = session.get(AutomaticPayments, before.account_id)
    if item is None:
        item = AutomaticPayments(billing_account_id=before.account_id, currency=before.currency, version=0)
        session.add(item)
    item.is_paying, item.is_topping_up = is_paying, is_topping_up
    if top_up is not None:
        item.currency = top_up.amount.currency
        item.threshold_minor, item.amount_minor = top_up.threshold.minor, top_up.amount.minor
        item.cap_minor = top_up.cap.minor
    item.paying_since = (before.paying_since or now) if is_paying else None
    item.off_reason = None
    item.version, item.updated_by, item.updated_at = before.version + 1, actor, now
    facts = {
        "is_paying": is_paying,
        "is_topping_up": is_topping_up,
        "threshold_minor": item.threshold_minor,
        "amount_minor": item.amount_minor,
        "cap_minor": item.cap_minor,
        "currency": item.currency,
        "version": item.version,
    }
    audit.record(
        session,
        now=now,
        actor=actor,
        act="automatic_payments.change",
        subject_type="billing_account",
        subject_id=before.account_id,
        billing_account_id=before.account_id,
        facts=facts,
    )
    session.flush()
    return _row(item)


def _consent(
    session: Session,
    now: datetime,
    after: Agreement,
    purpose: str,
    act: str,
    wording: str,
    method: MethodRow | None,
    actor: str,
) -> None:
    facts: dict[str, Any] = {"version": after.version}
    if purpose == "auto_top_up" and after.top_up is not None:
        facts |= {
            "threshold_minor": after.top_up.threshold.minor,
            "amount_minor": after.top_up.amount.minor,
            "cap_minor": after.top_up.cap.minor,
            "currency": after.currency,
        }
    session.add(
        ChargeConsent(
            id=new_id("con"),
            billing_account_id=after.account_id,
            purpose=purpose,
            act=act,
            wording=wording,
            method_label=None if method is None else method.label,
            facts=facts,
            actor=actor,
            recorded_at=now,
        )
    )
    session.flush()


def _row(item: AutomaticPayments) -> Agreement:
    top_up = None
    if item.threshold_minor is not None and item.amount_minor is not None and item.cap_minor is not None:
        threshold, amount, cap = (
            Money(minor=minor, currency=item.currency)
            for minor in (item.threshold_minor, item.amount_minor, item.cap_minor)
        )
        top_up = TopUp(threshold=threshold, amount=amount, cap=cap)
    return Agreement(
        account_id=item.billing_account_id,
        currency=item.currency,
        is_paying=item.is_paying,
        is_topping_up=item.is_topping_up,
        top_up=top_up,
        paying_since=item.paying_since,
        off_reason=item.off_reason,
        version=item.version,
        updated_by=item.updated_by,
        updated_at=item.updated_at,
    )


def _plain(money: Money) -> str:
    return f"{money.currency} {money.to_decimal()}"
