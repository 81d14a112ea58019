"""Automatic payments: what the account agreed to, what a change would have done last month, and each try with its outcome."""

from datetime import date
from typing import Any

from flask import Response, flash, make_response, render_template, request, url_for
from wtforms import BooleanField, HiddenField
from wtforms.validators import Optional

from billing.accounts import directory, people
from billing.controls.dunning import calendars, preview
from billing.invoicing import availability
from billing.kernel import periods
from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.payments import checkout
from billing.payments.charges import acts, agreements, history, intents, retrospect
from billing.payments.charges.agreements import Agreement, TopUp
from billing.payments.customers.methods import MethodRow
from billing.storage.database import Session
from portal import access, charge_words, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.tenant import blueprint, query

_SHOWN = 25
_FIGURES = ("threshold", "amount", "cap")


class AgreementForm(KeyedForm):
    """Both agreements on one page. `stage` is send once the words were read; `version` the state that the person looked at."""

    currency = "USD"
    is_paying = BooleanField("Pay invoices automatically")
    is_topping_up = BooleanField("Top up automatically when the balance is low")
    threshold = MoneyField("When the balance falls below", [Optional()])
    amount = MoneyField("Add", [Optional()])
    cap = MoneyField("At most in a month", [Optional()])
    stage = HiddenField()
    version = HiddenField()


@blueprint.get("/automatic-payments")
@access.requires("billing.read")
def automatic_payments() -> str:
    """What is agreed, what it did this month, and the tries."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        agreement = agreements.get(session, account.id)
        seller_id = directory.get_account(session, account.id).seller_id
        month = periods.label_of(now, "month", account.zone)
        spent_minor = intents.counted_minor(session, account.id, month)
        consents = agreements.list_consents(session, account.id)
        return render_template(
            "tenant/automatic_payments/index.html",
            agreement=agreement,
            method=_method(session, account.id),
            calendar=calendars.in_force(session, seller_id=seller_id, account_id=account.id),
            month=date.fromisoformat(f"{month}-01"),
            spent_minor=spent_minor,
            attempts=_shown(history.list_attempts(session, account_id=account.id, limit=_SHOWN)),
            consents=consents,
            people=people.names_of(session, [one.actor for one in consents]),
            held=availability.of_account(session, now=now, account_id=account.id, currency=agreement.currency)[0],
            words=charge_words,
            may_write="billing.write" in account.permissions,
        )


@blueprint.route("/automatic-payments/change", methods=["GET", "POST"])
@access.requires("billing.write")
def automatic_payments_change() -> Response:
    """The figures, then the words to agree to with what they would have done last month, then the agreement."""
    account, form, refusals = access.current_account(), AgreementForm(), []
    with services.database().reading() as session:
        agreement = agreements.get(session, account.id)
        method = _method(session, account.id)
    form.currency = account.invoice_currency
    if request.method == "GET":
        _fill(form, agreement)
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit():
        try:
            top_up = _top_up(form)
            if form.stage.data == "send":
                _change(form, top_up)
                flash(_said(agreement, form), "good")
                return htmx.redirect(url_for("tenant.automatic_payments"))
            return _check(form, agreement, top_up, method)
        except NotFound:
            raise
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    form.ensure_key()
    least, most = checkout.limits(account.invoice_currency)
    page = render_template(
        "tenant/automatic_payments/change.html",
        form=form,
        refusals=refusals,
        agreement=agreement,
        method=method,
        currency=account.invoice_currency,
        least=least,
        most=most,
    )
    return make_response(page, status)


@blueprint.get("/automatic-payments/<key>")
@access.requires("billing.read")
def automatic_payments_attempt(key: str) -> str:
    """One try: what became of it and, where the bank wants the person, the way to confirm the payment."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        row = history.get_attempt(session, account_id=account.id, session_id=query.path_key(key))
        found = (
            preview.of_invoice(session, now=now, invoice_id=row.invoice_id, providers=services.services().providers)
            if row.invoice_id
            else None
        )
    [shown] = _shown([row])
    return render_template(
        "tenant/automatic_payments/attempt.html",
        one=shown,
        row=row,
        preview=found,
        amount=Money(minor=row.amount_minor, currency=row.currency),
        words=charge_words,
        may_pay="billing.write" in account.permissions
        and row.outcome in ("declined", "action_required")
        and (found is None or found.open_minor > 0),
    )


