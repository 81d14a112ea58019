"""GET and POST /billing/refunds: what was asked back, and asking. A person decides; a key never does."""

from flask import Response

from billing.kernel import money as kernel_money
from billing.kernel.errors import Invalid
from billing.payments import refunds
from billing.payments.refunds import RefundRow
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.schemas import Refund, RefundPage, RefundRequest
from portal.api.values import Money

STATES = ("requested", "approved", "sent", "unknown", "succeeded", "failed", "rejected")


@keys.needs("billing.read")
def list_refunds() -> Response:
    """Newest first."""
    parameters.refuse_unknown("account", "limit", "cursor", "state")
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        before = cursors.read(account.id)
        if before is not None and not isinstance(before, str):
            raise Invalid(field="cursor", reason="bad_cursor")
        rows = refunds.list_requests(
            session, account_id=account.id, states=(state,) if state else (), limit=limit + 1, before_id=before
        )
    page = rows[:limit]
    return answers.of(
        RefundPage(
            data=[_refund(row) for row in page],
            next_cursor=cursors.write(account.id, page[-1].id) if len(rows) > limit else None,
        )
    )


@keys.needs("refund.request")
def request_refund() -> Response:
    """201 with the request. Nothing moves before somebody approves it."""
    asked = bodies.read(RefundRequest)

    def act(session: Session) -> Response:
        account = keys.account_of(session, asked.account)
        row = refunds.request(
            session,
            now=services.now(),
            account_id=account.id,
            mode=asked.mode,
            amount=kernel_money.Money(minor=asked.amount.amount_minor, currency=asked.amount.currency),
            reason=asked.reason,
            form_key=answers.form_key(),
            actor=keys.actor(),
            payment_id=asked.payment_id,
            invoice_id=asked.invoice_id,
        )
        return answers.of(_refund(row), 201)

    return answers.once(act)


def _refund(row: RefundRow) -> Refund:
    return Refund(
        id=row.id,
        account=row.account_code,
        mode=row.mode,
        payment_id=row.payment_id,
        invoice_id=row.invoice_id,
        amount=Money(amount_minor=row.amount_minor, currency=row.currency),
        reason=row.reason,
        state=row.state,
        requested_at=row.requested_at,
        decided_at=row.decided_at,
        decision_note=row.decision_note,
        credit_note_id=row.credit_note_id,
        ended_at=row.ended_at,
    )
