"""Refunds: the queue, one case with its effect on the ledger and its limits, and the decision by a second person."""

from typing import Any, Literal

from flask import abort, flash, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField, TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import people
from billing.accounts.errors import AlreadyDecided
from billing.controls import second_person
from billing.kernel.errors import Refusal
from billing.payments import foreign_refunds, refund_methods
from billing.payments import refunds as room
from billing.payments.refunds import RefundRow
from portal import access, errors, htmx, refund_words, sentences, services
from portal.fields import KeyedForm
from portal.operator import refund_cases, words
from portal.operator.refund_cases import Case
from portal.tenant.query import Query, chip, option, path_key

STATES = ("requested", "approved", "sent", "unknown", "succeeded", "failed", "rejected")
_ON_THE_WAY = ("approved", "sent", "unknown")
_SIZE = 50
_NOTE_MAX = 500
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


@access.requires_staff("finance.read")
def refunds() -> Response:
    """All requests by state and way; those to decide the oldest first, others the newest first."""
    query = Query()
    state, mode, page = query.choice("state", STATES, ""), query.choice("mode", refund_methods.MODES, ""), query.page()
    now = services.now()
    with services.database().reading() as session:
        counts = room.count_requests(session, states=STATES, mode=mode or None)
        oldest = room.oldest_waiting(session)
        foreign = foreign_refunds.count_open(session)
        rows = room.list_requests(
            session,
            states=(state,) if state else (),
            mode=mode or None,
            limit=_SIZE,
            offset=(page - 1) * _SIZE,
            is_oldest_first=state == "requested",
        )
        names = people.names_of(session, [row.requested_by for row in rows])
    options = [option(f"All {sum(counts.values())}", not state, state=None)]
    options += [option(f"{_TITLES[name]} {counts[name]}", name == state, state=name) for name in STATES]
    chips = [chip("State", _TITLES[state], "state")] if state else []
    chips += [chip("Way", refund_words.MODES[mode], "mode")] if mode else []
    return htmx.render(
        "operator/refunds/index.html",
        "operator/refunds/_list.html",
        rows=[
            (row, words.actor(row.requested_by, names), int((now - row.requested_at).total_seconds())) for row in rows
        ],
        total=counts[state] if state else sum(counts.values()),
        waiting=counts["requested"],
        figures_of=[
            (_TITLES[name], counts[name], int((now - oldest[name]).total_seconds()) if name in oldest else None, name)
            for name in room.WAITING
        ],
        foreign=foreign,
        page=page,
        size=_SIZE,
        state=state,
        mode=mode,
        modes=[("", "Every way"), *refund_words.MODES.items()],
        words=refund_words.mode,
        options=options,
        chip_rows=chips,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def refunds_detail(refund_id: str) -> Response:
    """One case. While money is on its way, the page asks again."""
    with services.database().reading() as session:
        case = refund_cases.find(session, path_key(refund_id))
    decided_at = case.row.decided_at
    waits = case.row.state in _ON_THE_WAY and decided_at is not None and case.row.mode == "card" and not case.is_late
    every = htmx.poll_pace((services.now() - decided_at).total_seconds()) if waits and decided_at else None
    return htmx.render(
        "operator/refunds/detail.html",
        "operator/refunds/_case.html",
        case=case,
        every=every,
        may_decide=_may_decide(case),
        may_act="refund.request" in access.current_principal().staff_permissions,
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
        case = refund_cases.find(session, refund_id)
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
