"""Saved payment methods: the list, adding one on the provider's page, the default, removal, and the provider's own portal."""

from flask import Response, flash, make_response, render_template, request, url_for
from wtforms import BooleanField

from billing.kernel.errors import Refusal
from billing.payments.customers import acts, copies, methods, saving
from billing.payments.customers.errors import MethodGone
from billing.payments.customers.methods import MethodRow
from billing.payments.customers.setups import SetupRow
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.providers.port import Provider
from portal import access, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant import blueprint, query, words

_SILENT = "The payment provider did not answer. Nothing was changed: try again in a minute."
# state -> (title, tone, what it means)
_STATES = {
    "created": ("Being prepared", "info", "The provider's page is being opened."),
    "open": ("Waiting for the payment provider", "info", "It has not confirmed a saved method yet."),
    "unknown": (
        "Waiting for an answer",
        "info",
        "The payment provider did not answer clearly. It is asked again until it does.",
    ),
    "saved": ("Payment method saved", "good", "The payment provider has confirmed it."),
    "failed": ("Not saved", "bad", "The payment provider did not save a method."),
    "expired": ("Not saved", "warn", "The provider's page was left without saving a method."),
}


class AddForm(KeyedForm):
    """Whether what is saved becomes the default, and a key so that two clicks are one."""

    makes_default = BooleanField("Make it the default", default=True)


class ActForm(KeyedForm):
    """Nothing to fill in: the button says what it does."""


@blueprint.get("/payment-methods")
@access.requires("billing.read")
def payment_methods() -> str:
    """The saved methods as the provider last showed them; asked again for somebody who comes back from its pages."""
    account, provider = access.current_account(), services.default_provider()
    if request.args.get("from") == "portal":
        _refresh(provider, account.id)
    with services.database().reading() as session:
        rows = methods.list_methods(session, account_id=account.id, provider=provider.name)
        copied_at = copies.copied_at(session, account_id=account.id, provider=provider.name)
    return render_template(
        "tenant/payment_methods/index.html",
        rows=rows,
        copied_at=copied_at,
        zone=account.zone,
        today=services.now().date(),
        kinds={row.id: words.plain(row.label) for row in rows},
        may_change="billing.write" in account.permissions,
        provider=words.plain(provider.name),
    )


@blueprint.post("/payment-methods/refresh")
@access.requires("billing.write")
def payment_methods_refresh() -> Response:
    """Ask the provider again what is saved there."""
    if _refresh(services.default_provider(), access.current_account().id):
        flash("The list is as the payment provider has it now.", "good")
    return htmx.redirect(url_for("tenant.payment_methods"))


@blueprint.route("/payment-methods/add", methods=["GET", "POST"])
@access.requires("billing.write")
def payment_methods_add() -> Response:
    """What will happen, and one button that leads to the provider's page."""
    account, provider, form = access.current_account(), services.default_provider(), AddForm()
    refusals: list[str] = []
    if form.validate_on_submit():
        try:
            row = saving.start_setup(
                services.database(),
                provider,
                now=services.now(),
                account_id=account.id,
                form_key=form.form_key.data or "",
                actor=access.current_principal().id,
                return_url_of=_return_url,
                makes_default=bool(form.makes_default.data),
            )
        except Refusal as refusal:
            refusals = [sentences.of(refusal)]
        else:
            is_open = row.state == "open" and row.redirect_url
            return htmx.redirect(row.redirect_url or "" if is_open else _setup_url(row.id))
    form.ensure_key()
    page = render_template(
        "tenant/payment_methods/add.html",
        form=form,
        refusals=refusals,
        account=account,
        provider=words.plain(provider.name),
    )
    return make_response(page, 422 if refusals else 200)


@blueprint.get("/payment-methods/setups/<setup_id>")
@access.requires("billing.read")
def payment_methods_setup(setup_id: str) -> Response:
    """How saving a method stands. It believes the provider alone, never the address, and asks until the answer is final."""
    account = access.current_account()
    row = saving.refresh_setup(
        services.database(),
        services.services().providers,
        now=services.now(),
        account_id=account.id,
        setup_id=query.path_key(setup_id),
    )
    saved = _saved(row) if row.state == "saved" else None
    title, tone, text = _STATES[row.state]
    return htmx.render(
        "tenant/payment_methods/setup.html",
        "tenant/payment_methods/_setup.html",
        row=row,
        saved=saved,
        saved_name=words.plain(saved.label) if saved else None,
        state_title=title,
        tone=tone,
        text=_failure(row) or text,
        zone=account.zone,
        every=htmx.poll_pace((services.now() - row.created_at).total_seconds()),
        may_change="billing.write" in account.permissions,
    )


