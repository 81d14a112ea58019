"""The balance at the provider: its transactions, their fees, and payouts, in our words. The rules of `port` hold."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol

from billing.kernel.money import Money

PayoutState = Literal["pending", "in_transit", "paid", "failed", "canceled"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a balance transaction comes from: the provider's kind of object and its id, and the ids it leads to.

    `presented` is the amount in the currency that the customer saw, signed as the balance transaction; another currency than
    its own means that the provider converted.
    """

    kind: str | None = None
    id: str | None = None
    payment_id: str | None = None
    charge_id: str | None = None
    refund_id: str | None = None
    dispute_id: str | None = None
    payout_id: str | None = None
    presented: Money | None = None


@dataclass(frozen=True, kw_only=True)
class BalanceTransactionFacts:
    """One movement of the balance, signed: into it is positive. net = amount - fee, all in its own currency.

    `unreadable` names what could not be read; the amounts are then 0 and mean nothing. `exchange_rate` is text, for people only.
    """

    id: str
    type: str
    category: str
    amount: Money
    fee: Money
    net: Money
    created_at: datetime
    available_at: datetime
    source: Source
    exchange_rate: str | None = None
    description: str | None = None
    unreadable: str | None = None

    def __post_init__(self) -> None:
        if self.amount.minor - self.fee.minor != self.net.minor:
            raise ValueError("net is amount less fee")


@dataclass(frozen=True, kw_only=True)
class PayoutFacts:
    """A payout as the provider holds it now: `amount` leaves for the bank. Only of an automatic one the provider says what is in it.

    `transactions` are the movements that took the money out and, after a failure, brought it back, where they were asked for.
    """

    id: str
    state: PayoutState
    amount: Money
    is_automatic: bool
    is_live: bool
    created_at: datetime
    arrives_on: date | None
    method: str | None = None
    destination: str | None = None
    statement_text: str | None = None
    trace: str | None = None
    failure_code: str | None = None
    failure: str | None = None
    transactions: tuple[BalanceTransactionFacts, ...] = ()
    contents_are_known: bool = False


@dataclass(frozen=True, kw_only=True)
class BalancePage:
    """One page of balance transactions, newest first. `payouts` are those that movements on it belong to; `after` asks for the next."""

    transactions: tuple[BalanceTransactionFacts, ...]
    payouts: tuple[PayoutFacts, ...] = ()
    after: str | None = None


@dataclass(frozen=True, kw_only=True)
class BalanceFacts:
    """What the provider holds for us in one currency now: what it may pay out, and what is not available yet."""

    available: Money
    pending: Money


class CashPort(Protocol):
    """What a provider does for it."""

    def fetch_balance(self) -> list[BalanceFacts]:
        """What the provider holds for us, one row for each currency."""

    def list_balance_transactions(
        self, *, since: datetime | None, until: datetime | None, after: str | None = None, limit: int = 100
    ) -> BalancePage:
        """Those created from `since` to `until`, both included, newest first, behind the one called `after`. To whole seconds."""

    def list_payout_contents(self, payout_id: str, *, after: str | None = None, limit: int = 100) -> BalancePage:
        """The balance transactions that an automatic payout pays out, its own among them. Raises ProviderRefused for a manual one."""

    def fetch_payout(self, payout_id: str) -> PayoutFacts:
        """The payout as it is now, with its own movements."""
