"""The sandbox provider's pages for saved methods: saving one, and the customer portal. Anyone with the link may open them."""

from typing import cast

from flask import abort, flash, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired

from billing.kernel.errors import Conflict
from billing.payments.errors import ProviderRefused
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.customers import DEBIT, SandboxPage
from billing.payments.providers.sandbox.memory import SignedEvent
from portal import access, htmx, services
from portal.api import webhooks

_SETUP_ACTS, _PORTAL_ACTS = ("save", "decline", "abandon"), ("add", "default", "remove")


class MethodForm(FlaskForm):
    """Which test card or account is saved. The buttons are the acts."""

    card = SelectField(
        "Test card",
        [InputRequired("Choose a test card.")],
        choices=[
            SelectChoice("4242", "Visa ending 4242: always pays"),
            SelectChoice("4444", "Mastercard ending 4444: always pays"),
            SelectChoice("0341", "Visa ending 0341: can be saved, is declined when it is charged"),
            SelectChoice("9995", "Visa ending 9995: can be saved, has not enough funds when it is charged"),
            SelectChoice("3155", "Visa ending 3155: the bank asks for 3-D Secure when it is charged"),
            SelectChoice(DEBIT, f"SEPA account ending {DEBIT}: a direct debit"),
        ],
    )


@access.public
def setup(setup_id: str) -> Response | str:
    """The page for saving; one that is over leads back to the portal."""
    shown = _setup(setup_id)
    if not shown.is_open:
        return htmx.redirect(shown.success_url)
    return render_template("sandbox/setup.html", form=MethodForm())


@access.public
def decide_setup(setup_id: str) -> Response:
    """Save, decline or leave; the signed events go the way of every provider's events before the browser returns."""
    shown, form, act = _setup(setup_id), MethodForm(), request.form.get("act")
    if act not in _SETUP_ACTS or not form.validate():
        abort(400)
    now = services.now()
    try:
        if act == "save":
            _tell(_provider().save(setup_id, now=now, last4=str(form.card.data)))
        elif act == "decline":
            _tell(_provider().refuse_saving(setup_id, now=now))
            flash("The card was declined. Nothing was saved.", "bad")
            return htmx.redirect(url_for("sandbox.setup", setup_id=setup_id))
        else:
            _tell(_provider().abandon_saving(setup_id, now=now))
    except Conflict:
        pass  # a second click: what happened first stands, and the portal shows it
    return htmx.redirect(shown.success_url if act == "save" else shown.cancel_url)


@access.public
def portal(portal_id: str) -> Response | str:
    """The customer's methods, and what can be done with them; a page that is over leads back."""
    shown = _portal(portal_id)
    if not shown.is_open:
        return htmx.redirect(shown.success_url)
    return render_template("sandbox/portal.html", form=MethodForm(), shown=shown)


@access.public
def manage(portal_id: str) -> Response:
    """Add a card, choose the default, remove a method."""
    shown, form, act = _portal(portal_id), MethodForm(), request.form.get("act", "")
    value = str(form.card.data) if act == "add" else request.form.get("method", "")
    if act not in _PORTAL_ACTS or (act == "add" and not form.validate()):
        abort(400)
    try:
        _tell(_provider().manage(portal_id, act, value, now=services.now()))
    except Conflict:
        return htmx.redirect(shown.success_url)
    except ProviderRefused:
        abort(400)
    return htmx.redirect(url_for("sandbox.portal", portal_id=portal_id))


def _tell(events: list[SignedEvent]) -> None:
    for event in events:
        webhooks.deliver("sandbox", event.body, event.headers)


def _setup(setup_id: str) -> SandboxPage:
    try:
        return _provider().show_setup(setup_id)
    except ProviderRefused:
        abort(404)


def _portal(portal_id: str) -> SandboxPage:
    try:
        return _provider().show_portal(portal_id)
    except ProviderRefused:
        abort(404)


def _provider() -> SandboxProvider:
    return cast(SandboxProvider, services.services().providers["sandbox"])
