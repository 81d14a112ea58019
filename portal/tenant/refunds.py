"""Refunds: what was asked for and how it stands, and asking for one: to the card of a payment, or as credit on an invoice."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, make_response, render_template, request, url_for
from wtforms import SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.invoicing import credit_notes
from billing.invoicing import invoices as documents
from billing.kernel.errors import NotFound, Refusal
from billing.kernel.money import Money
from billing.payments import refunds as requests
from billing.payments import sessions
from billing.payments.refunds import RefundRow
from billing.storage.database import Session
from portal import access, errors, filters, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.tenant import blueprint, query
from portal.tenant import invoices as invoice_pages
from portal.tenant.query import Query

_PAGE_SIZE = 50
_OFFERED = 50
_REASON_MAX = 500
_BANK_DAYS = 10
_STATES = {
    "open": ("requested", "approved", "sent", "unknown"),
    "done": ("succeeded",),
    "refused": ("rejected", "failed"),
}
_STATE_WORDS = {"": "All", "open": "Under way", "done": "Done", "refused": "Refused or failed"}
_MODE_WORDS = {"card": "To the card", "credit": "As credit on the invoice"}


class RequestForm(KeyedForm):
    """What to give back, how much, and why."""

    currency = "USD"
    subject = SelectField("What is it about?", validators=[InputRequired("Choose a payment or an invoice.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    reason = TextAreaField(
        "Reason",
        [
            InputRequired("Say why: the person who decides reads it."),
            Length(max=_REASON_MAX, message=f"Use at most {_REASON_MAX} characters."),
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A payment or an invoice of which something can be given back, at most `limit`."""

    key: str  # "payment:pmt_..." or "invoice:drf_..."
    mode: str
    id: str
    label: str
    limit: Money


@blueprint.get("/refunds")
@access.requires("billing.read")
def refunds() -> Response:
    """All requests, newest first, with a filter; htmx gets the list alone."""
    account, url = access.current_account(), Query()
    state = url.choice("state", list(_STATES), "")
    page = url.page()
    with services.database().reading() as session:
        rows = requests.list_requests(
            session,
            account_id=account.id,
            states=_STATES.get(state, ()),
            limit=_PAGE_SIZE + 1,
            offset=(page - 1) * _PAGE_SIZE,
        )
    return htmx.render(
        "tenant/refunds/index.html",
        "tenant/refunds/_list.html",
        rows=rows[:_PAGE_SIZE],
        has_more=len(rows) > _PAGE_SIZE,
        page=page,
        states=[query.option(text, code == state, state=code or None) for code, text in _STATE_WORDS.items()],
        chip_rows=[query.chip("State", _STATE_WORDS[state], "state")] if state else [],
        modes=_MODE_WORDS,
        may_ask="refund.request" in account.permissions,
        notices=url.notices,
    )


@blueprint.route("/refunds/new", methods=["GET", "POST"])
@access.requires("refund.request")
def refunds_new() -> Response:
    """The request: filled in, looked at once more, then sent. `stage` says which of the three was asked for."""
    form, stage = RequestForm(), request.form.get("stage", "edit")
    with services.database().reading() as session:
        offered = _subjects(session)
    chosen = _prepare(form, offered)
    if request.method == "GET" or stage == "edit":
        return _form_page(form, offered, 200)
    if not form.validate_on_submit() or not _is_within(form, chosen):
        return _form_page(form, offered, 422)
    if chosen is None or stage != "send":
        return make_response(_check_page(form, chosen), 200)
    try:
        return htmx.redirect(url_for("tenant.refunds_detail", key=_send(form, chosen).id))
    except NotFound:
        raise
    except Refusal as refusal:
        return _form_page(form, offered, errors.status_of(refusal), [sentences.of(refusal)])


@blueprint.get("/refunds/<key>")
@access.requires("billing.read")
def refunds_detail(key: str) -> str:
    """One request with its states and dates."""
    account = access.current_account()
    with services.database().reading() as session:
        row = requests.get_request(session, refund_id=query.path_key(key), account_id=account.id)
    return render_template(
        "tenant/refunds/detail.html",
        row=row,
        mode=_MODE_WORDS[row.mode],
        steps=_steps(row),
        expected_on=_expected(row),
        zone=account.zone,
    )


