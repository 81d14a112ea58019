"""Asking for what will not be paid to be written off: an invoice's open amount, or a wallet below zero. Somebody else decides."""

from flask import flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import BooleanField, SelectField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import approvals, listing
from billing.invoicing import invoices, settlement
from billing.invoicing import write_offs as invoice_write_offs
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.ledger import balances, write_offs
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.tenant.query import path_key


class WriteOffForm(KeyedForm):
    """How much, whether its tax is claimed back, and why."""

    amount = MoneyField("Amount, with tax", [InputRequired("Enter an amount, such as 50.00.")])
    with_tax = BooleanField("Relief of its tax is claimed: the tax leaves the books in the share it has of the invoice")
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever approves it reads it, and it stands on the statement."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )
    currency = "USD"


class WalletForm(WriteOffForm):
    """The same of a wallet, in one of its currencies; a wallet holds no tax."""

    with_tax = None  # type: ignore[assignment]
    currency_code = SelectField("Currency", [InputRequired("Choose a currency.")])


@access.requires_staff("ledger.correct", fresh=True)
def invoice_runs_write_off(invoice_id: str) -> Response:
    """Ask for the write-off of what is open on an invoice."""
    with services.database().reading() as session:
        found = invoices.get_invoice(session, now=services.now(), key=path_key(invoice_id)).row
        account = listing.get_account(session, found.account_id)
        g.zone = account.zone
        open_minor = settlement.open_minor(session, found.id)
    form = WriteOffForm()
    form.currency = found.currency
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = invoice_write_offs.request(
                    session,
                    now=services.now(),
                    invoice_id=found.id,
                    amount_minor=_amount(form).minor,
                    with_tax=bool(form.with_tax.data),
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            return _asked(asked.id)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/corrections/write_off.html",
        "operator/corrections/write_off.html",
        status=status,
        title=f"Write off invoice {found.number}",
        account=account,
        open_minor=open_minor,
        currency=found.currency,
        back=url_for("operator.invoice_runs_document", invoice_id=found.id),
        back_words=f"Invoice {found.number}",
        form=form,
        refusals=refusals,
    )


@access.requires_staff("ledger.correct", fresh=True)
def accounts_write_off(account_id: str) -> Response:
    """Ask for the write-off of what a wallet is below zero."""
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        lacking = {one.currency: -one.wallet_minor for one in balances.of_account(session, account.id)}
    lacking = {currency: minor for currency, minor in lacking.items() if minor > 0} or {account.currency: 0}
    form = WalletForm()
    form.currency_code.choices = [SelectChoice(code, code) for code in sorted(lacking)]
    form.currency_code.data = form.currency_code.data or min(lacking)
    form.currency = form.currency_code.data if form.currency_code.data in lacking else min(lacking)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = write_offs.request(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    amount=_amount(form),
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            return _asked(asked.id)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/corrections/write_off.html",
        "operator/corrections/write_off.html",
        status=status,
        title="Write off the wallet",
        account=account,
        open_minor=lacking.get(form.currency, 0),
        currency=form.currency,
        back=url_for("operator.accounts_detail", account_id=account.id),
        back_words=account.name,
        form=form,
        refusals=refusals,
    )


def _asked(approval_id: str) -> Response:
    flash("The write-off is asked for. Somebody else must decide it.", "good")
    return htmx.redirect(url_for("operator.approvals_detail", approval_id=approval_id))


def _amount(form: WriteOffForm) -> Money:
    amount = form.amount.data_money
    if not isinstance(amount, Money):
        raise TypeError("the form was validated")
    return amount
