"""Add funds, pay an invoice: the amount, a look before paying, the provider, and the page that waits for the confirmed fact."""

from dataclasses import dataclass

from flask import Response, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from wtforms.validators import InputRequired

from billing.invoicing import invoices as documents
from billing.invoicing.invoices import InvoiceRow
from billing.kernel import money
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.ledger import balances
from billing.payments import acts, checkout, sessions
from billing.payments.customers import methods
from billing.payments.errors import AmountOutOfRange
from billing.payments.sessions import SessionRow
from portal import access, errors, filters, htmx, sentences, services
from portal.fields import KeyedForm, MoneyField
from portal.tenant import blueprint, query, words
from portal.tenant import invoices as invoice_pages

_SHOWN = 20
_NEWEST = 5
_PROVIDERS = {"stripe": "Card, on Stripe's page", "sandbox": "Test card, on the sandbox's page: no real money moves"}
# state -> (title, tone, what it means)
_STATES = {
    "created": ("Being prepared", "info", "The payment page is being opened."),
    "open": ("Waiting for your payment", "info", "The payment provider has not confirmed a payment yet."),
    "unknown": (
        "Waiting for an answer",
        "info",
        "The payment provider did not answer clearly. It is asked again until it does; nothing is charged twice.",
    ),
    "paid": ("Payment received", "good", "The payment provider has confirmed the payment."),
    "failed": ("Not paid", "bad", "The payment did not go through. Nothing was charged."),
    "expired": ("Not paid in time", "warn", "The payment page was left without paying. Nothing was charged."),
}
# The page is done with and the money is not there: a direct debit or a transfer.
_PROCESSING = (
    "On its way",
    "info",
    "The payment provider waits for the bank: a direct debit takes up to six working days. Nothing is credited before.",
)


class AmountForm(FlaskForm):
    """How much to add."""

    currency = "USD"
    amount = MoneyField("Amount", [InputRequired("Enter an amount, such as 50.00.")])


class PayForm(KeyedForm):
    """The look before paying: nothing to fill in, a key so that two clicks are one payment."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is to be paid: an amount into the wallet, or what is open on an invoice."""

    amount: Money
    invoice: InvoiceRow | None


@blueprint.route("/add-funds", methods=["GET", "POST"])
@access.requires("billing.write")
def add_funds() -> Response:
    """The amount; open invoices and earlier payments beside it."""
    account = access.current_account()
    form = AmountForm()
    form.currency = account.invoice_currency
    least, most = checkout.limits(account.invoice_currency)
    if form.validate_on_submit() and (amount := _within(form, least, most)) is not None:
        return htmx.redirect(url_for("tenant.add_funds_check", amount=amount.to_decimal()))
    if request.method == "GET" and form.amount.data is None:
        form.amount.data = query.Query().text("amount") or ""
    with services.database().reading() as session:
        opened = documents.list_invoices(
            session, now=services.now(), account_id=account.id, states=invoice_pages.OPEN, kind="invoice", sort="due"
        )
        payments = sessions.list_payments(session, account_id=account.id, limit=_NEWEST)
        waiting = [
            row for row in sessions.list_sessions(session, account_id=account.id, limit=_SHOWN) if not row.is_final
        ]
        held = balances.of_account(session, account.id, currency=account.invoice_currency)
        saved = methods.list_methods(session, account_id=account.id, provider=services.default_provider().name)
    page = render_template(
        "tenant/add_funds/index.html",
        form=form,
        currency=account.invoice_currency,
        least=least,
        most=most,
        wallet_minor=held[0].wallet_minor,
        opened=opened,
        payments=payments,
        waiting=waiting,
        saved=[words.plain(method.label) for method in saved],
    )
    return make_response(page, 422 if form.errors else 200)


@blueprint.route("/add-funds/check", methods=["GET", "POST"])
@access.requires("billing.write")
def add_funds_check() -> Response:
    """What will be paid, once more, and one button that does it: it leads to the provider."""
    account, form = access.current_account(), PayForm()
    try:
        asked = _read()
    except Invalid as refusal:
        flash(sentences.of(refusal), "bad")
        return htmx.redirect(url_for("tenant.add_funds", amount=request.args.get("amount", "")[:40]))
    refusals, status = [], 200
    if form.validate_on_submit():
        try:
            return _pay(asked, form)
        except NotFound:
            raise
        except Refusal as refusal:
            refusals, status = [sentences.of(refusal)], errors.status_of(refusal)
    form.ensure_key()
    with services.database().reading() as session:
        saved = methods.list_methods(session, account_id=account.id, provider=services.default_provider().name)
    page = render_template(
        "tenant/add_funds/check.html",
        saved=[words.plain(method.label) for method in saved],
        form=form,
        refusals=refusals,
        asked=asked,
        title=f"Payment of invoice {asked.invoice.number}" if asked.invoice else "Funds for the wallet",
        account=account,
        provider=_PROVIDERS.get(services.default_provider().name, words.plain(services.default_provider().name)),
    )
    return make_response(page, status)


