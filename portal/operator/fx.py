"""Exchange rates: the newest of each currency, every snapshot and where it was used, import, and who is billed in what."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from flask import flash, render_template, url_for
from flask_wtf.file import FileField
from werkzeug.datastructures import FileStorage
from werkzeug.wrappers import Response
from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from billing.accounts import currencies
from billing.invoicing import conversion, invoice_currency
from billing.kernel.errors import Refusal
from billing.kernel.rounding import half_up_fraction
from billing.reference import ecb, exchange, fx_rates
from billing.rendering import charts
from portal import access, errors, filters, fx_words, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant import query
from portal.tenant.query import Query, path_key

_PAGE_SIZE = 10
_DAYS_CHARTED = 180
_BAD_SHOWN = 200
_DOCUMENTS_SHOWN = 100
_TEXT_MAX = 1_000_000


class ImportForm(KeyedForm):
    """A file, and who published what it says."""

    file = FileField("File")
    text = TextAreaField("Or its text", [Length(max=_TEXT_MAX, message="At most 1,000,000 characters.")])
    source = StringField(
        "Published by",
        [InputRequired("Enter a short code, such as ECB."), Length(max=20, message="At most 20 characters.")],
        default=fx_rates.ECB,
    )


class TaxCurrencyForm(KeyedForm):
    """The currency of a seller's tax office."""

    currency = StringField("Tax currency", [InputRequired("Enter a currency, such as EUR."), Length(min=3, max=3)])


class InvoiceCurrencyForm(KeyedForm):
    """The currency of an account's invoices."""

    account = StringField("Billing account", [InputRequired("Enter its code."), Length(max=80)])
    currency = StringField(
        "Invoiced in", [InputRequired("Enter a currency, such as EUR."), Length(min=3, max=3, message="Three letters.")]
    )


@access.requires_staff("finance.read")
def fx() -> Response:
    """The newest rates, one currency over time, and the snapshots."""
    return _page()


@access.requires_staff("finance.read")
def fx_snapshot(snapshot_id: str) -> str:
    """One snapshot: its rates, its hash, and the documents that were made with it."""
    with services.database().reading() as session:
        row, rates = fx_rates.get_snapshot(session, path_key(snapshot_id))
        documents = conversion.list_documents(session, row.id, limit=_DOCUMENTS_SHOWN + 1)
    return render_template(
        "operator/fx/snapshot.html",
        row=row,
        rates=rates,
        documents=documents[:_DOCUMENTS_SHOWN],
        has_more=len(documents) > _DOCUMENTS_SHOWN,
    )


@access.requires_staff("tax.manage")
def fx_import() -> Response:
    """The form; sent, what was imported. Rows that are refused are named, the rest is kept."""
    form, status, done = ImportForm(), 200, None
    refusals: list[str] = []
    if form.validate_on_submit():
        content = _content(form)
        if not content:
            form.file.errors = ["Choose the file, or paste its text."]
            status = 422
        else:
            try:
                table = ecb.read(content, today=services.now().date())
                with services.database().transaction() as session:
                    done = fx_rates.import_table(
                        session,
                        table,
                        now=services.now(),
                        actor=access.current_principal().id,
                        source=(form.source.data or "").strip().upper(),
                    )
            except Refusal as refusal:
                status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    if done is not None and not done.bad:
        flash(fx_words.summary(done), "good" if done.added else "info")
        return htmx.redirect(url_for("operator.fx"))
    form.ensure_key()
    return htmx.render(
        "operator/fx/import.html",
        "operator/fx/import.html",
        status=status,
        form=form,
        refusals=refusals,
        summary=fx_words.summary(done) if done else None,
        bad=[(row, fx_words.reason(row)) for row in done.bad[:_BAD_SHOWN]] if done else [],
        bad_count=len(done.bad) if done else 0,
    )


@access.requires_staff("tax.manage")
def fx_tax_currency(seller: str) -> Response:
    """Change the currency of a seller's tax office."""
    form = TaxCurrencyForm()
    if not form.validate_on_submit():
        return _page(status=422, refusals=("Enter a currency of three letters, such as EUR.",))
    try:
        with services.database().transaction() as session:
            currencies.set_tax_currency(
                session,
                now=services.now(),
                seller_code=path_key(seller),
                currency=(form.currency.data or "").strip().upper(),
                actor=access.current_principal().id,
            )
    except Refusal as refusal:
        return _page(status=errors.status_of(refusal), refusals=(sentences.of(refusal),))
    flash("The tax currency is changed, from the next document on.", "good")
    return htmx.redirect(url_for("operator.fx", _anchor="sellers"))


