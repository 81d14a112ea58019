"""Bank transfers: what was booked from the bank statement, booking a line of it, and taking a wrong booking back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import flash, g, request, url_for
from werkzeug.wrappers import Response
from wtforms import RadioField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import approvals, currencies, directory, listing, people
from billing.accounts.listing import AccountRow
from billing.kernel import money
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.payments.bank import reversals, transfers
from billing.payments.bank.transfers import Line, OpenInvoice
from billing.payments.crediting import Share
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.operator import effects, words
from portal.tenant.query import Query, last_page, path_key

_PAGE_SIZE = 50
_OLDEST, _CHOSEN = "oldest", "chosen"


class TransferForm(KeyedForm):
    """A line of the bank statement."""

    currency_code = SelectField("Currency", [InputRequired("Choose a currency.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    value_on = StringField("Value date", [DataRequired("Enter the value date, such as 2026-11-21.")])
    bank_account = StringField("Our bank account", [DataRequired("Say which of our accounts the money came to.")])
    bank_reference = StringField(
        "Reference of the line",
        [DataRequired("Enter the bank's own reference: it keeps the line from being booked twice.")],
    )
    payer = StringField("Payer", [DataRequired("Enter who paid, as the statement says it."), Length(max=140)])
    way = RadioField(
        "What it pays",
        choices=[
            SelectChoice(_OLDEST, "What is due first, the rest to the wallet"),
            SelectChoice(_CHOSEN, "As entered below, the rest to the wallet"),
        ],
        default=_OLDEST,
    )
    currency = "USD"

    def validate_value_on(self, field: Any) -> None:
        """A day, as a date field sends it."""
        try:
            date.fromisoformat((field.data or "").strip())
        except ValueError:
            raise ValidationError("Enter a day such as 2026-11-21.") from None

    def line(self) -> Line:
        """The line as the room takes it."""
        amount = self.amount.data_money
        if not isinstance(amount, Money):
            raise TypeError("the form was validated")
        return Line(
            amount=amount,
            value_on=date.fromisoformat(str(self.value_on.data).strip()),
            bank_account=self.bank_account.data,
            bank_reference=str(self.bank_reference.data),
            payer=str(self.payer.data),
        )


class ReverseForm(KeyedForm):
    """Why a booking is wrong."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever approves it reads it, and it stands beside the reversal."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """An open invoice with what was entered for it, and what is wrong with that."""

    invoice: OpenInvoice
    text: str
    error: str | None


@access.requires_staff("finance.read")
def bank_transfers() -> Response:
    """Booked lines, newest first."""
    url, template = Query(), "operator/bank_transfers/index.html"
    with services.database().reading() as session:
        _, total = transfers.list_transfers(session, limit=1)
        page = last_page(url.page(), _PAGE_SIZE, total)
        rows, _ = transfers.list_transfers(session, limit=_PAGE_SIZE, offset=(page - 1) * _PAGE_SIZE)
    return htmx.render(template, template, rows=rows, total=total, page=page, page_size=_PAGE_SIZE, notices=url.notices)


@access.requires_staff("finance.read")
def bank_transfers_detail(transfer_id: str) -> Response:
    """One booked line: what it paid, who booked it, and whether it was taken back."""
    template = "operator/bank_transfers/detail.html"
    with services.database().reading() as session:
        found = transfers.get_transfer(session, path_key(transfer_id))
        account = listing.get_account(session, found.billing_account_id)
        g.zone = account.zone
        names = people.names_of(session, [found.booked_by, found.reversed_by])
        opened = approvals.find_open(session, act=reversals.ACT, subject_id=found.id)
        fault = None if found.reversed_at or opened else _find_fault(session, found.id)
    may = "ledger.correct" in access.current_principal().staff_permissions
    return htmx.render(
        template,
        template,
        found=found,
        account=account,
        booked_by=words.actor(found.booked_by, names),
        reversed_by=words.actor(found.reversed_by, names) if found.reversed_by else None,
        opened=opened,
        fault=fault,
        may_reverse=may and not (found.reversed_at or opened or fault),
    )


