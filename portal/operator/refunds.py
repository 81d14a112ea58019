"""Refunds: the queue, one case with its effect on the ledger and its limits, and the decision by a second person."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from flask import abort, flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField, TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import approval_list, listing, people
from billing.accounts.errors import AlreadyDecided
from billing.assurance import timeline
from billing.controls import second_person
from billing.invoicing import settlement
from billing.kernel.errors import Refusal
from billing.ledger import balances
from billing.ledger.balances import Balance
from billing.payments import refunds as room
from billing.payments import sessions
from billing.payments.refunds import RefundLimits, RefundRow
from billing.payments.sessions import PaymentRow
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import words
from portal.tenant.query import Query, chip, option, path_key

STATES = ("requested", "approved", "sent", "unknown", "succeeded", "failed", "rejected")
_ON_THE_WAY = ("approved", "sent", "unknown")
_SIZE = 50
_NOTE_MAX = 500
_MANY = 10_000
_TITLES = {
    "requested": "To decide",
    "approved": "Approved",
    "sent": "Sent",
    "unknown": "Outcome unknown",
    "succeeded": "Succeeded",
    "failed": "Failed",
    "rejected": "Rejected",
}


class ApproveForm(KeyedForm):
    """An approval of what the page showed; the note is for the record."""

    content_hash = HiddenField()
    note = TextAreaField("Note", [Length(max=_NOTE_MAX, message=f"At most {_NOTE_MAX} characters.")])


class RejectForm(KeyedForm):
    """A rejection; the tenant reads the reason."""

    note = TextAreaField(
        "Reason",
        [
            DataRequired("Say why, so that the tenant understands."),
            Length(max=_NOTE_MAX, message=f"At most {_NOTE_MAX} characters."),
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Movement:
    """One entry that the decision leads to: when, from which book account to which, how much."""

    when: str
    debit: str
    credit: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything about one request that a decision stands on."""

    row: RefundRow
    limits: RefundLimits | None
    movements: tuple[Movement, ...]
    held: Balance
    wallet_after_minor: int
    balance_after_minor: int
    payment: PaymentRow | None
    requested_by: str
    decided_by: str | None
    stands_until: datetime | None
    fault: str | None  # why it can no longer be approved, in a sentence
    is_own: bool
    history: list[dict[str, Any]]


