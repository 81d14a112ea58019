"""An account's commitments: what each has left, how it was drawn down, and agreeing on a new one, which is sold by an invoice."""

from datetime import datetime
from typing import Any

from flask import flash, g, url_for
from werkzeug.wrappers import Response
from wtforms import StringField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import listing
from billing.accounts.listing import AccountRow
from billing.catalog import books, commitments
from billing.invoicing import contracts, sales
from billing.kernel import clock
from billing.kernel.errors import Invalid, Refusal
from billing.kernel.money import Money
from billing.storage.database import Session
from portal import access, errors, htmx, price_words, sentences, services
from portal.fields import ChecksField, KeyedForm, MoneyField
from portal.tenant.query import path_key

STATES = {
    "planned": ("Not sold", "neutral"),
    "for_sale": ("Sale drafted", "info"),
    "upcoming": ("Upcoming", "info"),
    "active": ("Running", "good"),
    "used_up": ("Used up", "neutral"),
    "ended": ("Ended, last bills open", "warn"),
    "lapsed": ("Ended", "neutral"),
    "withdrawn": ("Withdrawn", "neutral"),
}
MOVES = {
    "commit_sale": "Sold",
    "commit_drawdown": "Drawn down",
    "commit_return": "Given back by a credit note",
    "commit_lapse": "Lapsed",
    "credit_note": "Credited",
    "refund_credit": "Credited to the wallet",
}


class CommitmentForm(KeyedForm):
    """How much is paid in advance, for what, from when until when."""

    name = StringField("Name", [DataRequired("Give it a name: it stands on invoices."), Length(max=100)])
    amount = MoneyField("Amount before tax", [InputRequired("Enter an amount, such as 10000.00.")])
    starts_at = StringField("From", [DataRequired("Say when it begins.")])
    ends_at = StringField("Until", [DataRequired("Say when it ends.")])
    families = ChecksField("Which charges draw it down")
    currency = "USD"


class WithdrawForm(KeyedForm):
    """Taking back what was never sold."""


@access.requires_staff("finance.read")
def accounts_commitments(account_id: str) -> Response:
    """Every commitment of the account with its history."""
    with services.database().reading() as session:
        account = _account(session, account_id)
        rows = contracts.list_rows(session, now=services.now(), account_id=account.id)
        histories = {row.id: contracts.history(session, row.id) for row in rows}
    form = WithdrawForm()
    form.ensure_key()
    template = "operator/commitments/index.html"
    return htmx.render(
        template,
        template,
        account=account,
        rows=list(reversed(rows)),
        histories=histories,
        states=STATES,
        moves=MOVES,
        words_of=families_in_words,
        form=form,
        may_sell=may_sell(),
    )


@access.requires_staff("prices.change")
def accounts_commitments_new(account_id: str) -> Response:
    """Agree on a commitment and draft the invoice that sells it; approving and issuing that is the next step."""
    form, status = CommitmentForm(), 200
    refusals: list[str] = []
    with services.database().reading() as session:
        account = _account(session, account_id)
        families = sorted({code.partition("/")[0] for code in books.names_of(session)}, key=price_words.family_order)
    form.currency = account.invoice_currency
    form.families.choices = [(family, price_words.family(family)) for family in families]
    if form.validate_on_submit():
        try:
            draft_id = _agree(account, form)
            flash(
                "The commitment is agreed and its invoice is drafted. It can be drawn down once the invoice is issued.",
                "good",
            )
            return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=draft_id))
        except Refusal as refusal:
            status, refusals = _refused(form, refusal)
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    template = "operator/commitments/new.html"
    return htmx.render(template, template, status=status, account=account, form=form, refusals=refusals)


@access.requires_staff("prices.change")
def accounts_commitments_act(account_id: str, contract_id: str, act: str) -> Response:
    """Draft the sale of a commitment again after its draft was voided, or withdraw one that was never sold."""
    url = url_for("operator.accounts_commitments", account_id=path_key(account_id))
    actor, now = access.current_principal().id, services.now()
    try:
        with services.database().transaction() as session:
            commitments.get(session, path_key(contract_id), account_id=path_key(account_id))
            if act == "sell":
                draft_id = sales.draft(session, now=now, contract_id=contract_id, actor=actor)
                url = url_for("operator.invoice_runs_document", invoice_id=draft_id)
            else:
                commitments.withdraw(session, now=now, contract_id=contract_id, actor=actor)
    except Refusal as refusal:
        if errors.status_of(refusal) == 404:
            raise
        flash(sentences.of(refusal), "bad")
        return htmx.redirect(url)
    flash("The invoice is drafted." if act == "sell" else "The commitment is withdrawn.", "good")
    return htmx.redirect(url)


def may_sell() -> bool:
    """Whether who is signed in may agree on commitments."""
    return "prices.change" in access.current_principal().staff_permissions


def families_in_words(families: tuple[str, ...]) -> str:
    """Which charges draw a commitment down."""
    return ", ".join(price_words.family(family) for family in families) if families else "All charges"


def _agree(account: AccountRow, form: CommitmentForm) -> str:
    actor, now = access.current_principal().id, services.now()
    amount = form.amount.data_money
    assert isinstance(amount, Money)  # noqa: S101  the form was valid
    with services.database().transaction() as session:
        contract = commitments.create(
            session,
            now=now,
            account_id=account.id,
            name=form.name.data or "",
            amount=amount,
            starts_at=_instant(form.starts_at, account),
            ends_at=_instant(form.ends_at, account),
            families=form.families.data or (),
            actor=actor,
        )
        return sales.draft(session, now=now, contract_id=contract.id, actor=actor)


def _account(session: Session, account_id: str) -> AccountRow:
    account = listing.get_account(session, path_key(account_id))
    g.zone = account.zone
    return account


def _instant(field: Any, account: AccountRow) -> datetime:
    return clock.parse_instant((field.data or "").strip(), field=field.name, zone=account.zone)


def _refused(form: CommitmentForm, refusal: Refusal) -> tuple[int, list[str]]:
    """The refusal beside its field where it names one, else above the form."""
    field = form._fields.get(str(refusal.fields.get("field")))
    if isinstance(refusal, Invalid) and field is not None:
        field.errors = [*field.errors, sentences.of(refusal)]
        return 422, []
    return errors.status_of(refusal), [sentences.of(refusal)]
