"""Payments at the provider that are not credited here: each is given to an account by two people, or closed with a reason."""

from flask import flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import StringField, TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import approvals, directory, names, people
from billing.assurance import timeline
from billing.kernel.errors import Invalid, Refusal
from billing.payments.recovery import linking, unmatched
from billing.payments.recovery.unmatched import UnmatchedRow
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import payment_words, words
from portal.tenant.query import Query, option, path_key

_SIZE = 50


class LinkForm(KeyedForm):
    """Whose the payment is, and why one thinks so."""

    account = StringField(
        "Billing account",
        [DataRequired("Enter the account's code."), Length(max=200, message="Use at most 200 characters.")],
    )
    invoice = StringField("Invoice number", [Length(max=60, message="Use at most 60 characters.")])
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say how it is known whose payment this is: whoever approves it reads it."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


class CloseForm(KeyedForm):
    """Why the payment is not credited to anybody."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: it is kept with the payment."),
            Length(max=unmatched.REASON_MAX, message=f"At most {unmatched.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def unmatched_payments() -> Response:
    """What is to be decided, oldest first; also what was."""
    query, now = Query(), services.now()
    state, kind = query.choice("state", unmatched.STATES, "open"), query.choice("kind", unmatched.KINDS, "")
    page = query.page()
    with services.database().reading() as session:
        total, oldest_at = unmatched.count_rows(session, state=state, kind=kind or None)
        rows = unmatched.list_rows(session, state=state, kind=kind or None, limit=_SIZE, offset=(page - 1) * _SIZE)
        listings = unmatched.list_listings(session)
    states = [option(label, name == state, state=name) for name, label in payment_words.UNMATCHED_STATES.items()]
    kinds = [option("All", not kind, kind=None)]
    kinds += [option(label, name == kind, kind=name) for name, (label, _) in payment_words.KINDS.items()]
    return htmx.render(
        "operator/unmatched/index.html",
        "operator/unmatched/_list.html",
        rows=rows,
        total=total,
        oldest_age_s=None if oldest_at is None else int((now - oldest_at).total_seconds()),
        listings=listings,
        state=state,
        kind=kind,
        states=states,
        kinds=kinds,
        page=page,
        size=_SIZE,
        notices=query.notices,
        words=payment_words,
        now=now,
    )


@access.requires_staff("finance.read")
def unmatched_payments_detail(unmatched_id: str) -> Response:
    """One of them: what the provider says, whose it may be, what was asked for it."""
    with services.database().reading() as session:
        row = unmatched.get_row(session, path_key(unmatched_id))
        asked = approvals.find_open(session, act=linking.ACT, subject_id=row.id)
        posted = linking.find_posted(session, row.id)
        happened = timeline.of_subject(session, row.id, subject_type=linking.SUBJECT)
        named = people.names_of(session, [row.ended_by])
    may = access.current_principal().staff_permissions
    return htmx.render(
        "operator/unmatched/detail.html",
        "operator/unmatched/detail.html",
        row=row,
        asked_id=asked,
        posted_id=posted,
        ended_by=words.actor(row.ended_by, named) if row.ended_by else None,
        history=words.timeline_of(happened, own_id=row.id),
        words=payment_words,
        may_link="ledger.correct" in may,
        may_close="payments.manage" in may,
    )


@access.requires_staff("ledger.correct", fresh=True)
def unmatched_payments_link(unmatched_id: str) -> Response:
    """Ask for the payment to be credited to an account. Somebody else decides."""
    row, form = _read(unmatched_id), LinkForm()
    if not form.is_submitted() and row.account_id is not None:
        with services.database().reading() as session:
            form.account.data = directory.get_account(session, row.account_id).code
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = _ask(session, row, form)
            flash("It is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return _form("link", row, form, status, refusals)


@access.requires_staff("payments.manage")
def unmatched_payments_close(unmatched_id: str) -> Response:
    """Take it off the list without crediting it."""
    row, form = _read(unmatched_id), CloseForm()
    back = url_for("operator.unmatched_payments_detail", unmatched_id=row.id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                unmatched.close(
                    session,
                    now=services.now(),
                    key=row.id,
                    reason=form.reason.data or "",
                    actor=access.current_principal().id,
                )
            flash("The payment is closed: it is credited to nobody.", "good")
            return htmx.redirect(back)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return _form("close", row, form, status, refusals)


def _form(name: str, row: UnmatchedRow, form: KeyedForm, status: int, refusals: list[str]) -> Response:
    template = f"operator/unmatched/{name}.html"
    back = url_for("operator.unmatched_payments_detail", unmatched_id=row.id)
    return htmx.render(
        template, template, status=status, row=row, form=form, refusals=refusals, back=back, words=payment_words
    )


def _read(unmatched_id: str) -> UnmatchedRow:
    with services.database().reading() as session:
        row = unmatched.get_row(session, path_key(unmatched_id))
        if row.account_id is not None:
            g.zone = directory.get_account(session, row.account_id).zone
    return row


def _ask(session: Session, row: UnmatchedRow, form: LinkForm) -> str:
    account = directory.find_account_by_code(session, (form.account.data or "").strip())
    if account is None or account.kind == "house":
        raise Invalid(field="account", value=names.shown(form.account.data or ""), reason="no_account_of_that_code")
    return linking.request(
        session,
        now=services.now(),
        unmatched_id=row.id,
        account_id=account.id,
        invoice_number=(form.invoice.data or "").strip() or None,
        maker=access.current_principal().id,
        reason=form.reason.data or "",
        form_key=form.form_key.data or None,
    ).id
