"""The shapes of the balance at the provider in the API."""

from portal.api.values import Instant, Money, Out


class ProviderHolding(Out):
    """One currency: `ours` is what the ledger says the provider holds, `available` and `pending` what it says itself."""

    currency: str
    ours: Money
    available: Money
    pending: Money
    difference: Money
    unexplained: Money
    unexplained_count: int
    read_at: Instant | None


class ProviderMovement(Out):
    """One movement of the balance, signed: into it is positive, net = amount - fee. `presented` is what the customer saw. `reason` says
    why it is not explained; `source`, `refund`, `dispute`, `payout` and `paid_out_by` are the provider's ids."""

    id: str
    provider: str
    provider_id: str
    type: str
    category: str
    amount: Money
    fee: Money
    net: Money
    presented: Money
    exchange_rate: str | None
    created_at: Instant
    available_at: Instant
    state: str
    reason: str | None
    account: str | None
    payment_id: str | None
    refund_id: str | None
    source: str | None
    refund: str | None
    dispute: str | None
    payout: str | None
    paid_out_by: str | None


class ProviderBalancePage(Out):
    """What the provider holds per currency, and its movements, newest first."""

    balances: list[ProviderHolding]
    data: list[ProviderMovement]
    next_cursor: str | None
