"""Balance transactions: every movement of the account's money, with Stripe's fee. https://docs.stripe.com/api/balance_transactions"""

from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.params import Params, text
from tests.peers.stripe.route import Route

_FEE_PER_MILLE, _FEE_FIXED = 29, 30
_AVAILABLE_AFTER_S = 2 * 86_400


def fee_of(amount: int) -> int:
    """Stripe's fee for a card: 2.9 % rounded half up, and 30."""
    return (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED


def record(
    account: Account, kind: str, source: Item, amount: int, *, fee: int = 0, description: str | None = None
) -> str:
    """The id of a new movement: positive into the account, available two days later."""
    currency = source["currency"]
    fee_detail = {
        "amount": fee,
        "application": None,
        "currency": currency,
        "description": "Stripe processing fees",
        "type": "stripe_fee",
    }
    item = account.add(
        "txn",
        "balance_transaction",
        {
            "amount": amount,
            "available_on": account.clock.now() + _AVAILABLE_AFTER_S,
            "balance_type": "payments",
            "currency": currency,
            "description": description,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [fee_detail] if fee else [],
            "net": amount - fee,
            "reporting_category": kind,
            "source": source["id"],
            "status": "pending",
            "type": kind,
        },
    )
    account.later(item["available_on"], lambda: item.update(status="available"))
    return str(item["id"])


def retrieve(account: Account, params: Params, transaction_id: str) -> Item:
    """GET /v1/balance_transactions/{id}."""
    return account.get("balance_transaction", transaction_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/balance_transactions, by type, source and currency."""
    wanted = {name: text(params, name) for name in ("type", "source", "currency")}
    return Page(
        [
            item
            for item in account.all("balance_transaction")
            if all(value in (None, item[name]) for name, value in wanted.items())
        ]
    )


ROUTES = [
    Route("GET", "/v1/balance_transactions", list_all, "type source currency created"),
    Route("GET", "/v1/balance_transactions/{transaction_id}", retrieve),
]
