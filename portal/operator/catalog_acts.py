"""Acts on the catalog: loading a price book or a plan with a preview first, and bringing a candidate into force through its gate."""

from collections.abc import Callable
from typing import Any

from flask import flash, request, url_for
from flask_wtf.file import FileField
from werkzeug.wrappers import Response
from wtforms import TextAreaField
from wtforms.validators import DataRequired, Length

from billing.accounts import approvals
from billing.catalog import activations, books, comparison, plan_files, prices
from billing.kernel.errors import NotFound, Refusal
from billing.rating import price_changes
from portal import access, errors, htmx, price_words, sentences, services
from portal.fields import KeyedForm
from portal.operator import catalog
from portal.tenant.query import path_key

_TEXT_MAX = 1_000_000


class TextForm(KeyedForm):
    """A file, or its text."""

    file = FileField("File")
    text = TextAreaField("Text", [Length(max=_TEXT_MAX, message="At most 1,000,000 characters.")])


class ActivateForm(KeyedForm):
    """Why, where a second person is asked."""

    reason = TextAreaField(
        "Reason",
        [
            DataRequired("Say why: whoever decides reads it."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("prices.change")
def catalog_load() -> Response:
    """The form; sent with `step=check` a preview of what the book would change, with `step=send` the candidate."""
    return _text_page(TextForm(), "load", _preview_book, _load_book)


@access.requires_staff("prices.change")
def catalog_plan_load() -> Response:
    """The form; sent with `step=check` a preview of the plan in words, with `step=send` the plan's new version."""
    return _text_page(TextForm(), "plan_load", _preview_plan, _load_plan)


@access.requires_staff("prices.change", fresh=True)
def catalog_activate(book_id: str) -> Response:
    """The gate: open by a fresh trial, or a second person is asked."""
    now, form = services.now(), ActivateForm()
    with services.database().reading() as session:
        book = books.get_book(session, path_key(book_id))
        gate = activations.gate_of(session, book, now=now)
        stated = books.prices_of(session, book.id)
    url = url_for("operator.catalog_book", book_id=book.id)
    if gate.state == "active":
        return htmx.redirect(url)
    status, refusals = 200, []
    by_trial = request.form.get("step") == "trial"
    if form.is_submitted() and (form.validate() or (by_trial and set(form.errors) <= {"reason"})):
        try:
            return _activate(book.id, by_trial, form)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/catalog/activate.html",
        "operator/catalog/activate.html",
        status=status,
        book=book,
        gate=gate,
        fault=catalog.FAULTS.get(gate.fault or ""),
        count=len(stated),
        begins_at=min((price.valid_from for price in stated), default=None),
        trial_url=catalog.find_url("operator.shadow_ratings_trial", trial_id=gate.trial.id) if gate.trial else None,
        try_url=catalog.find_url("operator.shadow_ratings_new", book=book.id),
        form=form,
        refusals=refusals,
    )


def _activate(book_id: str, by_trial: bool, form: ActivateForm) -> Response:
    actor, now = access.current_principal().id, services.now()
    if by_trial:
        with services.database().transaction() as session:
            price_changes.activate(session, now=now, book_id=book_id, actor=actor)
        flash("The prices are in force.", "good")
        return htmx.redirect(url_for("operator.catalog_book", book_id=book_id))
    with services.database().transaction() as session:
        asked = approvals.request(
            session,
            now=now,
            act=activations.ACT,
            subject_type="price_book",
            subject_id=book_id,
            content=activations.content_of(session, book_id),
            maker=actor,
            reason=form.reason.data or "",
            billing_account_id=None,
            form_key=form.form_key.data or None,
        )
        approval_id = asked.id
    flash("It is asked for. Somebody else must decide it.", "good")
    return htmx.redirect(url_for("operator.approvals_detail", approval_id=approval_id))


def _text_page(
    form: TextForm, name: str, preview: Callable[[str], dict[str, Any]], store: Callable[[str], Response]
) -> Response:
    """Text in, preview, and in the end the act; a refused text stays in the form."""
    refusals, shown, status = _read_file(form), {}, 200
    if form.validate_on_submit() and not refusals:
        text = form.text.data or ""
        try:
            if request.form.get("step") == "send":
                return store(text)
            shown = preview(text)
        except Refusal as refusal:
            status = 422 if isinstance(refusal, NotFound) else errors.status_of(refusal)
            refusals = [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    template = f"operator/catalog/{name}.html"
    return htmx.render(template, template, status=status, form=form, refusals=refusals, **{"preview": None, **shown})


def _read_file(form: TextForm) -> list[str]:
    """Put a file's text into the text field, which the next step sends."""
    if not form.is_submitted():
        return []
    if form.file.data is not None and form.file.data.filename:
        content = form.file.data.stream.read(_TEXT_MAX * 4 + 1)
        try:
            form.text.data = content.decode().replace("\r\n", "\n")
        except UnicodeDecodeError:
            return ["The file is not UTF-8 text."]
    if not (form.text.data or "").strip():
        return ["Choose a file, or write the text."]
    return []


def _preview_book(text: str) -> dict[str, Any]:
    with services.database().reading() as session:
        facts = books.read(session, text)
        found = books.find_same(session, facts)
        books.refuse_clash(session, facts.code, facts.prices)
        before = prices.list_prices(session, facts.code)
        changes = comparison.compare(before, [*before, *books.as_prices(session, facts)])
        return {
            "preview": {
                "facts": facts,
                "known": found,
                "rows": [catalog.compared(one) for one in changes if one.state != comparison.SAME],
                "same": sum(one.state == comparison.SAME for one in changes),
                "begins_at": min(price.valid_from for price in facts.prices),
            }
        }


def _load_book(text: str) -> Response:
    with services.database().transaction() as session:
        book = books.load(session, text, now=services.now(), origin="file", actor=access.current_principal().id)
        url = url_for("operator.catalog_book", book_id=book.id)
    flash(f"{book.name}, version {book.version}, is loaded. Nothing is charged by it before it is in force.", "good")
    return htmx.redirect(url)


def _preview_plan(text: str) -> dict[str, Any]:
    facts = plan_files.read(text)
    with services.database().reading() as session:
        fees = {
            price.item.variant: price
            for price in prices.list_prices(session, facts.book_code)
            if price.meter_code == "plan_fee"
        }
    currencies = sorted({price.currency for price in fees.values()} | {one.currency for one in facts.terms.minimums})
    said = [
        sentence
        for currency in currencies or ["USD"]
        for sentence in price_words.terms(facts.terms, currency=currency, fees=fees)
    ]
    return {"preview": {"facts": facts, "terms": list(dict.fromkeys(said))}}


def _load_plan(text: str) -> Response:
    with services.database().transaction() as session:
        stored = price_changes.load_plan(session, text, now=services.now(), actor=access.current_principal().id)
        url = url_for("operator.catalog_plan", plan_id=stored.plan_id)
    flash("The plan is stored.", "good")
    return htmx.redirect(url)
