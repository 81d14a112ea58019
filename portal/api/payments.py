"""Payment sessions: a tenant's own, all of them for finance, and one brought to what its provider says."""

from datetime import datetime
from typing import Any

from flask import Response

from billing.accounts import directory
from billing.kernel import clock
from billing.kernel.errors import Invalid, NotFound
from billing.payments import sessions
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.recovery import cases, session_list
from billing.payments.recovery.cases import Recovered
from billing.payments.recovery.session_list import Filters, ListedSession, Position
from billing.storage.database import Session
from portal import errors, services
from portal.api import answers, bodies, cursors, keys, parameters
from portal.api.payment_schemas import (
    ComparedField,
    FinanceSession,
    FinanceSessionPage,
    PaymentSession,
    PaymentSessionPage,
    Recovery,
)
from portal.api.values import Money

STATES = session_list.STATES


@keys.needs("billing.read")
def list_payment_sessions() -> Response:
    """A tenant's own, newest first."""
    parameters.refuse_unknown("account", "limit", "cursor", "state")
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        rows = session_list.list_sessions(
            session,
            Filters(account_id=account.id, state=state),
            limit=limit + 1,
            behind=_position(cursors.read(account.id)),
        )
        page = [PaymentSession(**_facts(row, _redirect_url(session, row))) for row in rows[:limit]]
    return answers.of(PaymentSessionPage(data=page, next_cursor=_next(account.id, rows, limit)))


@keys.needs("billing.read")
def show_payment_session(session_id: str) -> Response:
    """One of the account's own; another account's is not there."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        row = session_list.get_session(session, session_id)
        if row.account_id != account.id:
            raise NotFound(payment_session_id=session_id[:80])
        found = PaymentSession(**_facts(row, _redirect_url(session, row)))
    return answers.of(found)


@keys.needs_staff("finance.read")
def list_finance_sessions() -> Response:
    """All accounts', newest first."""
    parameters.refuse_unknown("account", "state", "from", "to", "limit", "cursor")
    limit, state = cursors.limit(), parameters.choice("state", STATES, None)
    code = parameters.text("account")
    with services.database().reading() as session:
        account = directory.find_account_by_code(session, code) if code is not None else None
        if code is not None and account is None:
            raise NotFound(account=code)
        filters = Filters(
            account_id=account.id if account else None,
            state=state,
            from_at=parameters.instant("from"),
            to_at=parameters.instant("to"),
        )
        rows = session_list.list_sessions(session, filters, limit=limit + 1, behind=_position(cursors.read("")))
    page = [_finance(row) for row in rows[:limit]]
    return answers.of(FinanceSessionPage(data=page, next_cursor=_next("", rows, limit)))


@keys.needs_staff("finance.read")
def show_finance_session(session_id: str) -> Response:
    """One of any account."""
    parameters.refuse_unknown()
    with services.database().reading() as session:
        row = session_list.get_session(session, session_id)
    return answers.of(_finance(row))


@keys.needs_staff("finance.run")
def recover_session(session_id: str) -> Response:
    """200 with both sides after the provider was asked; credited at most once. 503 when it gives no clear answer."""
    bodies.require_none()
    with answers.claimed() as claim:
        if isinstance(claim, Response):
            return claim
        with services.database().reading() as session:
            row = session_list.get_session(session, session_id)
        provider = services.services().providers.get(row.provider)
        if provider is None:
            raise Invalid(field="provider", value=row.provider, reason="provider_not_configured")
        try:
            done = cases.recover(
                services.database(), provider, now=services.now(), session_id=row.id, actor=keys.actor()
            )
        except (OutcomeUnknown, ProviderRefused):
            answers.release(claim)
            return errors.problem(
                503,
                code="provider_unreachable",
                title="The payment provider gave no clear answer",
                detail="Nothing was changed. Try again in a minute.",
            )
        with services.database().transaction() as session:
            answer = _recovery(session_list.get_session(session, row.id), done)
            return answers.keep(session, claim, answers.of(answer))


def _recovery(row: ListedSession, done: Recovered) -> Recovery:
    return Recovery(
        session=_finance(row),
        has_changed=done.has_changed,
        verdict=done.comparison.verdict,
        fields=[
            ComparedField(name=field.name, ours=_text(field.ours), theirs=_text(field.theirs), is_same=field.is_same)
            for field in done.comparison.fields
        ],
    )


def _text(value: str | int | datetime | bool | None) -> str | None:
    if isinstance(value, bool):
        return "live" if value else "test"
    if isinstance(value, datetime):
        return clock.to_rfc3339(value)
    return None if value is None else str(value)


def _finance(row: ListedSession) -> FinanceSession:
    return FinanceSession(
        **_facts(row, None),
        trigger=row.trigger,
        created_by=row.created_by,
        provider_object_id=row.object_id,
        provider_payment_id=row.provider_payment_id,
        looked_up_at=row.looked_up_at,
        request_id=row.correlation_id,
    )


def _facts(row: ListedSession, redirect_url: str | None) -> dict[str, Any]:
    return {
        "id": row.id,
        "account": row.account_code,
        "purpose": row.purpose,
        "invoice_id": row.invoice_id,
        "channel": row.channel,
        "amount": Money(amount_minor=row.amount_minor, currency=row.currency),
        "state": row.state,
        "failure": row.failure,
        "provider": row.provider,
        "redirect_url": redirect_url,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
        "payment_id": row.payment_id,
        "method": row.method_label,
        "received_at": row.received_at,
        "refunded": Money(amount_minor=row.refunded_minor, currency=row.currency),
        "transaction_id": row.transaction_id,
    }


def _redirect_url(session: Session, row: ListedSession) -> str | None:
    if row.state != "open":
        return None
    return sessions.get_session(session, account_id=row.account_id, session_id=row.id).redirect_url


def _position(held: Any | None) -> Position | None:
    if held is None:
        return None
    try:
        at, row_id = held
        return Position(created_at=clock.parse_instant(at, field="cursor"), id=str(row_id))
    except (TypeError, ValueError, Invalid):
        raise Invalid(field="cursor", reason="bad_cursor") from None


def _next(owner: str, rows: list[ListedSession], limit: int) -> str | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return cursors.write(owner, [last.created_at.isoformat(), last.id])
