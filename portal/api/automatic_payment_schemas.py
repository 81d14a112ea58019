"""The shapes of automatic payments in the API."""

from typing import Literal

from portal.api.values import Instant, Money, Out


class AutomaticTopUp(Out):
    """The figures of automatic top-up; they stay while it is off. `cap` is of a calendar month in the account's zone."""

    is_on: bool
    threshold: Money
    amount: Money
    cap: Money


class AutomaticCharge(Out):
    """One charge of a saved method without the customer. `next_try_on` is set where a decline is tried again."""

    payment_session: str
    trigger: Literal["auto_pay", "auto_top_up"]
    invoice: str | None
    amount: Money
    method: str
    outcome: Literal["pending", "processing", "paid", "declined", "action_required", "never_sent"]
    decline_code: str | None
    next_try_on: str | None
    payment: str | None
    created_at: Instant


class AutomaticPayments(Out):
    """What the account agreed to, and the newest charges. `top_up` is null where no figures were ever given."""

    account: str
    pays_invoices: bool
    top_up: AutomaticTopUp | None
    month: str
    topped_up: Money
    charges: list[AutomaticCharge]