@blueprint.post("/payment-methods/<method_id>/default")
@access.requires("billing.write")
def payment_methods_default(method_id: str) -> Response:
    """Make it the one that is charged when nobody chooses."""
    row = _method(method_id)
    if row is None:
        return _gone()
    provider = services.services().providers.get(row.provider)
    try:
        if provider is None:
            raise OutcomeUnknown(row.provider)
        saving.make_default(
            services.database(),
            provider,
            now=services.now(),
            account_id=row.account_id,
            method_id=row.id,
            actor=access.current_principal().id,
        )
    except MethodGone:
        return _gone()
    except (OutcomeUnknown, ProviderRefused):
        flash(_SILENT, "bad")
    else:
        flash(f"{words.plain(row.label)} is the default now.", "good")
    return htmx.redirect(url_for("tenant.payment_methods"))


@blueprint.route("/payment-methods/<method_id>/remove", methods=["GET", "POST"])
@access.requires("billing.write")
def payment_methods_remove(method_id: str) -> Response | str:
    """What removing means, and the button that does it."""
    row, form = _method(method_id), ActForm()
    if row is None:
        return _gone()
    if form.validate_on_submit():
        return _remove(row)
    return render_template("tenant/payment_methods/remove.html", row=row, name=words.plain(row.label))


@blueprint.post("/payment-methods/portal")
@access.requires("billing.write")
def payment_methods_portal() -> Response:
    """To the provider's own page for the saved methods, and from there back here."""
    try:
        url = saving.open_portal(
            services.database(),
            services.default_provider(),
            now=services.now(),
            account_id=access.current_account().id,
            return_url=portal_return_url(),
            actor=access.current_principal().id,
        )
    except (OutcomeUnknown, ProviderRefused):
        flash(_SILENT, "bad")
        return htmx.redirect(url_for("tenant.payment_methods"))
    return htmx.redirect(url)


def portal_return_url() -> str:
    """Where the provider's portal leads back to: the list, fetched anew."""
    return f"{services.config().base_url}{url_for('tenant.payment_methods')}?from=portal"


def _refresh(provider: Provider, account_id: str) -> bool:
    """Fetch the copy anew; what fails is said, and the old copy stays."""
    try:
        acts.refresh(services.database(), provider, now=services.now(), account_id=account_id)
    except (OutcomeUnknown, ProviderRefused, Refusal):
        flash("The payment provider did not answer: this is what it had when it was last asked.", "bad")
        return False
    return True


def _remove(row: MethodRow) -> Response:
    provider = services.services().providers.get(row.provider)
    try:
        if provider is None:
            raise OutcomeUnknown(row.provider)
        is_done = saving.remove(
            services.database(),
            provider,
            now=services.now(),
            account_id=row.account_id,
            method_id=row.id,
            actor=access.current_principal().id,
        )
    except MethodGone:
        return _gone()
    except OutcomeUnknown:
        flash(_SILENT, "bad")
        return htmx.redirect(url_for("tenant.payment_methods"))
    later = "" if is_done else " The payment provider did not answer and is asked again until it has removed it too."
    flash(f"{words.plain(row.label)} is removed: it is not charged any more.{later}", "good")
    return htmx.redirect(url_for("tenant.payment_methods"))


def _method(method_id: str) -> MethodRow | None:
    """The method of this account; None for one that is removed already. Raises NotFound for any other."""
    with services.database().reading() as session:
        try:
            return methods.get_method(
                session, account_id=access.current_account().id, method_id=query.path_key(method_id)
            )
        except MethodGone:
            return None


def _gone() -> Response:
    flash("This payment method is removed already.", "bad")
    return htmx.redirect(url_for("tenant.payment_methods"))


def _saved(row: SetupRow) -> MethodRow | None:
    with services.database().reading() as session:
        found = methods.list_methods(session, account_id=row.account_id, provider=row.provider)
    return next((method for method in found if method.provider_method_id == row.provider_method_id), None)


def _return_url(setup_id: str) -> str:
    return services.config().base_url + _setup_url(setup_id)


def _setup_url(setup_id: str) -> str:
    return url_for("tenant.payment_methods_setup", setup_id=setup_id)


def _failure(row: SetupRow) -> str | None:
    """Why it was not saved, in words, where the provider said why."""
    if row.failure is None or row.state == "expired":
        return None
    if row.state == "open":
        return "The card was declined. You can try another one on the provider's page."
    return {
        "never_reached_provider": "The payment provider was not reached. Nothing was saved.",
        "generic_decline": "The card was declined. Nothing was saved.",
        "setup_canceled": "Saving was cancelled. Nothing was saved.",
    }.get(row.failure)
