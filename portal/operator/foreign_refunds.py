"""Refunds that somebody made at the provider's own pages: the cases, one of them, and asking that it is adopted."""

from typing import Any

from flask import flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import DataRequired, Length

from billing.accounts import listing
from billing.invoicing import credit_notes, invoices
from billing.kernel.errors import Refusal
from billing.ledger import balances
from billing.payments import foreign_refunds as room
from billing.payments import refund_acts
from billing.payments.foreign_refunds import CaseRow
from billing.storage.database import Session
from portal import access, errors, filters, htmx, refund_words, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import Query, option, path_key

_SIZE = 50
_OFFERED = 50
_CREDITABLE = ("issued", "part_paid", "paid", "overdue", "uncollectible")
_TITLES = {"open": "To adopt", "asked": "Waiting for a second person", "adopted": "Adopted"}


class AdoptForm(KeyedForm):
    """Where the money comes from in our books, and why."""

    invoice = SelectField("Taken from", choices=[])
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever decides reads it."),
            Length(max=500, message="At most 500 characters."),
        ],
    )


@access.requires_staff("finance.read")
def foreign_refunds() -> Response:
    """Cases by state, the oldest first."""
    query = Query()
    state, page, now = query.choice("state", room.STATES, "open"), query.page(), services.now()
    with services.database().reading() as session:
        rows = room.list_cases(session, states=(state,), limit=_SIZE + 1, offset=(page - 1) * _SIZE)
    return htmx.render(
        "operator/refunds/foreign.html",
        "operator/refunds/_foreign.html",
        rows=[(row, int((now - row.found_at).total_seconds())) for row in rows[:_SIZE]],
        has_more=len(rows) > _SIZE,
        page=page,
        state=state,
        options=[option(title, name == state, state=name) for name, title in _TITLES.items()],
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def foreign_refunds_detail(case_id: str) -> Response:
    """One case, as the provider shows it."""
    with services.database().reading() as session:
        case = _find(session, case_id)
    return _page("detail", case, AdoptForm())


@access.requires_staff("refund.request", fresh=True)
def foreign_refunds_refresh(case_id: str) -> Response:
    """Ask the provider how it stands now."""
    case = refund_acts.refresh_case(
        services.database(), services.services().providers, now=services.now(), case_id=path_key(case_id)
    )
    flash("The provider was asked: the page shows its answer.", "good")
    return htmx.redirect(url_for("operator.foreign_refunds_detail", case_id=case.id))


@access.requires_staff("refund.request", fresh=True)
def foreign_refunds_adopt(case_id: str) -> Response:
    """Ask that it becomes a refund of ours; somebody else decides."""
    form = AdoptForm()
    with services.database().reading() as session:
        case = _find(session, case_id)
        form.invoice.choices = _sources(session, case)
        held = balances.of_account(session, case.billing_account_id, currency=case.currency)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                row = room.ask_adoption(
                    session,
                    now=services.now(),
                    case_id=case.id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or "",
                    actor=access.current_principal().id,
                    invoice_id=form.invoice.data or None,
                )
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            flash("The adoption is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.refunds_detail", refund_id=row.id))
    elif form.is_submitted():
        status = 422
    elif case.state != "open":
        return htmx.redirect(url_for("operator.foreign_refunds_detail", case_id=case.id))
    form.ensure_key()
    return _page(
        "adopt", case, form, status=status, refusals=refusals, wallet_minor=held[0].wallet_minor if held else 0
    )


def _find(session: Session, case_id: str) -> CaseRow:
    case = room.get_case(session, path_key(case_id))
    g.zone = listing.get_account(session, case.billing_account_id).zone
    return case


def _sources(session: Session, case: CaseRow) -> list[SelectChoice]:
    """The wallet, or an invoice of which enough is left to credit first."""
    found = [SelectChoice("", "The wallet")]
    for row in invoices.list_invoices(
        session,
        now=services.now(),
        account_id=case.billing_account_id,
        states=_CREDITABLE,
        kind="invoice",
        limit=_OFFERED,
    ):
        rest = credit_notes.rest_minor(session, row.id) if row.currency == case.currency else 0
        if rest >= case.amount_minor:
            left = filters.money(rest, row.currency)
            found.append(SelectChoice(row.id, f"Invoice {row.number}, credited first ({left} left to credit)"))
    return found


def _page(name: str, case: CaseRow, form: AdoptForm, *, status: int = 200, **more: Any) -> Response:
    template = f"operator/refunds/foreign_{name}.html"
    return htmx.render(
        template,
        template,
        status=status,
        case=case,
        form=form,
        title=_TITLES[case.state],
        failure=refund_words.failure(case.facts.failure),
        may_adopt=case.state == "open" and "refund.request" in access.current_principal().staff_permissions,
        **({"refusals": []} | more),
    )
