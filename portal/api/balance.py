"""GET /billing/balance: what the account has and owes, per currency."""

from flask import Response

from billing.invoicing import availability
from billing.ledger.balances import Balance
from portal import services
from portal.api import answers, keys, parameters
from portal.api.schemas import BalanceAnswer, CurrencyBalance
from portal.api.values import Money


@keys.needs("billing.read")
def show_balance() -> Response:
    """Signed: what is owed is negative. Never summed across currencies. With `as_of`, as it was recorded at that instant."""
    parameters.refuse_unknown("account", "as_of")
    as_of = parameters.instant("as_of")
    now = as_of or services.now()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        held = (
            availability.of_account(session, now=now, account_id=account.id)
            if as_of is None
            else availability.as_of(session, now=services.now(), at=as_of, account_id=account.id)
        )
    own = next((one.balance_minor for one in held if one.currency == account.currency), 0)
    return answers.of(
        BalanceAnswer(
            account=account.code,
            as_of=now,
            balance=Money(amount_minor=own, currency=account.currency),
            balances=[_balance(one) for one in held],
        )
    )


def _balance(held: Balance) -> CurrencyBalance:
    names = (
        "balance", "wallet", "promo", "unbilled", "receivable", "disputed", "deferred", "refund_pending", "available",
    )  # fmt: skip
    figures = {name: Money(amount_minor=getattr(held, f"{name}_minor"), currency=held.currency) for name in names}
    return CurrencyBalance(currency=held.currency, **figures)
