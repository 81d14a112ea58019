"""Shapes of refunds in the API."""

from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from portal.api.values import In, Instant, Money, Out

Reason = Annotated[str, Field(min_length=1, max_length=500)]


class PayeeIn(In):
    """Whose bank account the money goes to."""

    name: Annotated[str, Field(min_length=1, max_length=70)]
    iban: Annotated[str, Field(min_length=15, max_length=42, examples=["DE89 3704 0044 0532 0130 00"])]


class RefundRequest(In):
    """Money back: to the card or the bank account of a payment, or as a credit note on an invoice.

    With a payment and an invoice, the invoice is credited first and the money goes back in the same decision.
    """

    account: str | None = None
    mode: Literal["card", "bank", "credit"]
    payment_id: str | None = None
    invoice_id: str | None = None
    payee: PayeeIn | None = None
    amount: Money
    reason: Reason

    @model_validator(mode="after")
    def _names_its_subject(self) -> "RefundRequest":
        if (self.payment_id is None) != (self.mode == "credit"):
            raise ValueError("Modes card and bank name a payment_id, mode credit none.")
        if self.mode == "credit" and self.invoice_id is None:
            raise ValueError("Mode credit names an invoice_id.")
        if (self.payee is not None) != (self.mode == "bank"):
            raise ValueError("Mode bank names a payee, other modes none.")
        return self


class Refund(Out):
    """A refund request; `state` is requested, approved, sent, succeeded, failed, rejected or unknown.

    `outcome` is refunded, credited, released (it never left), returned (it came back), rejected, withdrawn or expired.
    """

    id: str
    account: str
    mode: str
    payment_id: str | None
    invoice_id: str | None
    amount: Money
    reason: str
    state: str
    outcome: str | None
    requested_at: Instant
    decided_at: Instant | None
    decision_note: str | None
    credit_note_id: str | None
    sent_at: Instant | None
    expected_on: date | None
    ended_at: Instant | None
    failure: str | None


class RefundPage(Out):
    """Requests, newest first."""

    data: list[Refund]
    next_cursor: str | None


class RefundStep(Out):
    """One step of a request, and the state behind it."""

    type: str
    state: str
    at: Instant


class RefundPolicy(Out):
    """What the last decision stood on: the account's policy and what was left of the payment, of the invoice and of the funds."""

    policy: str | None
    limit: Money
    rest: Money
    creditable: Money | None
    funds: Money | None


class RefundDetail(Refund):
    """A request with its history, oldest first, and the rule that its limit stood on."""

    steps: list[RefundStep]
    policy: RefundPolicy | None


class FinanceRefund(Refund):
    """A request as finance sees it: who asked and decided, and what the provider says."""

    requested_by: str
    decided_by: str | None
    origin: str
    provider_refund_id: str | None
    provider_status: str | None


class FinanceRefundPage(Out):
    """Requests of a customer's billing accounts, newest first."""

    data: list[FinanceRefund]
    next_cursor: str | None
