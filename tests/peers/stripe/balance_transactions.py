"""Balance transactions: every movement of the account's money, with Stripe's fee. https://docs.stripe.com/api/balance_transactions"""

from decimal import ROUND_HALF_UP, Decimal

from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.answers import Page
from tests.peers.stripe.errors import Refused
from tests.peers.stripe.params import Params, text
from tests.peers.stripe.route import Route

_FEE_PER_MILLE, _FEE_FIXED = 29, 30
_AVAILABLE_AFTER_S = 2 * 86_400
# Types whose reporting category is another word. https://docs.stripe.com/reports/reporting-categories
_CATEGORIES = {
    "stripe_fee": "fee",
    "payout_failure": "payout_reversal",
    "payout_cancel": "payout_reversal",
    "payment": "charge",
}


def fee_of(amount: int) -> int:
    """Stripe's fee for a card: 2.9 % rounded half up, and 30."""
    return (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED


def record(
    account: Account,
    kind: str,
    source: Item,
    amount: int,
    *,
    fee: int | None = 0,
    description: str | None = None,
    available_after_s: int = _AVAILABLE_AFTER_S,
) -> str:
    """The id of a new movement: positive into the account, available two days later. Without a `fee` Stripe takes its own.

    Where the account settles that currency in another one (`account.settles`), amount and own fee are in the other one.
    """
    currency, rate = account.settles.get(source["currency"], (source["currency"], None))
    amount = amount if rate is None else _half_up(amount * Decimal(rate))
    fee = fee_of(amount) if fee is None else fee
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
            "available_on": account.clock.now() + available_after_s,
            "balance_type": "payments",
            "currency": currency,
            "description": description,
            "exchange_rate": None if rate is None else float(rate),
            "fee": fee,
            "fee_details": [fee_detail] if fee else [],
            "net": amount - fee,
            "reporting_category": _CATEGORIES.get(kind, kind),
            "source": source["id"] or None,
            "status": "pending" if available_after_s else "available",
            "type": kind,
        },
    )
    account.later(item["available_on"], lambda: item.update(status="available"))
    return str(item["id"])


def _half_up(value: Decimal) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def retrieve(account: Account, params: Params, transaction_id: str) -> Item:
    """GET /v1/balance_transactions/{id}."""
    return account.get("balance_transaction", transaction_id)


def list_all(account: Account, params: Params) -> Page:
    """GET /v1/balance_transactions, by type, source, currency and automatic payout."""
    wanted = {name: text(params, name) for name in ("type", "source", "currency")}
    payout = text(params, "payout")
    if payout is not None and not account.get("payout", payout, "payout")["automatic"]:
        raise Refused(
            400,
            "Balance transaction history can only be filtered on automatic payouts, not manual.",
            param="payout",
        )
    return Page(
        [
            item
            for item in account.all("balance_transaction")
            if all(value in (None, item[name]) for name, value in wanted.items())
            and payout in (None, account.paid_out.get(item["id"]))
        ]
    )


ROUTES = [
    Route("GET", "/v1/balance_transactions", list_all, "type source currency payout created"),
    Route("GET", "/v1/balance_transactions/{transaction_id}", retrieve),
]
