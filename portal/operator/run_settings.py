"""What invoice runs go by: how long a seller waits for late usage, and within how many days an account pays."""

from flask import abort, flash, url_for
from werkzeug.wrappers import Response
from wtforms import IntegerField, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import InputRequired, NumberRange, Optional

from billing.accounts import directory, listing, payment_terms
from billing.invoicing import waiting
from billing.kernel.errors import Refusal
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import path_key


class GraceForm(KeyedForm):
    """A seller and its window."""

    seller = SelectField("Seller", [InputRequired("Choose a seller.")])
    hours = IntegerField(
        "Hours after the month's end",
        [
            InputRequired("Enter whole hours, 0 for none."),
            NumberRange(0, waiting.GRACE_MAX_HOURS, f"From 0 to {waiting.GRACE_MAX_HOURS} hours."),
        ],
    )


class TermsForm(KeyedForm):
    """Days of the account's own; empty for its seller's."""

    days = IntegerField(
        "Days until an invoice is due",
        [Optional(), NumberRange(0, payment_terms.MAX_DAYS, f"From 0 to {payment_terms.MAX_DAYS} days.")],
    )


@access.requires_staff("prices.change")
def invoice_runs_grace() -> Response:
    """How long the job waits for late usage before it drafts a month, per seller."""
    form, status = GraceForm(), 200
    refusals: list[str] = []
    with services.database().reading() as session:
        found = waiting.list_grace(session)
    form.seller.choices = [SelectChoice(one.seller_id, one.seller_name) for one in found]
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                waiting.set_grace(
                    session,
                    now=services.now(),
                    seller_id=form.seller.data,
                    hours=form.hours.data or 0,
                    actor=access.current_principal().id,
                )
            flash("The grace for late usage is changed.", "good")
            return htmx.redirect(url_for("operator.invoice_runs"))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    template = "operator/invoice_runs/grace.html"
    return htmx.render(template, template, status=status, form=form, refusals=refusals, graces=found)


@access.requires_staff("prices.change")
def accounts_payment_terms(account_id: str) -> Response:
    """Within how many days the account pays, where that is not its seller's terms."""
    form, status = TermsForm(), 200
    refusals: list[str] = []
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        stored = directory.get_account(session, account.id)
        own, seller = stored.payment_terms_days, directory.get_seller(session, stored.seller_id)
        seller_days = seller.payment_terms_days
    if account.kind == "house":
        abort(404)
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                payment_terms.set_days(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    days=form.days.data,
                    actor=access.current_principal().id,
                )
            flash("The payment terms are changed. Issued invoices keep their due dates.", "good")
            return htmx.redirect(url_for("operator.accounts_detail", account_id=account.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    else:
        form.days.data = own
    form.ensure_key()
    template = "operator/invoice_runs/terms.html"
    return htmx.render(
        template, template, status=status, form=form, refusals=refusals, account=account, seller_days=seller_days
    )
