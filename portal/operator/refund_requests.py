"""Asking for a refund on a tenant's behalf: the form, a page to check it, then a request that somebody else decides."""

from collections.abc import Sequence

from flask import flash, g, request, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import listing
from billing.accounts.listing import AccountRow
from billing.invoicing import invoices
from billing.invoicing.invoices import InvoiceRow
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.payments import refunds, sessions
from billing.payments.refunds import RefundRow
from billing.payments.sessions import PaymentRow
from billing.rendering import formats
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.filters import reader_locale
from portal.tenant.query import path_key

_ISSUED = ("issued", "part_paid", "overdue", "paid")
_REASON_MAX = 500


class RequestForm(KeyedForm):
    """What to give back, how much, and why."""

    subject = SelectField("What to give back", [InputRequired("Choose a payment or an invoice.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever decides reads it."),
            Length(max=_REASON_MAX, message=f"At most {_REASON_MAX} characters."),
        ],
    )
    currency = "USD"


@access.requires_staff("refund.request", fresh=True)
def accounts_refund(account_id: str) -> Response:
    """The form; sent with `step=check` the answers to check, with `step=send` the request itself."""
    now = services.now()
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        payments = [row for row in sessions.list_payments(session, account_id=account.id) if row.rest_minor]
        billed = invoices.list_invoices(session, now=now, account_id=account.id, states=_ISSUED, kind="invoice")
    form = RequestForm()
    labels = _labels(payments, billed)
    form.subject.choices = [SelectChoice(subject_id, label) for subject_id, label in labels.items()]
    form.currency = _currency(form.subject.data, payments, billed, account)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            if request.form.get("step") == "send":
                with services.database().transaction() as session:
                    asked = _request(session, account, form)
                flash("The refund is asked for. Somebody else must decide it.", "good")
                return htmx.redirect(url_for("operator.refunds_detail", refund_id=asked.id))
            return _page("check", account, form, labels)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return _page("request", account, form, labels, status=status, refusals=refusals)


def _page(
    name: str,
    account: AccountRow,
    form: RequestForm,
    labels: dict[str, str],
    *,
    status: int = 200,
    refusals: Sequence[str] = (),
) -> Response:
    template = f"operator/refunds/{name}.html"
    return htmx.render(
        template, template, status=status, account=account, form=form, labels=labels, refusals=list(refusals)
    )


def _request(session: Session, account: AccountRow, form: RequestForm) -> RefundRow:
    amount = form.amount.data_money
    if not isinstance(amount, Money):
        raise TypeError("the form was validated")
    subject_id = str(form.subject.data)
    is_payment = subject_id.startswith("pmt_")
    return refunds.request(
        session,
        now=services.now(),
        account_id=account.id,
        mode="card" if is_payment else "credit",
        amount=amount,
        reason=form.reason.data or "",
        form_key=form.form_key.data or "",
        actor=access.current_principal().id,
        payment_id=subject_id if is_payment else None,
        invoice_id=None if is_payment else subject_id,
    )


def _labels(payments: Sequence[PaymentRow], billed: Sequence[InvoiceRow]) -> dict[str, str]:
    locale = reader_locale()
    cards = {
        row.id: f"{row.method_label or 'Card'}, {formats.day(row.received_at.date(), locale=locale)}: "
        f"{formats.money(row.rest_minor, row.currency, locale=locale)} left"
        for row in payments
    }
    notes = {
        row.id: f"{row.number}, {formats.money(row.total_minor, row.currency, locale=locale)}: credit note"
        for row in billed
    }
    return cards | notes


def _currency(
    subject_id: str | None, payments: Sequence[PaymentRow], billed: Sequence[InvoiceRow], account: AccountRow
) -> str:
    currencies = {row.id: row.currency for row in payments} | {row.id: row.currency for row in billed}
    return currencies.get(subject_id or "", account.currency)
