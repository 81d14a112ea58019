"""Approvals: what waits for a second person, one request with what exactly it would do, and the decision."""

from dataclasses import dataclass
from typing import Any, Literal

from flask import abort, flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField, TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import approval_list, listing, people
from billing.accounts.approval_list import STATES, ApprovalRow
from billing.accounts.approvals import ACTS, REASON_MAX
from billing.accounts.errors import AlreadyDecided
from billing.assurance import timeline
from billing.controls import second_person
from billing.kernel.errors import Refusal
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import effects, words
from portal.operator.effects import Effect
from portal.tenant.query import Query, chip, option, path_key

Decision = Literal["approve", "reject"]
_SIZE = 50
_TITLES = {
    "requested": "To decide",
    "approved": "Approved",
    "rejected": "Rejected",
    "withdrawn": "Withdrawn",
    "expired": "Expired",
}


class ApproveForm(KeyedForm):
    """An approval of what the page showed; the note is for the record."""

    content_hash = HiddenField()
    note = TextAreaField("Note", [Length(max=REASON_MAX, message=f"At most {REASON_MAX} characters.")])


class RejectForm(KeyedForm):
    """A rejection; whoever asked reads the reason."""

    note = TextAreaField(
        "Reason",
        [
            DataRequired("Say why, so that whoever asked understands."),
            Length(max=REASON_MAX, message=f"At most {REASON_MAX} characters."),
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything about one request that a decision stands on. `fault` says in a sentence why it can no longer be approved."""

    row: ApprovalRow
    title: str
    verb: str  # the title as it stands behind "Approve"
    state: str
    maker: str
    checker: str | None
    effect: Effect
    fault: str | None
    is_own: bool
    may_decide: bool
    history: list[dict[str, Any]]


@access.requires_staff("finance.read")
def approvals() -> Response:
    """Requests by state and act; those to decide first, the oldest of them on top."""
    query, now = Query(), services.now()
    state = query.choice("state", (*STATES, "all"), "requested")
    act, page = query.choice("act", tuple(ACTS), ""), query.page()
    with services.database().reading() as session:
        counts = approval_list.count_approvals(session, act=act or None)
        rows = approval_list.list_approvals(
            session,
            state=None if state == "all" else state,
            act=act or None,
            limit=_SIZE,
            offset=(page - 1) * _SIZE,
        )
        names = people.names_of(session, [row.maker for row in rows])
    options = [option(f"{_TITLES[name]} {counts[name]}", name == state, state=name) for name in STATES]
    options.append(option(f"All {sum(counts.values())}", state == "all", state="all"))
    return htmx.render(
        "operator/approvals/index.html",
        "operator/approvals/_list.html",
        rows=[
            {
                "row": row,
                "name": effects.name_of(row),
                "amount": effects.amount_of(row),
                "maker": words.actor(row.maker, names),
                "age_s": int((now - row.requested_at).total_seconds()),
                "left_s": int((row.expires_at - now).total_seconds()),
                "state": _state(row),
                "is_own": row.maker == access.current_principal().id,
            }
            for row in rows
        ],
        total=sum(counts.values()) if state == "all" else counts[state],
        waiting=counts["requested"],
        page=page,
        size=_SIZE,
        state=state,
        act=act,
        options=options,
        acts=[("", "Every act"), *((rule.code, rule.words) for rule in ACTS.values())],
        chips=[chip("Act", ACTS[act].words, "act")] if act else [],
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def approvals_detail(approval_id: str) -> Response:
    """One request. Refunds have pages of their own, with their limits and their way to the card."""
    with services.database().reading() as session:
        row = approval_list.get_approval(session, path_key(approval_id))
        if _is_refund(row):
            return htmx.redirect(url_for("operator.refunds_detail", refund_id=row.subject_id))
        case = _case(session, row)
    return htmx.render("operator/approvals/detail.html", "operator/approvals/detail.html", case=case)


@access.requires_staff("ledger.approve", fresh=True)
def approvals_approve(approval_id: str) -> Response:
    """Check, then let it happen."""
    return _decide(path_key(approval_id), "approve", ApproveForm())


@access.requires_staff("ledger.approve", fresh=True)
def approvals_reject(approval_id: str) -> Response:
    """Say why not."""
    return _decide(path_key(approval_id), "reject", RejectForm())


@access.requires_staff("ledger.correct", fresh=True)
def approvals_withdraw(approval_id: str) -> Response:
    """Take one's own request back, of whatever kind: who asks for corrections also asks for refunds. A second click finds it done."""
    approval_id, maker = path_key(approval_id), access.current_principal().id
    try:
        with services.database().transaction() as session:
            row = second_person.withdraw(session, now=services.now(), approval_id=approval_id, maker=maker)
    except AlreadyDecided as refusal:
        if refusal.fields.get("state") != "withdrawn":
            raise
        return htmx.redirect(url_for("operator.approvals_detail", approval_id=approval_id))
    flash("The request is withdrawn. Nothing was posted.", "good")
    return htmx.redirect(url_for("operator.approvals_detail", approval_id=row.id))


def _decide(approval_id: str, act: Decision, form: Any) -> Response:
    """The check page, or the decision itself. The server refuses one's own request whatever the page showed."""
    with services.database().reading() as session:
        row = approval_list.get_approval(session, approval_id)
        if _is_refund(row):
            return htmx.redirect(url_for(f"operator.refunds_{act}", refund_id=row.subject_id))
        case = _case(session, row)
    url = url_for("operator.approvals_detail", approval_id=approval_id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            _act(approval_id, act, form)
        except Refusal as refusal:
            if isinstance(refusal, AlreadyDecided) and _is_repeat(approval_id, act):
                return htmx.redirect(url)
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            approved = "Approved and posted." if case.effect.postings else "Approved."
            flash(approved if act == "approve" else "Rejected. Nothing was posted.", "good")
            return htmx.redirect(url)
    elif form.is_submitted():
        status = 422
    elif case.is_own or ACTS[row.act].checker not in access.current_principal().staff_permissions:
        abort(403)
    elif row.is_over(services.now()):
        return htmx.redirect(url)
    form.ensure_key()
    if act == "approve":
        form.content_hash.data = row.content_hash  # what this page shows, also after a refusal
    template = f"operator/approvals/{act}.html"
    return htmx.render(template, template, status=status, case=case, form=form, refusals=refusals)


def _act(approval_id: str, act: Decision, form: Any) -> None:
    checker, now, note = access.current_principal().id, services.now(), form.note.data or ""
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


def _is_repeat(approval_id: str, act: Decision) -> bool:
    """Whether the same person has just decided the same: a second click, which is no conflict."""
    with services.database().reading() as session:
        row = approval_list.get_approval(session, approval_id)
    done = {"approve": "approved", "reject": "rejected"}[act]
    return (row.checker, row.state) == (access.current_principal().id, done)


def _is_refund(row: ApprovalRow) -> bool:
    return row.subject_type == "refund_request"


def _state(row: ApprovalRow) -> str:
    """The state as it is now: one whose time is over is expired, also before the job has marked it."""
    return "expired" if row.state == "requested" and row.is_over(services.now()) else row.state


def _lowered(title: str) -> str:
    return title[:1].lower() + title[1:]


def _case(session: Session, row: ApprovalRow) -> Case:
    if row.billing_account_id is not None:
        g.zone = listing.get_account(session, row.billing_account_id).zone
    names = people.names_of(session, [row.maker, row.checker])
    fault = second_person.find_fault(session, row) if row.state == "requested" else None
    viewer = access.current_principal()
    is_own = row.maker == viewer.id
    return Case(
        row=row,
        title=effects.title_of(row),
        verb=_lowered(effects.title_of(row)),
        state=_state(row),
        maker=words.actor(row.maker, names),
        checker=words.actor(row.checker, names) if row.checker else None,
        effect=effects.of(session, row),
        fault=sentences.of(fault) if fault else None,
        is_own=is_own,
        may_decide=ACTS[row.act].checker in viewer.staff_permissions and not is_own and not row.is_over(services.now()),
        history=words.timeline_of(timeline.of_subject(session, row.id, subject_type="approval"), own_id=row.id),
    )
