"""The checkout page of the sandbox provider: what a real provider's page would be, on this portal. Never in production.

Anyone with the link may open it, as with a real one; it shows an amount and a purpose, nothing of the account.
"""

from typing import cast

from flask import Blueprint, abort, flash, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired

from billing.kernel.errors import Conflict
from billing.payments.errors import ProviderRefused
from billing.payments.providers.ports.customers import MethodFacts
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.checkouts import CARD, SandboxCheckout
from billing.payments.providers.sandbox.memory import SignedEvent
from billing.payments.providers.sandbox.refunds import CARD_WITHOUT_REFUND
from portal import access, htmx, services
from portal.api import webhooks
from portal.sandbox import bank, customers, payouts

blueprint = Blueprint("sandbox", __name__)
_ACTS = ("pay", "decline", "abandon")
_CARDS = [
    SelectChoice(CARD, "Visa ending 4242: pays, refunds arrive"),
    SelectChoice(CARD_WITHOUT_REFUND, "Visa ending 5126: pays, a refund to it fails"),
]
for _rule, _view, _method in (
    ("/setup/<setup_id>", customers.setup, "GET"),
    ("/setup/<setup_id>", customers.decide_setup, "POST"),
    ("/portal/<portal_id>", customers.portal, "GET"),
    ("/portal/<portal_id>", customers.manage, "POST"),
    ("/bank", bank.bank, "GET"),
    ("/bank/<payment_id>", bank.bank_act, "POST"),
    ("/payouts", payouts.payouts, "GET"),
    ("/payouts", payouts.payouts, "POST"),
    ("/payouts/<payout_id>/fail", payouts.fail_payout, "POST"),
):
    blueprint.add_url_rule(_rule, view_func=_view, methods=(_method,))


class CheckoutForm(FlaskForm):
    """Which test card pays. The buttons are the acts."""

    card = SelectField(
        "Test card",
        [InputRequired("Choose a test card.")],
        choices=_CARDS,
    )

    def offer(self, saved: tuple[MethodFacts, ...]) -> None:
        """Put the customer's saved methods first."""
        mine = [
            SelectChoice(method.id, f"Saved: {method.brand or method.kind} ending {method.last4}") for method in saved
        ]
        self.card.choices = [*mine, *_CARDS]


@blueprint.get("/checkout/<checkout_id>")
@access.public
def checkout(checkout_id: str) -> Response | str:
    """The page; a checkout that is over leads back to the portal."""
    shown = _show(checkout_id)
    if shown.facts.state != "open":
        return htmx.redirect(shown.success_url)
    form = CheckoutForm()
    form.offer(shown.saved)
    return _page(shown, form)


@blueprint.post("/checkout/<checkout_id>")
@access.public
def decide(checkout_id: str) -> Response:
    """Pay, decline or abandon; the signed event goes the way of every provider's event before the browser returns."""
    shown, form, act = _show(checkout_id), CheckoutForm(), request.form.get("act")
    form.offer(shown.saved)
    if act not in _ACTS or not form.validate():
        abort(400)
    provider, now = _provider(), services.now()
    try:
        if act == "pay":
            chosen = next((method.last4 for method in shown.saved if method.id == form.card.data), None)
            _tell(provider.pay(checkout_id, now=now, last4=chosen or str(form.card.data)))
        elif act == "decline":
            _tell(provider.decline(checkout_id, now=now))
            flash("The card was declined: insufficient funds. Nothing was charged.", "bad")
            return htmx.redirect(url_for("sandbox.checkout", checkout_id=checkout_id))
        else:
            _tell(provider.abandon(checkout_id, now=now))
    except Conflict:
        pass  # a second click: what happened first stands, and the portal shows it
    return htmx.redirect(shown.success_url if act == "pay" else shown.cancel_url)


def _page(shown: SandboxCheckout, form: CheckoutForm) -> str:
    return render_template(
        "sandbox/checkout.html",
        form=form,
        title=shown.title,
        amount=shown.facts.amount,
    )


def _tell(event: SignedEvent) -> None:
    """Deliver the event. A real provider would repeat one that fails; here the scheduler's lookup finds it."""
    webhooks.deliver("sandbox", event.body, event.headers)


def _show(checkout_id: str) -> SandboxCheckout:
    try:
        return _provider().show(checkout_id)
    except ProviderRefused:
        abort(404)


def _provider() -> SandboxProvider:
    return cast(SandboxProvider, services.services().providers["sandbox"])