@blueprint.get("/add-funds/<session_id>")
@access.requires("billing.read")
def add_funds_session(session_id: str) -> Response:
    """How a payment stands. It believes the provider alone, never the address, and asks until the answer is final."""
    account = access.current_account()
    row = acts.refresh_session(
        services.database(),
        services.services().providers,
        now=services.now(),
        account_id=account.id,
        session_id=query.path_key(session_id),
    )
    with services.database().reading() as session:
        held = balances.of_account(session, account.id, currency=row.currency)[0]
        invoice = (
            documents.get_invoice(session, now=services.now(), key=row.invoice_id, account_id=account.id).row
            if row.invoice_id
            else None
        )
    title, tone, text = _PROCESSING if row.is_processing else _STATES[row.state]
    return htmx.render(
        "tenant/add_funds/session.html",
        "tenant/add_funds/_state.html",
        row=row,
        state_title=title,
        tone=tone,
        text=_failure(row) or text,
        invoice=invoice,
        held=held,
        zone=account.zone,
        every=htmx.poll_pace((services.now() - row.created_at).total_seconds()),
        may_pay="billing.write" in account.permissions,
        may_ask="refund.request" in account.permissions,
    )


def _read() -> Asked:
    """What the URL asks to pay. Raises Invalid for an amount that cannot be paid, NotFound for another's invoice."""
    account, invoice_id = access.current_account(), request.args.get("invoice")
    if invoice_id:
        with services.database().reading() as session:
            found = invoice_pages.get_issued(session, invoice_id).row
        if found.due_minor <= 0:
            raise Invalid(field="invoice", reason="nothing_open")
        return Asked(amount=Money(minor=found.due_minor, currency=found.currency), invoice=found)
    amount = money.parse(request.args.get("amount", ""), account.invoice_currency)
    least, most = checkout.limits(account.invoice_currency)
    if not least.minor <= amount.minor <= most.minor:
        raise AmountOutOfRange(
            field="amount",
            amount_minor=amount.minor,
            min_minor=least.minor,
            max_minor=most.minor,
            currency=amount.currency,
        )
    return Asked(amount=amount, invoice=None)


def _pay(asked: Asked, form: PayForm) -> Response:
    """Store the intent, open the provider's page and lead there; without a page, to ours, which says why."""

    def return_url(session_id: str) -> str:
        return services.config().base_url + url_for("tenant.add_funds_session", session_id=session_id)

    row = acts.start_checkout(
        services.database(),
        services.default_provider(),
        now=services.now(),
        account_id=access.current_account().id,
        purpose="invoice" if asked.invoice else "top_up",
        amount=asked.amount,
        form_key=form.form_key.data or "",
        actor=access.current_principal().id,
        return_url_of=return_url,
        invoice_id=asked.invoice.id if asked.invoice else None,
    )
    if row.state == "open" and row.redirect_url:
        return htmx.redirect(row.redirect_url)
    return htmx.redirect(url_for("tenant.add_funds_session", session_id=row.id))


def _within(form: AmountForm, least: Money, most: Money) -> Money | None:
    """The amount of a valid form if it may be paid; else None, and the field says why."""
    amount = form.amount.data_money
    if amount is not None and least.minor <= amount.minor <= most.minor:
        return amount
    form.amount.errors = [f"Enter an amount from {filters.money(least)} to {filters.money(most)}."]
    return None


def _failure(row: SessionRow) -> str | None:
    """Why it was not paid, in words, where the provider said why."""
    if row.failure is None:
        return None
    if row.failure.startswith("mismatch:"):
        return "The payment provider holds something else than was asked for. Nothing was credited; our finance team looks into it."
    return {
        "card_declined": "The card was declined. Nothing was charged.",
        "insufficient_funds": "The card was declined: it has not enough funds. Nothing was charged.",
        "expired_card": "The card has expired. Nothing was charged.",
        "abandoned": "The payment was cancelled. Nothing was charged.",
    }.get(row.failure)