@access.requires_staff("finance.read")
def refunds() -> Response:
    """All requests, newest first, by state."""
    query = Query()
    state, page = query.choice("state", STATES, ""), query.page()
    now = services.now()
    with services.database().reading() as session:
        counts = room.count_requests(session, states=STATES)
        rows = room.list_requests(session, states=(state,) if state else (), limit=_SIZE, offset=(page - 1) * _SIZE)
        names = people.names_of(session, [row.requested_by for row in rows])
    options = [option(f"All {sum(counts.values())}", not state, state=None)]
    options += [option(f"{_TITLES[name]} {counts[name]}", name == state, state=name) for name in STATES]
    return htmx.render(
        "operator/refunds/index.html",
        "operator/refunds/_list.html",
        rows=[
            (row, words.actor(row.requested_by, names), int((now - row.requested_at).total_seconds())) for row in rows
        ],
        total=counts[state] if state else sum(counts.values()),
        waiting=counts["requested"],
        page=page,
        size=_SIZE,
        state=state,
        options=options,
        chips=[chip("State", _TITLES[state], "state")] if state else [],
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def refunds_detail(refund_id: str) -> Response:
    """One case. While money is on its way, the page asks again."""
    with services.database().reading() as session:
        case = _case(session, path_key(refund_id))
    decided_at = case.row.decided_at
    waits = case.row.state in _ON_THE_WAY and decided_at is not None
    every = htmx.poll_pace((services.now() - decided_at).total_seconds()) if waits and decided_at else None
    return htmx.render(
        "operator/refunds/detail.html",
        "operator/refunds/_case.html",
        case=case,
        every=every,
        may_decide=_may_decide(case),
    )


@access.requires_staff("refund.approve", fresh=True)
def refunds_approve(refund_id: str) -> Response:
    """Check, then let the money go."""
    return _decide(path_key(refund_id), "approve", ApproveForm())


@access.requires_staff("refund.approve", fresh=True)
def refunds_reject(refund_id: str) -> Response:
    """Say why not."""
    return _decide(path_key(refund_id), "reject", RejectForm())


def _decide(refund_id: str, act: Literal["approve", "reject"], form: Any) -> Response:
    """The check page, or the decision itself. The server refuses one's own request whatever the page showed."""
    with services.database().reading() as session:
        case = _case(session, refund_id)
    url = url_for("operator.refunds_detail", refund_id=refund_id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            _act(case.row, act, form)
        except Refusal as refusal:
            if isinstance(refusal, AlreadyDecided) and _is_repeat(refund_id, act):
                return htmx.redirect(url)
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            if act == "reject":  # an approved case says by itself how far it is
                flash("The refund is rejected.", "good")
            return htmx.redirect(url)
    elif form.is_submitted():
        status = 422
    elif case.is_own:
        abort(403)
    elif not _may_decide(case):
        return htmx.redirect(url)
    form.ensure_key()
    if act == "approve":
        form.content_hash.data = case.row.content_hash  # what this page shows, also after a refusal
    return htmx.render(
        f"operator/refunds/{act}.html",
        f"operator/refunds/{act}.html",
        status=status,
        case=case,
        form=form,
        refusals=refusals,
    )


def _act(row: RefundRow, act: Literal["approve", "reject"], form: Any) -> None:
    checker, now, note = access.current_principal().id, services.now(), form.note.data or ""
    approval_id = row.approval_id or ""
    with services.database().transaction() as session:
        if act == "approve":
            second_person.approve(
                session,
                now=now,
                approval_id=approval_id,
                content_hash=form.content_hash.data or "",
                checker=checker,
                note=note,
            )
        else:
            second_person.reject(session, now=now, approval_id=approval_id, checker=checker, note=note)


def _is_repeat(refund_id: str, act: Literal["approve", "reject"]) -> bool:
    """Whether the same person has just decided the same: a second click, which is no conflict."""
    with services.database().reading() as session:
        row = room.get_request(session, refund_id=refund_id)
    return row.decided_by == access.current_principal().id and (row.state == "rejected") == (act == "reject")


def _may_decide(case: Case) -> bool:
    may = "refund.approve" in access.current_principal().staff_permissions
    return may and case.row.state == "requested" and not case.is_own


def _case(session: Session, refund_id: str) -> Case:
    row = room.get_request(session, refund_id=refund_id)
    account = listing.get_account(session, row.billing_account_id)
    g.zone = account.zone
    held = balances.of_account(session, account.id, currency=row.currency)[0]
    names = people.names_of(session, [row.requested_by, row.decided_by])
    approval = approval_list.get_approval(session, row.approval_id) if row.approval_id else None
    fault = second_person.find_fault(session, approval) if approval and row.state == "requested" else None
    movements = _movements(session, row)
    to_wallet = sum(m.amount_minor for m in movements if m.credit == "Wallet") - sum(
        m.amount_minor for m in movements if m.debit == "Wallet"
    )
    to_receivable = sum(m.amount_minor for m in movements if m.credit == "Receivable")
    return Case(
        row=row,
        limits=room.limits_of(session, now=services.now(), refund_id=row.id) if row.state == "requested" else None,
        movements=movements,
        held=held,
        wallet_after_minor=held.wallet_minor + to_wallet,
        balance_after_minor=held.balance_minor + to_wallet + to_receivable,
        payment=_find_payment(session, row),
        requested_by=words.actor(row.requested_by, names),
        decided_by=words.actor(row.decided_by, names) if row.decided_by else None,
        stands_until=approval.expires_at if approval and row.state == "requested" else None,
        fault=sentences.of(fault) if fault else None,
        is_own=row.requested_by == access.current_principal().id,
        history=words.timeline_of(timeline.of_subject(session, row.id, subject_type="refund_request"), own_id=row.id),
    )


def _movements(session: Session, row: RefundRow) -> tuple[Movement, ...]:
    """What approval posts, in the order in which it happens."""
    if row.mode == "card":
        return (
            Movement(when="On approval", debit="Wallet", credit="Refunds held", amount_minor=row.amount_minor),
            Movement(
                when="When the provider confirms",
                debit="Refunds held",
                credit="Cash at the provider",
                amount_minor=row.amount_minor,
            ),
        )
    opened = min(row.amount_minor, settlement.open_minor(session, row.invoice_id or ""))
    parts = (("Receivable", opened), ("Wallet", row.amount_minor - opened))
    return tuple(
        Movement(when="On approval", debit="Revenue and VAT", credit=credit, amount_minor=minor)
        for credit, minor in parts
        if minor
    )


def _find_payment(session: Session, row: RefundRow) -> PaymentRow | None:
    if row.payment_id is None:
        return None
    found = sessions.list_payments(session, account_id=row.billing_account_id, limit=_MANY)
    return next((payment for payment in found if payment.id == row.payment_id), None)
