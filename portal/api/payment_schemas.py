"""The shapes of payments in the API: a session, what became of it, and both sides beside each other."""

from portal.api.values import Instant, Money, Out


class PaymentSession(Out):
    """One intent to pay. `state` is created, open, unknown, paid, failed or expired; `channel` is checkout or off_session.

    `payment_id`, `received_at` and what follows are there once it is paid; `failure` is a stable word.
    """

    id: str
    account: str
    purpose: str
    invoice_id: str | None
    channel: str
    amount: Money
    state: str
    failure: str | None
    provider: str
    redirect_url: str | None
    created_at: Instant
    updated_at: Instant
    payment_id: str | None
    method: str | None
    received_at: Instant | None
    refunded: Money
    transaction_id: str | None


class PaymentSessionPage(Out):
    """Sessions, newest first."""

    data: list[PaymentSession]
    next_cursor: str | None


class FinanceSession(PaymentSession):
    """The same with the provider's ids, for the operator's own machines."""

    trigger: str
    created_by: str
    provider_object_id: str | None
    provider_payment_id: str | None
    looked_up_at: Instant | None
    request_id: str | None


class FinanceSessionPage(Out):
    """Sessions of all accounts, newest first."""

    data: list[FinanceSession]
    next_cursor: str | None


class ComparedField(Out):
    """One fact here and at the provider; both as text, None where a side has nothing."""

    name: str
    ours: str | None
    theirs: str | None
    is_same: bool


class Recovery(Out):
    """What fetching again has led to. `verdict` is same, not_there, paid_there, paid_here, other_payment, amount, currency, mode,
    reference or state; `fields` is empty when the provider has nothing of it."""

    session: FinanceSession
    has_changed: bool
    verdict: str
    fields: list[ComparedField]
