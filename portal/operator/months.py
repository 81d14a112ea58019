"""Accounting months: which are closed, what closing looks at, closing, asking for the last one to be opened again, the journal."""

from flask import Response as FlaskResponse
from flask import flash, jsonify, url_for
from werkzeug.wrappers import Response
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import approvals, directory
from billing.accounts.tables import Seller
from billing.assurance import month_end
from billing.exports import gl
from billing.kernel import periods as kernel_periods
from billing.kernel.errors import NotFound, Refusal
from billing.ledger import periods
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import ledger
from portal.tenant import words as tenant_words
from portal.tenant.query import Query, path_key


class CloseForm(KeyedForm):
    """Nothing to fill in: the page says what closing means."""


class ReopenForm(KeyedForm):
    """Why a closed month must be opened again."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever approves it reads it."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def ledger_months() -> Response:
    """Every accounting month that was ever used, newest first, of one seller or of all."""
    query = Query()
    with services.database().reading() as session:
        choices = ledger.seller_choices(session)
        code = query.choice("seller", [code for code, _ in choices], "")
        wanted = directory.find_seller_by_code(session, code) if code else None
        rows = periods.list_periods(session, wanted.id if wanted is not None else None)
        sellers = {row.seller_id: directory.get_seller(session, row.seller_id) for row in rows}
    last_closed: dict[str, str] = {}
    for row in rows:
        if row.state == "closed":
            last_closed[row.seller_id] = max(row.month, last_closed.get(row.seller_id, ""))
    return htmx.render(
        "operator/ledger/months.html",
        "operator/ledger/months.html",
        rows=[
            (
                row,
                sellers[row.seller_id],
                tenant_words.month_name(row.month),
                last_closed.get(row.seller_id) == row.month,
            )
            for row in rows
        ],
        this_month=f"{services.now():%Y-%m}",
        choices=choices,
        seller=code,
        may_close="ledger.approve" in access.current_principal().staff_permissions,
        may_reopen="ledger.correct" in access.current_principal().staff_permissions,
        notices=query.notices,
    )


@access.requires_staff("ledger.approve", fresh=True)
def ledger_close(seller: str, month: str) -> Response:
    """What closing looks at and what it means; then the close itself."""
    form = CloseForm()
    with services.database().reading() as session:
        found = _seller(session, seller)
        kernel_periods.month(path_key(month), "UTC")
        checks = month_end.look(session, seller_id=found.id, month_label=month)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                month_end.require_closable(session, seller_id=found.id, month_label=month)
                changed = periods.close(
                    session,
                    now=services.now(),
                    seller_id=found.id,
                    month_label=month,
                    actor=access.current_principal().id,
                )
            words = tenant_words.month_name(month)
            flash(f"The books are closed through {words}." if changed else f"{words} was closed before.", "good")
            return htmx.redirect(url_for("operator.ledger_months"))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/ledger/close.html",
        "operator/ledger/close.html",
        status=status,
        seller=found,
        month=month,
        words=tenant_words.month_name(month),
        checks=checks,
        is_blocked=any(check.is_blocking and check.count for check in checks),
        form=form,
        refusals=refusals,
    )


@access.requires_staff("ledger.correct", fresh=True)
def ledger_reopen(seller: str, month: str) -> Response:
    """Ask for a closed month to be opened again; somebody else decides."""
    form = ReopenForm()
    with services.database().reading() as session:
        found = _seller(session, seller)
        kernel_periods.month(path_key(month), "UTC")
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = periods.request_reopening(
                    session,
                    now=services.now(),
                    seller_id=found.id,
                    month_label=month,
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("It is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/ledger/reopen.html",
        "operator/ledger/reopen.html",
        status=status,
        seller=found,
        month=month,
        words=tenant_words.month_name(month),
        form=form,
        refusals=refusals,
    )


@access.requires_staff("finance.read")
def ledger_journal(seller: str, month: str) -> Response:
    """The month's journal for a general ledger, streamed."""
    with services.database().reading() as session:
        found = _seller(session, seller)
        name = gl.journal(session, seller_id=found.id, period=path_key(month)).file_name
    rows = services.streamed(lambda session: gl.journal(session, seller_id=found.id, period=month).export)
    response = FlaskResponse(rows, mimetype="text/csv")
    response.headers.set("Content-Disposition", "attachment", filename=name)
    return response


@access.requires_staff("finance.read")
def ledger_journal_manifest(seller: str, month: str) -> Response:
    """How many lines that file has now, debits and credits per currency, and the SHA-256 of its bytes."""
    with services.database().reading() as session:
        journal = gl.journal(session, seller_id=_seller(session, seller).id, period=path_key(month))
        for _chunk in journal.export:
            pass
    response = jsonify({"file": journal.file_name, **journal.to_manifest()})
    response.headers.set("Content-Disposition", "attachment", filename=f"{journal.file_name}.manifest.json")
    return response


def _seller(session: Session, code: str) -> Seller:
    found = directory.find_seller_by_code(session, path_key(code))
    if found is None:
        raise NotFound(kind="seller", id=code[:60])
    return found
