"""Corrections by hand: one ledger transaction and its reversal, and credits or debits. Each is asked for here and decided by another."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from flask import flash, g, render_template, request, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response
from wtforms import RadioField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length, Optional

from billing.accounts import approvals, listing, people
from billing.accounts.listing import AccountRow
from billing.kernel.errors import Refusal
from billing.kernel.money import Money
from billing.ledger import adjustments, balances, reversal, statement
from billing.ledger.statement import MovementDetail
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.operator import effects, subjects, words
from portal.tenant import ranges
from portal.tenant import words as tenant_words
from portal.tenant.query import path_key

_LONGEST_GIFT = timedelta(days=3_653)
_PAIR_HINTS = {
    "gift": "used up by usage first, never leaves as money",
    "wallet_credit": "pays invoices, and can leave as a refund",
    "gift_back": "at most what is left of gifts",
    "wallet_debit": "at most what the wallet holds",
}


class CreditForm(KeyedForm):
    """What to give or take, how much, and why."""

    pair = RadioField(
        "What to do",
        [InputRequired("Choose what to give or to take.")],
        choices=[
            SelectChoice(pair.code, f"{pair.words}: {_PAIR_HINTS[pair.code]}") for pair in adjustments.PAIRS.values()
        ],
    )
    currency_code = SelectField("Currency", [InputRequired("Choose a currency.")])
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])
    ends_on = StringField("Last day of the gift", [Optional()])
    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: it stands on the tenant's statement."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )
    currency = "USD"

    def validate_ends_on(self, field: Any) -> None:
        """A day that is still to come, of a gift."""
        if not field.data:
            return
        try:
            last_on = date.fromisoformat(field.data.strip())
        except ValueError:
            raise ValidationError("Enter a day such as 2027-03-31.") from None
        if self.pair.data != adjustments.GIFT:
            raise ValidationError("Only a gift can have an end.")
        if not services.now().date() <= last_on <= services.now().date() + _LONGEST_GIFT:
            raise ValidationError("Choose a day that is still to come, at most ten years ahead.")

    def expires_at(self, zone: str) -> datetime | None:
        """The end of its last day in the account's zone; None for a gift without end."""
        if not self.ends_on.data:
            return None
        day = date.fromisoformat(self.ends_on.data.strip())
        return ranges.of_days(day, day, zone).end_at


