"""Disputes and early warnings at the provider, in our words. The rules of `port` hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from billing.kernel.money import Money


@dataclass(frozen=True, kw_only=True)
class DisputeMovement:
    """One balance transaction of a dispute, gross: `amount` in the dispute's currency, below zero when it was withdrawn.

    `fee` is what the provider takes beside it, in the balance transaction's own currency; below zero when it is given back.
    """

    id: str
    amount: Money
    fee: Money
    created_at: datetime


@dataclass(frozen=True, kw_only=True)
class DisputeFacts:
    """A dispute as the provider holds it now. `amount` may differ from the payment's; an inquiry moves no money.

    `payment_id` is the provider's id of the payment, `payment_reference` our id that it carries. `submission_count` counts the answers that the provider has passed on,
    `answered_by` is the reference of ours that the last of them carried.
    """

    id: str
    payment_id: str | None
    charge_id: str | None
    amount: Money
    reason: str
    network_reason_code: str | None
    status: str
    is_inquiry: bool
    is_live: bool
    due_by: datetime | None
    submission_count: int
    opened_at: datetime
    payment_reference: str | None = None
    answered_by: str | None = None
    movements: tuple[DisputeMovement, ...] = ()


@dataclass(frozen=True, kw_only=True)
class WarningFacts:
    """A card issuer's early word that a payment may be fraud."""

    id: str
    payment_id: str | None
    charge_id: str | None
    fraud_type: str
    is_actionable: bool
    is_live: bool
    warned_at: datetime


@dataclass(frozen=True, kw_only=True)
class EvidenceFile:
    """A file that was never given to the provider; `reference` is our file's id and the idempotency key of giving it."""

    reference: str
    name: str
    media_type: str
    content: bytes


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Evidence to be submitted, for good. `reference` is our submission's id and the idempotency key; `files`: field -> its id there."""

    reference: str
    dispute_id: str
    texts: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)


class DisputesPort(Protocol):
    """What a provider does for it."""

    def fetch_dispute(self, dispute_id: str) -> DisputeFacts:
        """The dispute as it is now, with its balance transactions."""

    def list_disputes(self, *, since: datetime) -> list[DisputeFacts]:
        """All disputes opened at or after that time, newest first."""

    def give_file(self, file: EvidenceFile) -> str:
        """Hand over a piece of evidence; its id there. The same file again within 24 h gives the same id."""

    def submit_evidence(self, answer: Answer) -> DisputeFacts:
        """Answer the dispute, for good. The same answer again within 24 h is the same answer."""

    def accept_dispute(self, *, reference: str, dispute_id: str) -> DisputeFacts:
        """Give the dispute up: it is lost. `reference` is the idempotency key."""

    def fetch_warning(self, warning_id: str) -> WarningFacts:
        """The early warning as it is now."""
