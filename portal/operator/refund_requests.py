"""Asking for a refund on a tenant's behalf: the form, a page to check it, then a request that somebody else decides."""

from collections.abc import Sequence

from flask import flash, g, request, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import listing
from billing.accounts.listing import AccountRow
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.payments import refund_offers as offers
from billing.payments import refunds
from billing.payments.refund_offers import Offer
from billing.payments.refunds import RefundRow
from billing.storage.database import Session
from portal import access, errors, htmx, refund_offers, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.tenant.query import path_key

_REASON_MAX = 500
_OFFERED = 50


class RequestForm(KeyedForm):
    """What to give back, how much, and why."""

    subject = SelectField("What to give back", [InputRequired("Choose a payment or an invoice.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    payee = StringField("Account holder", [Length(max=70, message="At most 70 characters.")])
    iban = StringField("IBAN", [Length(max=42, message="At most 42 characters.")])
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
        offered = offers.list_offers(session, now=now, account_id=account.id, limit=_OFFERED, is_staff=True)
    form = RequestForm()
    form.subject.choices = refund_offers.choices(offered)
    chosen = refund_offers.find(offered, form.subject.data)
    form.currency = chosen.limit.currency if chosen else account.currency
    status, refusals = 200, []
    if form.validate_on_submit() and chosen is not None:
        try:
            if request.form.get("step") == "send":
                with services.database().transaction() as session:
                    asked = _request(session, account, form, chosen)
                flash("The refund is asked for. Somebody else must decide it.", "good")
                return htmx.redirect(url_for("operator.refunds_detail", refund_id=asked.id))
            return _page("check", account, form, offered, chosen)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return _page("request", account, form, offered, chosen, status=status, refusals=refusals)


def _page(
    name: str,
    account: AccountRow,
    form: RequestForm,
    offered: Sequence[Offer],
    chosen: Offer | None,
    *,
    status: int = 200,
    refusals: Sequence[str] = (),
) -> Response:
    template = f"operator/refunds/{name}.html"
    return htmx.render(
        template,
        template,
        status=status,
        account=account,
        form=form,
        offered=offered,
        has_transfers=any(one.mode == "bank" for one in offered),
        label=refund_offers.label(chosen) if chosen else "",
        chosen=chosen,
        refusals=list(refusals),
    )


def _request(session: Session, account: AccountRow, form: RequestForm, chosen: Offer) -> RefundRow:
    amount = form.amount.data_money
    if not isinstance(amount, Money):
        raise TypeError("the form was validated")
    return refunds.request(
        session,
        now=services.now(),
        account_id=account.id,
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