@access.requires_staff("payments.manage", fresh=True)
def accounts_bank_transfer(account_id: str) -> Response:
    """The form; sent with `step=check` where its money would go, with `step=book` the booking itself."""
    form = TransferForm()
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        invoices = transfers.list_open(session, account_id=account.id)
        row = directory.get_account(session, account.id)
        seller = directory.get_seller(session, row.seller_id)
        offered = list(dict.fromkeys([currencies.invoice_currency_of(row), *(one.currency for one in invoices)]))
    form.currency_code.choices = [SelectChoice(code, code) for code in offered]
    form.currency_code.data = form.currency_code.data or offered[0]
    form.currency = form.currency_code.data if form.currency_code.data in offered else offered[0]
    if not form.is_submitted():
        form.bank_account.data = seller.bank_account
        form.value_on.data = services.now().date().isoformat()
    asked = [_asked(one) for one in invoices]
    status, refusals = 200, []
    if request.form.get("step") == "change":
        pass
    elif form.validate_on_submit() and not any(one.error for one in asked):
        try:
            return _book(account, form, asked) if request.form.get("step") == "book" else _check(account, form, asked)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status, refusals = 422, [f"{one.invoice.number}: {one.error}" for one in asked if one.error]
    form.ensure_key()
    template = "operator/bank_transfers/book.html"
    return htmx.render(
        template,
        template,
        status=status,
        account=account,
        form=form,
        asked=asked,
        has_choice=len(offered) > 1,
        refusals=refusals,
    )


@access.requires_staff("ledger.correct", fresh=True)
def bank_transfers_reverse(transfer_id: str) -> Response:
    """What taking the booking back would post, and why it is wanted."""
    form, template = ReverseForm(), "operator/bank_transfers/reverse.html"
    with services.database().reading() as session:
        found = transfers.get_transfer(session, path_key(transfer_id))
        g.zone = listing.get_account(session, found.billing_account_id).zone
        content, fault = _content_or_fault(session, found.id)
        entries = content.get("entries", [])
        figures = effects.figures_of(session, found.billing_account_id, entries)
    status, refusals = (200, []) if fault is None else (409, [fault])
    if fault is None and form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = reversals.request(
                    session,
                    now=services.now(),
                    transfer_id=found.id,
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("It is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif fault is None and form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        template,
        template,
        status=status,
        found=found,
        content=content,
        postings=effects.postings_of(entries),
        figures=figures,
        form=form,
        refusals=refusals,
    )


def _check(account: AccountRow, form: TransferForm, asked: Sequence[Asked]) -> Response:
    line, template = form.line(), "operator/bank_transfers/check.html"
    with services.database().reading() as session:
        shares = transfers.plan(
            session, now=services.now(), account_id=account.id, line=line, shares=_shares(form, asked)
        )
        invoices = {one.id: one for one in transfers.list_open(session, account_id=account.id)}
    return htmx.render(
        template,
        template,
        account=account,
        form=form,
        line=line,
        parts=[(invoices[share.invoice_id], share.amount_minor, _plain(share, line)) for share in shares],
        to_wallet=line.amount.minor - sum(share.amount_minor for share in shares),
    )


def _book(account: AccountRow, form: TransferForm, asked: Sequence[Asked]) -> Response:
    with services.database().transaction() as session:
        done = transfers.book(
            session,
            now=services.now(),
            account_id=account.id,
            line=form.line(),
            actor=access.current_principal().id,
            shares=_shares(form, asked),
        )
    flash("The transfer is booked.", "good")
    return htmx.redirect(url_for("operator.bank_transfers_detail", transfer_id=done.id))


def _shares(form: TransferForm, asked: Sequence[Asked]) -> list[Share] | None:
    """What was entered for each invoice in the form's currency; None for what is due first."""
    if form.way.data != _CHOSEN:
        return None
    return [
        Share(invoice_id=one.invoice.id, amount_minor=money.parse(one.text, one.invoice.currency).minor)
        for one in asked
        if one.text and one.invoice.currency == form.currency
    ]


def _asked(invoice: OpenInvoice) -> Asked:
    text = request.form.get(f"share-{invoice.id}", "").strip().replace(",", "")
    error = None
    if text and request.form.get("way") == _CHOSEN:
        try:
            money.parse(text, invoice.currency)
        except Refusal as refusal:
            error = sentences.of(refusal)
    return Asked(invoice=invoice, text=text, error=error)


def _plain(share: Share, line: Line) -> str:
    """The amount as a field takes it."""
    return str(Money(minor=share.amount_minor, currency=line.amount.currency).to_decimal())


def _find_fault(session: Any, transfer_id: str) -> str | None:
    return _content_or_fault(session, transfer_id)[1]


def _content_or_fault(session: Any, transfer_id: str) -> tuple[dict[str, Any], str | None]:
    try:
        return reversals.content_of(session, transfer_id), None
    except Refusal as refusal:
        return {}, sentences.of(refusal)
