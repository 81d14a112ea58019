"""A discount on one draft: an amount before tax with its reason, which the invoice prints; the draft is approved anew afterwards."""

from flask import flash, request, url_for
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.invoicing import deductions, drafts
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.operator import documents
from portal.tenant.query import path_key


class DiscountForm(KeyedForm):
    """How much is taken off before tax, and why."""

    amount = MoneyField("Amount before tax", [InputRequired("Enter an amount, such as 50.00.")])
    reason = StringField(
        "Reason",
        [
            DataRequired("Say why: the invoice prints it."),
            Length(max=drafts.REASON_MAX, message=f"At most {drafts.REASON_MAX} characters."),
        ],
    )
    currency = "USD"


class TakeAwayForm(KeyedForm):
    """Which discount is taken away again."""

    taken = StringField("Reason", [DataRequired("Choose a discount.")])


@access.requires_staff("prices.change")
def invoice_runs_discount(invoice_id: str) -> Response:
    """Give a discount on a draft, or take one away again. Another discount of the same reason replaces the first."""
    invoice_id, status = path_key(invoice_id), 200
    refusals: list[str] = []
    url = url_for("operator.invoice_runs_document", invoice_id=invoice_id)
    with services.database().reading() as session:
        facts = documents.facts_of(session, invoice_id)
    form, taking = DiscountForm(), TakeAwayForm()
    form.currency = facts["row"].currency
    is_taking = "taken" in request.form
    sent = taking if is_taking else form
    if facts["row"].state not in drafts.OPEN_STATES and not sent.is_submitted():
        return htmx.redirect(url)
    if sent.validate_on_submit():
        amount = Money(minor=0, currency=form.currency) if is_taking else form.amount.data_money
        assert amount is not None  # noqa: S101  the form was valid
        try:
            with services.database().transaction() as session:
                drafts.discount(
                    session,
                    now=services.now(),
                    draft_id=invoice_id,
                    amount_minor=amount.minor,
                    reason=(taking.taken.data if is_taking else form.reason.data) or "",
                    actor=access.current_principal().id,
                )
            flash("The draft is changed. It waits for approval.", "good")
            return htmx.redirect(url)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif sent.is_submitted():
        status = 422
    form.ensure_key()
    template = "operator/invoice_runs/discount.html"
    return htmx.render(
        template,
        template,
        status=status,
        form=form,
        given=deductions.discounts_of(facts["document"].allowances),
        refusals=refusals,
        **facts,
    )
