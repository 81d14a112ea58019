"""Our payment session and the provider's object, field by field. No session, no network: only what is the same and what is not."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from billing.payments.providers.port import CheckoutState, PaymentFacts

# What follows from the difference as a whole; the portal has a sentence for each.
Verdict = Literal[
    "same",
    "not_there",
    "paid_there",
    "paid_here",
    "other_payment",
    "amount",
    "currency",
    "mode",
    "reference",
    "state",
]
_OPEN = ("created", "open", "unknown")


@dataclass(frozen=True, kw_only=True)
class Ours:
    """Our row and its credit. Amounts in minor units."""

    session_id: str
    object_id: str | None
    state: str
    amount_minor: int
    currency: str
    is_live: bool
    payment_id: str | None
    credited_minor: int | None
    credited_at: datetime | None
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class Theirs:
    """The provider's object in our words and our scale. `state` is open, processing, paid, failed or expired."""

    object_id: str
    state: str
    reference: str | None
    amount_minor: int
    currency: str
    is_live: bool
    payment_id: str | None
    received_minor: int | None
    paid_at: datetime | None
    fee_minor: int | None
    fee_currency: str | None
    failure: str | None


@dataclass(frozen=True, kw_only=True)
class Field:
    """One fact on both sides. `kind` says how to show it: id, word, money, instant, mode."""

    name: str
    kind: str
    ours: str | int | datetime | bool | None
    theirs: str | int | datetime | bool | None
    is_same: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Both sides. `verdict` is the difference that matters most; `is_recoverable`: fetching again brings us to what they say."""

    ours: Ours
    theirs: Theirs | None
    fields: tuple[Field, ...]
    verdict: Verdict

    @property
    def is_recoverable(self) -> bool:
        """Whether a fetch can settle it without anybody deciding anything."""
        return self.verdict in ("paid_there", "state") or (self.verdict == "not_there" and self.ours.state in _OPEN)


def compare(ours: Ours, theirs: Theirs | None) -> Comparison:
    """Every field, the same or not, and what it comes to."""
    if theirs is None:
        return Comparison(ours=ours, theirs=None, fields=(), verdict="not_there")
    same_amount = (ours.amount_minor, ours.currency) == (theirs.amount_minor, theirs.currency)
    paid = (ours.credited_minor, ours.payment_id is not None) == (theirs.received_minor, theirs.payment_id is not None)
    fields = (
        Field(
            name="object",
            kind="id",
            ours=ours.object_id,
            theirs=theirs.object_id,
            is_same=_fits(ours.object_id, theirs.object_id),
        ),
        Field(
            name="reference",
            kind="id",
            ours=ours.session_id,
            theirs=theirs.reference,
            is_same=ours.session_id == theirs.reference,
        ),
        Field(
            name="mode", kind="mode", ours=ours.is_live, theirs=theirs.is_live, is_same=ours.is_live == theirs.is_live
        ),
        Field(
            name="state",
            kind="word",
            ours=ours.state,
            theirs=theirs.state,
            is_same=_same_state(ours.state, theirs.state),
        ),
        Field(
            name="currency",
            kind="word",
            ours=ours.currency,
            theirs=theirs.currency,
            is_same=ours.currency == theirs.currency,
        ),
        Field(name="amount", kind="money", ours=ours.amount_minor, theirs=theirs.amount_minor, is_same=same_amount),
        Field(name="received", kind="money", ours=ours.credited_minor, theirs=theirs.received_minor, is_same=paid),
        Field(
            name="payment",
            kind="id",
            ours=ours.payment_id,
            theirs=theirs.payment_id,
            is_same=ours.payment_id == theirs.payment_id,
        ),
        Field(
            name="received_at",
            kind="instant",
            ours=ours.credited_at,
            theirs=theirs.paid_at,
            is_same=_same_time(ours, theirs),
        ),
    )
    return Comparison(ours=ours, theirs=theirs, fields=fields, verdict=_verdict(ours, theirs))


def state_of(state: CheckoutState, payment: PaymentFacts | None) -> str:
    """The provider's object in one word: paid, processing, failed, expired or open."""
    if payment is not None and payment.state in ("paid", "processing"):
        return payment.state
    if state == "expired":
        return "expired"
    return "failed" if state == "complete" and payment is not None and payment.state == "failed" else "open"


def _verdict(ours: Ours, theirs: Theirs) -> Verdict:
    if ours.is_live != theirs.is_live:
        return "mode"
    if ours.session_id != theirs.reference:
        return "reference"
    if ours.currency != theirs.currency:
        return "currency"
    if ours.amount_minor != theirs.amount_minor or theirs.received_minor not in (None, ours.amount_minor):
        return "amount"
    if ours.payment_id is None and theirs.payment_id is not None:
        return "paid_there"
    if ours.payment_id is not None and theirs.payment_id is None:
        return "paid_here"
    if ours.payment_id != theirs.payment_id:
        return "other_payment"
    return "same" if _same_state(ours.state, theirs.state) else "state"


def _same_state(ours: str, theirs: str) -> bool:
    return ours == theirs or (ours == "open" and theirs == "processing")


def _same_time(ours: Ours, theirs: Theirs) -> bool:
    """Both or neither: ours is theirs, unless their clock was ahead of ours when we took it."""
    return (ours.credited_at is None) == (theirs.paid_at is None or theirs.payment_id is None)


def _fits(ours: str | None, theirs: str) -> bool:
    return ours is None or ours == theirs