@access.requires_staff("tax.manage")
def fx_invoice_currency() -> Response:
    """Change the currency of an account's invoices."""
    form = InvoiceCurrencyForm()
    if not form.validate_on_submit():
        return _page(status=422, form=form)
    try:
        with services.database().transaction() as session:
            account = invoice_currency.change(
                session,
                now=services.now(),
                account_code=(form.account.data or "").strip(),
                currency=(form.currency.data or "").strip().upper(),
                actor=access.current_principal().id,
            )
            words = f"{account.name} is invoiced in {currencies.invoice_currency_of(account)} from the next draft on."
    except Refusal as refusal:
        return _page(status=errors.status_of(refusal), refusals=(sentences.of(refusal),), form=form)
    flash(words, "good")
    return htmx.redirect(url_for("operator.fx", _anchor="accounts"))


def _content(form: ImportForm) -> bytes:
    """The file that was sent, else the text."""
    sent = form.file.data
    if isinstance(sent, FileStorage) and sent.filename:
        return sent.stream.read(ecb.MAX_BYTES + 1)
    return (form.text.data or "").encode("utf-8", "surrogatepass")


def _page(*, status: int = 200, refusals: tuple[str, ...] = (), form: InvoiceCurrencyForm | None = None) -> Response:
    url, today = Query(), services.now().date()
    may_manage = "tax.manage" in access.current_principal().staff_permissions
    with services.database().reading() as session:
        newest = _best(fx_rates.list_newest(session, on=today))
        codes = sorted({row.currency for row in newest})
        chosen = url.choice("currency", codes, "USD" if "USD" in codes else (codes[0] if codes else ""))
        source = next((row.source for row in newest if row.currency == chosen), fx_rates.ECB)
        until = max((row.published_on for row in newest if row.currency == chosen), default=today)
        history = fx_rates.history(
            session, chosen, since=until - timedelta(days=_DAYS_CHARTED), until=until, source=source
        )
        snapshots, count = fx_rates.list_snapshots(session, limit=_PAGE_SIZE, offset=(url.page() - 1) * _PAGE_SIZE)
        sellers, accounts = currencies.list_sellers(session), currencies.list_converted(session)
    form = form or InvoiceCurrencyForm(formdata=None)
    form.ensure_key()
    return htmx.render(
        "operator/fx/index.html",
        "operator/fx/index.html",
        status=status,
        newest=newest,
        fresh_count=sum(not row.is_stale for row in newest),
        newest_on=max((row.published_on for row in newest), default=None),
        limit_days=fx_rates.STALE_AFTER_DAYS,
        today=today,
        chosen=chosen,
        options=[query.option(code, code == chosen, currency=code) for code in codes],
        history=list(reversed(history)),
        chart=_chart(chosen, history) if len(history) > 1 else None,
        snapshots=snapshots,
        page=url.page(),
        page_size=_PAGE_SIZE,
        count=count,
        sellers=sellers,
        accounts=accounts,
        form=form,
        refusals=refusals,
        may_manage=may_manage,
        notices=url.notices,
    )


def _best(rows: Sequence[fx_rates.NewestRate]) -> list[fx_rates.NewestRate]:
    """One for each currency: what is fresh before what is stale, the ECB's before another's, then the newest."""
    best: dict[str, fx_rates.NewestRate] = {}
    for row in sorted(rows, key=lambda row: (row.is_stale, row.source != fx_rates.ECB, row.age_days)):
        best.setdefault(row.currency, row)
    return [best[currency] for currency in sorted(best)]


def _chart(currency: str, history: Sequence[tuple[Any, str]]) -> object:
    first = Fraction(history[0][1])

    def tick(value: Fraction) -> str:
        return f"{exchange.to_text(Fraction(half_up_fraction(value * 100), 100))} %"

    return charts.lines(
        charts.Chart(
            id="fx-chart",
            title=f"{currency} for one euro, change in percent",
            description=f"One point for each published day. First {history[0][1]}, last {history[-1][1]} on {filters.day(history[-1][0])}.",
            labels=tuple(filters.day(on) for on, _ in history),
            series=(
                charts.Series(name=currency, values=tuple((Fraction(text) / first - 1) * 100 for _, text in history)),
            ),
            tick=tick,
        )
    )