class ReverseForm(KeyedForm):
    """Why a transaction is to be taken back."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: it stands beside the reversal."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def accounts_transaction(account_id: str, transaction_id: str) -> Response:
    """One ledger transaction with its entries, its place in the chain, and what was done about it."""
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        found = statement.get_movement(session, account_id=account.id, transaction_id=path_key(transaction_id))
        names = people.names_of(session, [found.actor])
        opened = approvals.find_open(session, act=reversal.ACT, subject_id=found.transaction_id)
        fault = None if found.reversed_by_id or opened else _find_fault(session, found)
    may_correct = "ledger.correct" in access.current_principal().staff_permissions
    return htmx.render(
        "operator/corrections/transaction.html",
        "operator/corrections/transaction.html",
        account=account,
        found=found,
        title=tenant_words.movement(found.type),
        postings=effects.postings_of(_entries(found)),
        actor=words.actor(found.actor, names),
        cause_url=subjects.find_url(found.source_type, found.source_id),
        names=_named(found),
        opened=opened,
        fault=fault,
        may_reverse=may_correct and not (found.reversed_by_id or opened or fault),
    )


@access.requires_staff("ledger.correct", fresh=True)
def accounts_reverse(account_id: str, transaction_id: str) -> Response:
    """What the reversal would post, and why it is wanted."""
    form = ReverseForm()
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        found = statement.get_movement(session, account_id=account.id, transaction_id=path_key(transaction_id))
        content, fault = _content_or_fault(session, found)
        entries = content.get("entries", [])
        figures = effects.figures_of(session, account.id, entries)
    status, refusals = (200, []) if fault is None else (409, [fault])
    if fault is None and form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = reversal.request(
                    session,
                    now=services.now(),
                    transaction_id=found.transaction_id,
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("The reversal is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif fault is None and form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/corrections/reverse.html",
        "operator/corrections/reverse.html",
        status=status,
        account=account,
        found=found,
        title=tenant_words.movement(found.type),
        content=content,
        postings=effects.postings_of(entries),
        figures=figures,
        form=form,
        refusals=refusals,
    )


@access.requires_staff("ledger.correct", fresh=True)
def accounts_credit(account_id: str) -> Response:
    """The form; sent with `step=check` the answers to check, with `step=send` the request itself."""
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        g.zone = account.zone
        held = balances.of_account(session, account.id)
    form = CreditForm()
    currencies = sorted({account.currency, *(one.currency for one in held)})
    form.currency_code.choices = [SelectChoice(code, code) for code in currencies]
    if form.currency_code.data is None:
        form.currency_code.data = account.currency
    form.currency = form.currency_code.data if form.currency_code.data in currencies else account.currency
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            if request.form.get("step") == "send":
                return _send(account, form)
            return _check(account, form)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/corrections/credit.html",
        "operator/corrections/credit.html",
        status=status,
        account=account,
        form=form,
        held=held,
        has_choice=len(currencies) > 1,
        refusals=refusals,
    )


def _check(account: AccountRow, form: CreditForm) -> Response:
    content = adjustments.content_of(account.id, str(form.pair.data), _amount(form), form.expires_at(account.zone))
    entries = content["entries"]
    with services.database().reading() as session:
        adjustments.require_held(session, account_id=account.id, pair_code=content["pair"], amount=_amount(form))
        figures = effects.figures_of(session, account.id, entries)
    return htmx.render(
        "operator/corrections/check.html",
        "operator/corrections/check.html",
        account=account,
        form=form,
        pair=adjustments.get_pair(content["pair"]),
        postings=effects.postings_of(entries),
        figures=figures,
    )


def _send(account: AccountRow, form: CreditForm) -> Response:
    with services.database().transaction() as session:
        asked = adjustments.request(
            session,
            now=services.now(),
            account_id=account.id,
            pair_code=str(form.pair.data),
            amount=_amount(form),
            maker=access.current_principal().id,
            reason=form.reason.data or "",
            form_key=form.form_key.data or None,
            expires_at=form.expires_at(account.zone),
        )
    flash("It is asked for. Somebody else must decide it.", "good")
    return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))


def _amount(form: CreditForm) -> Money:
    amount = form.amount.data_money
    if not isinstance(amount, Money):
        raise TypeError("the form was validated")
    return amount


def _entries(found: MovementDetail) -> Sequence[Sequence[Any]]:
    return [(row.kind, row.debit, row.credit, row.amount_minor, row.currency) for row in found.entries]


_NAMED = {
    "charge_id": "charge",
    "invoice": "invoice",
    "invoice_id": "invoice",
    "credit_note": "invoice",
    "refund_id": "refund",
    "approval_id": "approval",
}
_NAMED_MAX = 20


def _named(found: MovementDetail) -> list[dict[str, Any]]:
    """The ids that the entries name, each once, with the page that shows it where there is one."""
    seen: dict[str, dict[str, Any]] = {}
    for row in found.entries:
        for key, value in row.detail.items():
            if isinstance(value, str) and value and value != found.source_id and len(seen) < _NAMED_MAX:
                kind = _NAMED.get(key, key.removesuffix("_id"))
                link = render_template("operator/_id.html", id=value, url=subjects.find_url(kind, value))
                seen.setdefault(value, {"label": subjects.word(kind), "value": Markup(link)})  # noqa: S704  of our own template
    return list(seen.values())


def _find_fault(session: Any, found: MovementDetail) -> str | None:
    return _content_or_fault(session, found)[1]


def _content_or_fault(session: Any, found: MovementDetail) -> tuple[dict[str, Any], str | None]:
    """What a reversal would post, or the sentence that says why there can be none."""
    try:
        return reversal.content_of(session, found.transaction_id), None
    except Refusal as refusal:
        return {}, sentences.of(refusal)
