"""Correcting an issued invoice: a credit note of all of it, of lines or of an amount; or whole and billed again to other parties."""

from dataclasses import dataclass
from typing import Any

from flask import flash, request, url_for
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, RadioField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.invoicing import corrections, credit_notes
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import TaxCalculationNeeded
from billing.kernel import money
from billing.kernel.errors import Conflict, Invalid, Refusal
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import documents
from portal.tenant.query import path_key

_REASON = [
    DataRequired("Say why: the credit note prints it."),
    Length(max=credit_notes.REASON_MAX, message=f"At most {credit_notes.REASON_MAX} characters."),
]


class CorrectForm(KeyedForm):
    """Why it is billed again, and that the answers were checked."""

    reason = TextAreaField("Reason", _REASON)
    checked = BooleanField(
        "I have checked both documents", [InputRequired("Tick this when you have checked both documents.")]
    )


class CreditForm(KeyedForm):
    """What is credited, and why. Amounts of lines are named `line-<number>`."""

    way = RadioField(
        "What to credit",
        [InputRequired("Choose what to credit.")],
        choices=[
            SelectChoice("full", "All that is left"),
            SelectChoice("amount", "An amount, with tax"),
            SelectChoice("lines", "Lines, before tax"),
        ],
    )
    reason = TextAreaField("Reason", _REASON)
    amount = HiddenField()
    step = HiddenField(default="check")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be credited, as `credit_notes.credit` takes it, and in words."""

    arguments: dict[str, Any]
    words: list[tuple[str, int | None]]  # (what, minor units; None: all that is left of it)


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_correct(invoice_id: str) -> Response:
    """Check, then credit an invoice whole and bill its charges again with today's parties and tax."""
    invoice_id, status = path_key(invoice_id), 200
    form = CorrectForm()
    refusals: list[str] = []
    if request.form.get("step") == "ask":
        return _ask_taxes(invoice_id)
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                done = corrections.reissue(
                    session,
                    now=services.now(),
                    invoice_id=invoice_id,
                    reason=form.reason.data or "",
                    actor=access.current_principal().id,
                )
            flash(f"Credited with {done.credit_note_number} and billed again as {done.invoice_number}.", "good")
            return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=done.invoice_id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    needs_taxes = False
    made: InvoiceDocument | None = None
    with services.database().reading() as session:
        facts = documents.facts_of(session, invoice_id)
        try:
            made = corrections.preview(session, now=services.now(), invoice_id=facts["row"].id)
        except TaxCalculationNeeded:
            needs_taxes = True
        except Refusal as refusal:
            status = errors.status_of(refusal) if form.is_submitted() and not refusals else status
            refusals = refusals or [sentences.of(refusal)]
    form.ensure_key()
    template = "operator/invoice_runs/correct.html"
    return htmx.render(
        template, template, status=status, form=form, refusals=refusals, made=made, needs_taxes=needs_taxes, **facts
    )


def _ask_taxes(invoice_id: str) -> Response:
    """Nobody waits for a provider here: its job asks."""
    try:
        with services.database().transaction() as session:
            corrections.want_taxes(session, now=services.now(), invoice_id=invoice_id)
        flash("The tax provider is asked about today's address. Come back in a minute.", "info")
    except Conflict as refusal:
        flash(sentences.of(refusal), "bad")
    return htmx.redirect(url_for("operator.invoice_runs_correct", invoice_id=invoice_id))


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_credit(invoice_id: str) -> Response:
    """Say what to credit, check it, then issue the credit note."""
    invoice_id, status = path_key(invoice_id), 200
    form = CreditForm()
    refusals: list[str] = []
    choice: Choice | None = None
    with services.database().reading() as session:
        facts = documents.facts_of(session, invoice_id)
        rest_minor = credit_notes.rest_minor(session, facts["row"].id)
    if form.validate_on_submit():
        try:
            choice = _choice(form, facts["document"])
            if form.step.data == "issue":
                with services.database().transaction() as session:
                    done = credit_notes.credit(
                        session,
                        now=services.now(),
                        invoice_id=facts["row"].id,
                        reason=form.reason.data or "",
                        actor=access.current_principal().id,
                        **choice.arguments,
                    )
                flash(f"Credit note {done.number} is issued.", "good")
                return htmx.redirect(url_for("operator.invoice_runs_document", invoice_id=done.credit_note_id))
        except Refusal as refusal:
            choice, status, refusals = None, errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    template = f"operator/invoice_runs/{'credit_check' if choice else 'credit'}.html"
    given = {name: value for name, value in request.form.items() if name.startswith("line-")}
    return htmx.render(
        template,
        template,
        status=status,
        form=form,
        refusals=refusals,
        rest_minor=rest_minor,
        choice=choice,
        given=given,
        amount_text=request.form.get("amount", ""),
        **facts,
    )


def _choice(form: CreditForm, document: InvoiceDocument) -> Choice:
    """What the form asks for. Raises Invalid for an amount that is none."""
    if form.way.data == "full":
        return Choice(arguments={"full": True}, words=[("All that is left", None)])
    if form.way.data == "amount":
        minor = money.parse((form.amount.data or "").strip(), document.currency).minor
        return Choice(arguments={"amount_minor": minor}, words=[("Amount, with tax", minor)])
    chosen: dict[str, int | None] = {}
    words: list[tuple[str, int | None]] = []
    for line in document.lines:
        text = request.form.get(f"line-{line.seq}", "").strip()
        if text and not line.covers:
            chosen[line.id] = money.parse(text, document.currency).minor
            words.append((f"Line {line.seq}: {line.description}", chosen[line.id]))
    if not chosen:
        raise Invalid(field="lines", reason="nothing_chosen")
    return Choice(arguments={"lines": chosen}, words=words)
