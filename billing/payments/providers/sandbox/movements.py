"""Movements of the sandbox's balance: what is paid in, given back and paid out, with a fee as a card provider takes it."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from billing.kernel import clock
from billing.payments.providers.sandbox.memory import Memory
from billing.reference import provider_currencies

_FEE_PER_MILLE, _FEE_FIXED = 29, 30
_AVAILABLE_AFTER = timedelta(days=2)
KIND = "balance_transaction"


def fee_of(amount: int, currency: str) -> int:
    """What the sandbox takes of a charge, in its own units: 2.9 % rounded half up and 30, cut to the currency's steps, at most all."""
    step = provider_currencies.stripe_scale(currency.upper()).step
    fee = (amount * _FEE_PER_MILLE + 500) // 1000 + _FEE_FIXED
    return min(amount, fee - fee % step)


class Movements(Memory):
    """Writes down movements. Every part that moves money stands on it."""

    def move(
        self,
        session: Session,
        *,
        type: str,
        source: dict[str, Any],
        amount: int,
        now: datetime,
        fee: int = 0,
        payment_id: str | None = None,
        available_after: timedelta = _AVAILABLE_AFTER,
    ) -> dict[str, Any]:
        """A new movement of `source` (its id, object and currency), positive into the balance; in the caller's transaction.

        `amount` and `fee` are in the sandbox's own units, which are Stripe's.
        """
        body = {
            "object": KIND,
            "type": type,
            "reporting_category": type,
            "amount": amount,
            "fee": fee,
            "net": amount - fee,
            "currency": source["currency"],
            "exchange_rate": None,
            "description": None,
            "source": source["id"],
            "source_kind": source["object"],
            "payment_intent": payment_id,
            "created": clock.to_millis(now) // 1000,
            "available_on": clock.to_millis(now + available_after) // 1000,
            "payout": None,  # which automatic payout paid it out
        }
        return self.add(session, KIND, "txn", None, body, None, reference=source["id"], parent_id=payment_id)
