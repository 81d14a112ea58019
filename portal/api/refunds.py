"""Refunds: what was asked back, asking, and taking a request back. A person decides; a key never does."""

from typing import Any

from flask import Response

from billing.accounts import listing
from billing.controls import second_person
from billing.kernel import money as kernel_money
from billing.kernel.errors import Invalid
from billing.payments import refunds
from billing.payments.refund_subjects import Payee
from billing.payments.refunds import RefundRow
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.refund_schemas import (
    FinanceRefund,
    FinanceRefundPage,
    Refund,
    RefundDetail,
    RefundPage,
    RefundPolicy,
    RefundRequest,
    RefundStep,
)
from portal.api.values import Money

STATES = ("requested", "approved", "sent", "unknown", "succeeded", "failed", "rejected")


@keys.needs("billing.read")
def list_refunds() -> Response:
    """Newest first."""
    parameters.refuse_unknown("account", "limit", "cursor", "state")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        page, next_cursor = _page(session, [account.id])
    return answers.of(RefundPage(data=[Refund(**_facts(row)) for row in page], next_cursor=next_cursor))


@keys.needs("billing.read")
def show_refund(refund_id: str) -> Response:
    """One request of the account with its history."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        row = refunds.get_request(session, refund_id=refund_id, account_id=account.id)
        return answers.of(_detail(session, row))


@keys.needs("refund.request")
def request_refund() -> Response:
    """201 with the request. Nothing moves before somebody approves it."""
    asked = bodies.read(RefundRequest)

    def act(session: Session) -> Response:
        account = keys.account_of(session, asked.account)
        return answers.of(Refund(**_facts(_ask(session, account.id, asked))), 201)

    return answers.once(act)


@keys.needs("refund.request")
def cancel_refund(refund_id: str) -> Response:
    """Take back what this key asked for, while nobody has decided it."""
    bodies.require_none()
    parameters.refuse_unknown("account")

    def act(session: Session) -> Response:
        account = keys.account_of(session, parameters.text("account"))
        row = refunds.get_request(session, refund_id=refund_id, account_id=account.id)
        if row.outcome != "withdrawn":
            second_person.withdraw(session, now=services.now(), approval_id=row.approval_id or "", maker=keys.actor())
        return answers.of(_detail(session, refunds.get_request(session, refund_id=row.id)))

    return answers.once(act)


@keys.needs_staff("finance.read")
def list_user_refunds(user_id: str) -> Response:
    """Of all billing accounts of a person's tenants, or of the account of that id or code; newest first."""
    parameters.refuse_unknown("limit", "cursor", "state")
    with services.database().reading() as session:
        account_ids = [account.id for account in listing.of_customer(session, user_id)]
        page, next_cursor = _page(session, account_ids)
    return answers.of(FinanceRefundPage(data=[FinanceRefund(**_finance(row)) for row in page], next_cursor=next_cursor))


@keys.needs_staff("finance.read")
def list_finance_refunds() -> Response:
    """All accounts', newest first."""
    parameters.refuse_unknown("limit", "cursor", "state")
    with services.database().reading() as session:
        page, next_cursor = _page(session, None)
    return answers.of(FinanceRefundPage(data=[FinanceRefund(**_finance(row)) for row in page], next_cursor=next_cursor))


@keys.needs_staff("finance.run")
def request_user_refund(user_id: str) -> Response:
    """Ask for a refund on a customer's behalf; somebody else decides."""
    asked = bodies.read(RefundRequest)

    def act(session: Session) -> Response:
        found = listing.of_customer(session, user_id)
        named = [account for account in found if asked.account in (None, account.code)]
        if len(named) != 1:
            raise Invalid(field="account", value=asked.account, reason="account_needed")
        return answers.of(FinanceRefund(**_finance(_ask(session, named[0].id, asked))), 201)

    return answers.once(act)


def _ask(session: Session, account_id: str, asked: RefundRequest) -> RefundRow:
    return refunds.request(
        session,
        now=services.now(),
        account_id=account_id,
        mode=asked.mode,
        amount=kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency),
        reason=asked.reason,
        form_key=answers.form_key(),
        actor=keys.actor(),
        payment_id=asked.payment_id,
        invoice_id=asked.invoice_id,
        payee=Payee(name=asked.payee.name, iban=asked.payee.iban) if asked.payee else None,
    )


def _page(session: Session, account_ids: list[str] | None) -> tuple[list[RefundRow], str | None]:
    """A part of the accounts' requests, or of everybody's, as the query says."""
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    signed_for = ",".join(account_ids or ())
    before = cursors.read(signed_for)
    if before is not None and not isinstance(before, str):
        raise Invalid(field="cursor", reason="bad_cursor")
    rows = refunds.list_requests(
        session,
        account_ids=account_ids,
        states=(state,) if state else (),
        limit=limit + 1,
        before_id=before,
    )
    page = rows[:limit]
    return page, cursors.write(signed_for, page[-1].id) if len(rows) > limit else None


def _detail(session: Session, row: RefundRow) -> RefundDetail:
    steps = [
        RefundStep(type=step.type, state=step.state, at=step.at) for step in refunds.history(session, refund_id=row.id)
    ]
    return RefundDetail(**_facts(row), steps=steps, policy=_policy(row))


def _policy(row: RefundRow) -> RefundPolicy | None:
    facts = row.policy
    if not facts or "limit_minor" not in facts:
        return None

    def money(name: str) -> Money | None:
        return Money(amount_minor=facts[name], currency=row.currency) if name in facts else None

    return RefundPolicy(
        policy=facts.get("policy"),
        limit=Money(amount_minor=facts["limit_minor"], currency=row.currency),
        rest=Money(amount_minor=facts["rest_minor"], currency=row.currency),
        creditable=money("creditable_minor"),
        funds=money("funds_minor"),
    )


def _facts(row: RefundRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": row.account_code,
        "mode": row.mode,
        "payment_id": row.payment_id,
        "invoice_id": row.invoice_id,
        "amount": Money(amount_minor=row.amount_minor, currency=row.currency),
        "reason": row.reason,
        "state": row.state,
        "outcome": row.outcome,
        "requested_at": row.requested_at,
        "decided_at": row.decided_at,
        "decision_note": row.decision_note,
        "credit_note_id": row.credit_note_id,
        "sent_at": row.sent_at,
        "expected_on": row.expected_on,
        "ended_at": row.ended_at,
        "failure": row.failure,
    }


def _finance(row: RefundRow) -> dict[str, Any]:
    return _facts(row) | {
        "requested_by": row.requested_by,
        "decided_by": row.decided_by,
        "origin": row.origin,
        "provider_refund_id": row.provider_refund_id,
        "provider_status": row.provider_status,
    }
