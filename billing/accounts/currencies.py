"""In which currency an account is invoiced, and in which a seller's tax office counts. Charges stay in the one they are priced in."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import BillingAccount, Seller
from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.storage import audit

EURO_AREA = frozenset(
    [
        "AT",
        "BE",
        "BG",
        "CY",
        "DE",
        "EE",
        "ES",
        "FI",
        "FR",
        "GR",
        "HR",
        "IE",
        "IT",
        "LT",
        "LU",
        "LV",
        "MT",
        "NL",
        "PT",
        "SI",
        "SK",
    ]
)
_NATIONAL = {
    "CH": "CHF",
    "CZ": "CZK",
    "DK": "DKK",
    "GB": "GBP",
    "HU": "HUF",
    "LI": "CHF",
    "NO": "NOK",
    "PL": "PLN",
    "RO": "RON",
    "SE": "SEK",
    "US": "USD",
}


@dataclass(frozen=True, kw_only=True)
class SellerCurrencies:
    """A seller with the currency of its books and of its tax office; `expected` is its country's, where we know it."""

    code: str
    name: str
    country: str
    functional_currency: str
    tax_currency: str
    expected: str | None


@dataclass(frozen=True, kw_only=True)
class AccountCurrencies:
    """A billing account that is invoiced in another currency than it is priced in."""

    id: str
    code: str
    name: str
    currency: str
    invoice_currency: str


def national_currency(country: str) -> str | None:
    """The money of a country's tax office, None where we do not know it."""
    return "EUR" if country in EURO_AREA else _NATIONAL.get(country)


def invoice_currency_of(account: BillingAccount) -> str:
    """The currency of the account's invoices."""
    return account.invoice_currency or account.currency


def list_sellers(session: Session) -> list[SellerCurrencies]:
    """All sellers, by code."""
    return [
        SellerCurrencies(
            code=seller.code,
            name=seller.legal_name,
            country=seller.country,
            functional_currency=seller.functional_currency,
            tax_currency=seller.tax_currency or seller.functional_currency,
            expected=national_currency(seller.country),
        )
        for seller in session.scalars(select(Seller).order_by(Seller.code))
    ]


def list_converted(session: Session) -> list[AccountCurrencies]:
    """The accounts that are invoiced in another currency than they are priced in, by code."""
    rows: Sequence[BillingAccount] = session.scalars(
        select(BillingAccount)
        .where(BillingAccount.invoice_currency.is_not(None), BillingAccount.invoice_currency != BillingAccount.currency)
        .order_by(BillingAccount.code)
    ).all()
    return [
        AccountCurrencies(
            id=row.id, code=row.code, name=row.name, currency=row.currency, invoice_currency=row.invoice_currency or ""
        )
        for row in rows
    ]


def set_tax_currency(session: Session, *, now: datetime, seller_code: str, currency: str, actor: str) -> Seller:
    """The currency in which the seller's VAT is stated beside the document's (BT-6), from the next issue on. Flushes.

    Raises Invalid for an unknown seller or currency.
    """
    money.exponent(currency)
    seller = directory.find_seller_by_code(session, seller_code)
    if seller is None:
        raise Invalid(field="seller", value=seller_code[:40], reason="unknown_seller")
    seller.tax_currency = None if currency == seller.functional_currency else currency
    facts = {"tax_currency": currency}
    audit.record(
        session,
        now=now,
        actor=actor,
        act="seller.tax_currency",
        subject_type="seller",
        subject_id=seller.id,
        facts=facts,
    )
    session.flush()
    return seller


def set_invoice_currency(
    session: Session, *, now: datetime, account_code: str, currency: str, actor: str
) -> BillingAccount:
    """The currency of the account's invoices from the next draft on; its own currency ends the conversion. Locks its head; flushes.

    Raises NotFound, Invalid for an unknown currency or a prepaid account, which is invoiced in its wallet's currency.
    """
    money.exponent(currency)
    account = directory.get_account_by_code(session, account_code)
    heads.lock_one(session, account.id)
    if account.policy == "prepaid" and currency != account.currency:
        raise Invalid(field="currency", value=currency, expected=account.currency, reason="prepaid_has_one_currency")
    account.invoice_currency = None if currency == account.currency else currency
    audit.record(
        session,
        now=now,
        actor=actor,
        act="account.invoice_currency",
        subject_type="billing_account",
        subject_id=account.id,
        billing_account_id=account.id,
        facts={"invoice_currency": currency},
    )
    session.flush()
    return account