def _shown(rows: list[history.AttemptRow]) -> list[dict[str, Any]]:
    return [
        {
            "row": row,
            "title": charge_words.trigger(row),
            "word": charge_words.outcome(row)[0],
            "tone": charge_words.outcome(row)[1],
            "reason": charge_words.reason(row),
        }
        for row in rows
    ]


def _method(session: Session, account_id: str) -> MethodRow | None:
    return acts.default_method(session, account_id, services.services().providers)


def _fill(form: AgreementForm, agreement: Agreement) -> None:
    form.is_paying.data, form.is_topping_up.data = agreement.is_paying, agreement.is_topping_up
    form.version.data = str(agreement.version)
    if agreement.top_up is not None:
        for name in _FIGURES:
            form[name].data = str(getattr(agreement.top_up, name).to_decimal())


def _top_up(form: AgreementForm) -> TopUp | None:
    """The figures of a form that turns top-ups on. Raises Invalid for one that is missing."""
    if not form.is_topping_up.data:
        return None
    for name in _FIGURES:
        if form[name].data_money is None:
            raise Invalid(field=name, reason="top_up_without_amount")
    return TopUp(threshold=form.threshold.data_money, amount=form.amount.data_money, cap=form.cap.data_money)  # type: ignore[arg-type]


def _check(form: AgreementForm, agreement: Agreement, top_up: TopUp | None, method: MethodRow | None) -> Response:
    """The look before agreeing. Raises what `agreements.change` would, as far as figures and method go."""
    account, now = access.current_account(), services.now()
    with services.database().reading() as session:
        if top_up is not None:
            agreements.check_top_up(session, account.id, top_up)
        if method is None and (form.is_paying.data or form.is_topping_up.data):
            raise Invalid(field="method", reason="no_payment_method")
        seller = agreements.seller_name(session, account.id)
        month, charges = preview.last_month(session, now=now, account_id=account.id)
        page = render_template(
            "tenant/automatic_payments/check.html",
            form=form,
            agreement=agreement,
            top_up=top_up,
            method=method,
            month=date.fromisoformat(f"{month}-01"),
            charges=charges if form.is_paying.data else [],
            replay=retrospect.of_last_month(session, now=now, account_id=account.id, top_up=top_up) if top_up else None,
            paying_wording=agreements.paying_wording(seller),
            top_up_wording=agreements.top_up_wording(seller, top_up) if top_up else None,
            calendar=calendars.in_force(
                session, seller_id=directory.get_account(session, account.id).seller_id, account_id=account.id
            ),
            words=charge_words,
        )
    return make_response(page, 200)


def _change(form: AgreementForm, top_up: TopUp | None) -> None:
    version = form.version.data or ""
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise Conflict(reason="changed_meanwhile")
    with services.database().transaction() as session:
        agreements.change(
            session,
            now=services.now(),
            account_id=access.current_account().id,
            is_paying=bool(form.is_paying.data),
            is_topping_up=bool(form.is_topping_up.data),
            top_up=top_up,
            version=int(version),
            providers=services.services().providers,
            actor=access.current_principal().id,
        )


def _said(before: Agreement, form: AgreementForm) -> str:
    if not form.is_paying.data and not form.is_topping_up.data:
        return "Automatic payments are off. What was charged before stays as it is."
    return "Automatic payments are set." if before.version == 0 else "Automatic payments are changed."


def _attached(form: AgreementForm, refusal: Refusal) -> list[str]:
    """The refusal at the field it names, else above the form."""
    name = str(refusal.fields.get("field"))
    if name in _FIGURES:
        form[name].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]
