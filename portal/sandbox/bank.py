"""The bank of the sandbox's cards: disputes payments, asks about them, warns of fraud and decides. For staff; never in production."""

from typing import cast

from flask import abort, flash, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response

from billing.kernel.errors import Conflict
from billing.payments.errors import ProviderRefused
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.disputes import SandboxPayment
from billing.payments.providers.sandbox.memory import SignedEvent
from billing.reference import provider_currencies
from portal import access, htmx, sentences, services
from portal.api import webhooks

_OPENING = {"dispute": "fraudulent", "not_received": "product_not_received"}
_DECIDING = ("won", "lost", "closed", "disputed", "reinstated", "withdrawn")


class BankForm(FlaskForm):
    """Nothing but the token: the buttons are the acts."""


@access.requires_staff("disputes.manage")
def bank() -> str:
    """The newest payments and what the bank may do about each."""
    return render_template(
        "sandbox/bank.html", form=BankForm(), payments=[_row(one) for one in _provider().list_paid()]
    )


@access.requires_staff("disputes.manage")
def bank_act(payment_id: str) -> Response:
    """Dispute, ask, warn or decide; the signed events go the way of every provider's events before the browser returns."""
    act = request.form.get("act", "")
    if not BankForm().validate():
        abort(400)
    try:
        for event in _events(payment_id, act):
            webhooks.deliver("sandbox", event.body, event.headers)
        flash("The bank has told the provider, and the provider us.", "good")
    except Conflict as refusal:
        flash(sentences.of(refusal), "warn")
    except ProviderRefused:
        abort(404)
    return htmx.redirect(url_for("sandbox.bank"))


def _events(payment_id: str, act: str) -> list[SignedEvent]:
    provider, now = _provider(), services.now()
    if act in _OPENING:
        return provider.open_dispute(payment_id, now=now, reason=_OPENING[act])
    if act == "inquiry":
        return provider.open_dispute(payment_id, now=now, is_inquiry=True)
    if act == "warning":
        return provider.warn(payment_id, now=now)
    shown = provider.show_payment(payment_id)
    if act not in _DECIDING or not shown.disputes:
        abort(400)
    return provider.decide(str(shown.disputes[0]["id"]), act, now=now)


def _row(payment: SandboxPayment) -> dict[str, object]:
    amount = provider_currencies.from_stripe(int(payment.body["amount_received"]), str(payment.body["currency"]))
    status = str(payment.disputes[0]["status"]) if payment.disputes else None
    return {"id": payment.id, "amount": amount, "status": status, "acts": _acts(status)}


def _acts(status: str | None) -> list[tuple[str, str]]:
    """(act, words) that are possible while the newest dispute says that."""
    if status in ("needs_response", "under_review"):
        return [("won", "Decide for the seller"), ("lost", "Decide for the cardholder")]
    if status in ("warning_needs_response", "warning_under_review"):
        return [("closed", "Ask no more"), ("disputed", "Make it a dispute")]
    new = [("dispute", "Dispute: fraud"), ("not_received", "Dispute: nothing received")]
    more = {"won": [("withdrawn", "Withdraw again")], "lost": [("reinstated", "Give back after all")]}
    return new + more.get(status or "", []) + [("inquiry", "Only ask"), ("warning", "Warn of fraud")]


def _provider() -> SandboxProvider:
    return cast(SandboxProvider, services.services().providers["sandbox"])