def _subjects(session: Session) -> Sequence[Subject]:
    """What something can be asked back of now: the newest payments and invoices with a rest."""
    account, now = access.current_account(), services.now()
    found = []
    for payment in sessions.list_payments(session, account_id=account.id, limit=_OFFERED):
        limit = requests.refundable(session, now=now, account_id=account.id, payment_id=payment.id)
        if limit.minor > 0:
            paid = filters.money(payment.amount_minor, payment.currency)
            label = f"Payment of {paid} on {filters.day(payment.received_at.date())}: back to the card"
            found.append(Subject(key=f"payment:{payment.id}", mode="card", id=payment.id, label=label, limit=limit))
    for row in documents.list_invoices(
        session, now=now, account_id=account.id, states=invoice_pages.SHOWN, kind="invoice", limit=_OFFERED
    ):
        limit = Money(minor=credit_notes.rest_minor(session, row.id), currency=row.currency)
        if limit.minor > 0:
            label = f"Invoice {row.number}: as credit, by a credit note"
            found.append(Subject(key=f"invoice:{row.id}", mode="credit", id=row.id, label=label, limit=limit))
    return found


def _prepare(form: RequestForm, offered: Sequence[Subject]) -> Subject | None:
    """Give the form its choices, its currency and its key; the subject that is chosen, by the form or by the URL."""
    form.subject.choices = [SelectChoice("", "Choose")] + [
        SelectChoice(one.key, f"{one.label} (at most {filters.money(one.limit)})") for one in offered
    ]
    if request.method == "GET":
        url = Query()
        named = {f"{kind}:{url.text(kind)}" for kind in ("payment", "invoice")}
        form.subject.data = next((one.key for one in offered if one.key in named), "")
    chosen = next((one for one in offered if one.key == form.subject.data), None)
    form.currency = chosen.limit.currency if chosen else access.current_account().currency
    form.ensure_key()
    return chosen


def _is_within(form: RequestForm, chosen: Subject | None) -> bool:
    amount: Any = form.amount.data_money
    if chosen is None or amount.minor <= chosen.limit.minor:
        return True
    form.amount.errors = [f"At most {filters.money(chosen.limit)} can be asked back."]
    return False


def _form_page(form: RequestForm, offered: Sequence[Subject], status: int, refusals: Sequence[str] = ()) -> Response:
    page = render_template(
        "tenant/refunds/new.html",
        form=form,
        refusals=refusals,
        offered=offered,
        currency=form.currency,
        reason_max=_REASON_MAX,
    )
    return make_response(page, status)


def _check_page(form: RequestForm, chosen: Subject | None) -> str:
    return render_template(
        "tenant/refunds/check.html", form=form, chosen=chosen, amount=form.amount.data_money, modes=_MODE_WORDS
    )


def _send(form: RequestForm, chosen: Subject) -> RefundRow:
    amount: Any = form.amount.data_money
    with services.database().transaction() as session:
        return requests.request(
            session,
            now=services.now(),
            account_id=access.current_account().id,
            mode=chosen.mode,
            amount=amount,
            reason=form.reason.data or "",
            form_key=form.form_key.data or "",
            actor=access.current_principal().id,
            payment_id=chosen.id if chosen.mode == "card" else None,
            invoice_id=chosen.id if chosen.mode == "credit" else None,
        )


def _expected(row: RefundRow) -> datetime | None:
    """When the money should be at the tenant's bank: cards take up to ten days after it was sent."""
    return row.sent_at + timedelta(days=_BANK_DAYS) if row.sent_at and row.state in ("sent", "succeeded") else None


def _steps(row: RefundRow) -> list[dict[str, Any]]:
    """What happened to the request, newest first."""
    steps: list[dict[str, Any]] = [{"at": row.requested_at, "title": "Requested", "detail": row.reason}]
    if row.decided_at is not None:
        is_yes = row.state != "rejected"
        ended = {"withdrawn": "Withdrawn", "expired": "Not decided in time"}.get(row.approval_state or "", "Rejected")
        steps.append(
            {
                "at": row.decided_at,
                "title": "Approved by a second person" if is_yes else ended,
                "detail": row.decision_note,
                "tone": "good" if is_yes else "bad",
            }
        )
    if row.sent_at is not None:
        steps.append({"at": row.sent_at, "title": "Sent to the payment provider"})
    if row.ended_at is not None and row.state in ("succeeded", "failed"):
        is_done = row.state == "succeeded"
        done = "Credit note issued" if row.mode == "credit" else "Refunded by the payment provider"
        failed = "The refund failed: the money is in the wallet again"
        steps.append({"at": row.ended_at, "title": done if is_done else failed, "tone": "good" if is_done else "bad"})
    return steps[::-1]
