"""The balance at Stripe: its transactions, their fees, and payouts."""

from datetime import datetime
from typing import Any

from billing.kernel.clock import to_millis
from billing.payments.providers import cash_facts
from billing.payments.providers.ports.cash import BalanceFacts, BalancePage, PayoutFacts
from billing.payments.providers.stripe.calls import StripeCalls

_EXPAND_SOURCE = ["data.source"]
_EXPAND_PAYOUT = ["destination", "balance_transaction", "failure_balance_transaction"]


class Cash(StripeCalls):
    """ports.cash, spoken to Stripe."""

    def fetch_balance(self) -> list[BalanceFacts]:
        """The account's payments balance."""
        return cash_facts.balance_facts(self.call(lambda client: client.v1.balance.retrieve().to_dict()))

    def list_balance_transactions(
        self, *, since: datetime | None, until: datetime | None, after: str | None = None, limit: int = 100
    ) -> BalancePage:
        """Stripe lists by whole seconds, newest first; those that come later never stand behind one that was there before."""
        created = {name: to_millis(at) // 1000 for name, at in (("gte", since), ("lte", until)) if at is not None}
        return self._list({"created": created} if created else {}, after, limit)

    def list_payout_contents(self, payout_id: str, *, after: str | None = None, limit: int = 100) -> BalancePage:
        """By the filter of that name, which Stripe has for automatic payouts only."""
        return self._list({"payout": payout_id}, after, limit)

    def fetch_payout(self, payout_id: str) -> PayoutFacts:
        """With the bank account that it goes to, and what it moved."""
        params: Any = {"expand": _EXPAND_PAYOUT}
        return cash_facts.payout_facts(
            self.call(lambda client: client.v1.payouts.retrieve(payout_id, params).to_dict())
        )

    def _list(self, wanted: dict[str, Any], after: str | None, limit: int) -> BalancePage:
        behind = {"starting_after": after} if after else {}
        params: Any = wanted | behind | {"limit": limit, "expand": _EXPAND_SOURCE}
        found = self.call(lambda client: client.v1.balance_transactions.list(params).to_dict())
        return cash_facts.page(found["data"], has_more=found["has_more"])
