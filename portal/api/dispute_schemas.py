"""The shapes of disputes in the API."""

from typing import Annotated

from pydantic import Field

from portal.api.values import In, Instant, Money, Out


class Dispute(Out):
    """A dispute on its two axes. `held` is what the bank holds now, `lost` what was finally lost.

    Without an account it is about a payment that we do not know: `finding` says so, and nothing is posted.
    """

    id: str
    account: str | None
    payment_id: str | None
    invoice: str | None
    provider: str
    provider_dispute_id: str
    is_inquiry: bool
    state: str
    funds: str
    finding: str | None
    amount: Money
    held: Money
    lost: Money
    reason: str
    network_reason_code: str | None
    due_by: Instant | None
    submission_count: int
    opened_at: Instant
    ended_at: Instant | None


class DisputePage(Out):
    """Some disputes, newest first."""

    data: list[Dispute]
    next_cursor: str | None


class DisputeEvent(Out):
    """One thing that happened. `amount` is signed as the account's balance moved."""

    type: str
    amount: Money | None
    balance_transaction: str | None
    transaction_id: str | None
    occurred_at: Instant


class DisputePosting(Out):
    """One entry in the ledger."""

    transaction_id: str
    kind: str
    debit: str
    credit: str
    amount: Money
    recorded_at: Instant


class DisputeAnswer(Out):
    """One final answer: evidence or acceptance. `sha256` is of the bytes that were submitted and are kept."""

    id: str
    kind: str
    state: str
    sha256: str
    failure: str | None
    created_at: Instant
    ended_at: Instant | None


class DisputeDetail(Dispute):
    """A dispute with the answer as it is now, what happened, what was posted, what was answered."""

    texts: dict[str, str]
    files: list[str]
    history: list[DisputeEvent]
    postings: list[DisputePosting]
    answers: list[DisputeAnswer]


class EvidenceRequest(In):
    """Texts by the provider's field names, in place of those there (none: as they are). `submit` sends the answer, for good."""

    texts: Annotated[dict[str, str], Field(max_length=40)] | None = None
    submit: bool = False
