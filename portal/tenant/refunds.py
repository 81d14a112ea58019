"""Refunds: what was asked for and how it stands, asking for one, and taking a request back before it is decided."""

from collections.abc import Sequence
from typing import Any

from flask import Response, flash, make_response, render_template, request, url_for
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from billing.accounts.errors import AlreadyDecided
from billing.controls import second_person
from billing.kernel.errors import NotFound, Refusal
from billing.payments import refund_offers as offers
from billing.payments import refunds as requests
from billing.payments.refund_offers import Offer
from billing.payments.refunds import RefundRow
from portal import access, errors, htmx, refund_offers, refund_words, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.filters import money
from portal.tenant import blueprint, query
from portal.tenant.query import Query

_PAGE_SIZE = 50
_OFFERED = 50
_REASON_MAX = 500
_STATES = {
    "open": ("requested", "approved", "sent", "unknown"),
    "done": ("succeeded",),
    "refused": ("rejected", "failed"),
}
_STATE_WORDS = {"": "All", "open": "Under way", "done": "Done", "refused": "Refused or failed"}


class RequestForm(KeyedForm):
    """What to give back, how much, and why."""

    currency = "USD"
    subject = SelectField("What is it about?", validators=[InputRequired("Choose a payment or an invoice.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    payee = StringField("Account holder", [Length(max=70, message="Use at most 70 characters.")])
    iban = StringField("IBAN", [Length(max=42, message="Use at most 42 characters.")])
    reason = TextAreaField(
        "Reason",
        [
            InputRequired("Say why: the person who decides reads it."),
            Length(max=_REASON_MAX, message=f"Use at most {_REASON_MAX} characters."),
        ],
    )


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
        mode=refund_words.mode,
        may_ask="refund.request" in account.permissions,
        notices=url.notices,
    )


@blueprint.route("/refunds/new", methods=["GET", "POST"])
@access.requires("refund.request")
def refunds_new() -> Response:
    """The request: filled in, looked at once more, then sent. `stage` says which of the three was asked for."""
    form, stage = RequestForm(), request.form.get("stage", "edit")
    with services.database().reading() as session:
        offered = offers.list_offers(
            session, now=services.now(), account_id=access.current_account().id, limit=_OFFERED
        )
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
        history = requests.history(session, refund_id=row.id)
    return render_template(
        "tenant/refunds/detail.html",
        row=row,
        mode=refund_words.mode(row),
        steps=refund_words.steps_of_tenant(history, row),
        credit_note=next((step.facts.get("credit_note") for step in history if step.type == "credited"), None),
        policy=refund_words.policy(row),
        failure=refund_words.failure(row.failure),
        payee=f"{row.payee_name}, {refund_words.masked(row.payee_iban)}" if row.payee_iban else None,
        may_cancel=row.state == "requested" and _is_own(row),
        zone=account.zone,
    )


@blueprint.post("/refunds/<key>/cancel")
@access.requires("refund.request")
def refunds_cancel(key: str) -> Response:
    """Take one's own request back; a second click finds it done."""
    account = access.current_account()
    with services.database().reading() as session:
        row = requests.get_request(session, refund_id=query.path_key(key), account_id=account.id)
    url = url_for("tenant.refunds_detail", key=row.id)
    try:
        with services.database().transaction() as session:
            second_person.withdraw(
                session, now=services.now(), approval_id=row.approval_id or "", maker=access.current_principal().id
            )
        flash("The request is taken back. Nothing has moved.", "good")
    except AlreadyDecided as refusal:
        if refusal.fields.get("state") != "withdrawn":
            raise
    return htmx.redirect(url)


def _is_own(row: RefundRow) -> bool:
    return row.requested_by == access.current_principal().id and row.approval_id is not None


def _prepare(form: RequestForm, offered: Sequence[Offer]) -> Offer | None:
    """Give the form its choices, its currency and its key; the offer that is chosen, by the form or by the URL."""
    form.subject.choices = refund_offers.choices(offered)
    if request.method == "GET":
        url = Query()
        named = {f"{kind}:{url.text(kind)}" for kind in ("payment", "transfer", "invoice")}
        form.subject.data = next((one.key for one in offered if one.key in named), "")
    chosen = refund_offers.find(offered, form.subject.data)
    form.currency = chosen.limit.currency if chosen else access.current_account().currency
    form.ensure_key()
    return chosen


def _is_within(form: RequestForm, chosen: Offer | None) -> bool:
    amount: Any = form.amount.data_money
    if chosen is not None and chosen.mode == "bank":
        for field in (form.payee, form.iban):
            if not (field.data or "").strip():
                field.errors = ["Say whose bank account the money goes to."]
        if form.payee.errors or form.iban.errors:
            return False
    if chosen is None or amount.minor <= chosen.limit.minor:
        return True
    form.amount.errors = [f"At most {money(chosen.limit)} can be asked back."]
    return False


def _form_page(form: RequestForm, offered: Sequence[Offer], status: int, refusals: Sequence[str] = ()) -> Response:
    page = render_template(
        "tenant/refunds/new.html",
        form=form,
        refusals=refusals,
        offered=offered,
        has_transfers=any(one.mode == "bank" for one in offered),
        currency=form.currency,
        reason_max=_REASON_MAX,
    )
    return make_response(page, status)


def _check_page(form: RequestForm, chosen: Offer | None) -> str:
    return render_template(
        "tenant/refunds/check.html",
        form=form,
        chosen=chosen,
        label=refund_offers.label(chosen) if chosen else "",
        amount=form.amount.data_money,
    )


def _send(form: RequestForm, chosen: Offer) -> RefundRow:
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
            payment_id=chosen.payment.id if chosen.payment else None,
            invoice_id=chosen.invoice_id,
            payee=refund_offers.payee_of(chosen, form.payee.data, form.iban.data),
            is_once=True,
        )
