"""GET /billing/account and /billing/currency-settings: who is billed, and in which currencies."""

from flask import Response

from billing.accounts import currencies, directory, profiles
from billing.accounts.listing import AccountRow
from billing.kernel import money as kernel_money
from billing.ledger import balances
from billing.payments import checkout
from portal import services
from portal.api import answers, keys, parameters
from portal.api.schemas import Account, Address, BuyerProfile, CurrencySetting, CurrencySettings
from portal.api.values import Money


@keys.needs("billing.read")
def show_account() -> Response:
    """The account with what its next invoice says about the buyer."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        profile = profiles.get_profile(session, account.id)
    return answers.of(
        Account(
            account=account.code,
            name=account.name,
            kind=account.kind,
            policy=account.policy,
            currency=account.currency,
            zone=account.zone,
            opened_at=account.opened_at,
            profile=BuyerProfile(
                legal_name=profile.legal_name,
                address=Address(
                    street=profile.street, city=profile.city, postcode=profile.postcode, country=profile.country
                ),
                vat_id=profile.vat_id,
                email=profile.email,
                purchase_order=profile.purchase_order,
                updated_at=profile.updated_at,
            ),
        )
    )


@keys.needs("billing.read")
def show_currency_settings() -> Response:
    """The account's own currency first, then every other that has moved."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        held = balances.of_account(session, account.id)
        invoiced = currencies.invoice_currency_of(directory.get_account(session, account.id))
    others = sorted({invoiced, *(one.currency for one in held)} - {account.currency})
    return answers.of(
        CurrencySettings(
            account=account.code,
            currency=account.currency,
            invoice_currency=invoiced,
            currencies=[_setting(account, currency) for currency in (account.currency, *others)],
        )
    )


def _setting(account: AccountRow, currency: str) -> CurrencySetting:
    is_own = currency == account.currency
    least, most = checkout.limits(currency) if is_own else (None, None)
    return CurrencySetting(
        currency=currency,
        exponent=kernel_money.exponent(currency),
        is_account_currency=is_own,
        top_up_min=_money(least),
        top_up_max=_money(most),
    )


def _money(amount: kernel_money.Money | None) -> Money | None:
    return None if amount is None else Money(amount_minor=amount.minor, currency=amount.currency)
