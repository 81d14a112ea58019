"""The bank behind the sandbox: paying out what is available, and sending a payout back. For staff; never in production."""

from typing import cast

from flask import flash, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired

from billing.kernel.errors import Conflict
from billing.payments.errors import ProviderRefused
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.memory import SignedEvent
from portal import access, errors, htmx, sentences, services
from portal.api import webhooks
from portal.tenant.query import path_key

_SHOWN = 50


class PayOutForm(FlaskForm):
    """In which currency, and whether the schedule does it."""

    currency = SelectField("Currency", [InputRequired("Choose a currency.")])
    how = SelectField(
        "How",
        [InputRequired("Choose how.")],
        choices=[
            SelectChoice("automatic", "By schedule: the payout knows what is in it"),
            SelectChoice("manual", "By hand: an amount and nothing more"),
        ],
    )


class FailForm(FlaskForm):
    """Nothing to fill in."""


@access.requires_staff("jobs.run")
def payouts() -> Response:
    """What may be paid out, and the payouts that there are; a form that pays out everything available in a currency."""
    provider, now = _provider(), services.now()
    held = provider.fetch_balance()
    form = PayOutForm()
    form.currency.choices = [SelectChoice(one.available.currency, one.available.currency) for one in held]
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            currency, automatic = str(form.currency.data), form.how.data == "automatic"
            _tell(provider.pay_out(currency, now=now, automatic=automatic))
            flash("The payout is on its way.", "good")
            return htmx.redirect(url_for("sandbox.payouts"))
        except Conflict as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    return htmx.render(
        "sandbox/payouts.html",
        "sandbox/payouts.html",
        status=status,
        held=held,
        rows=provider.list_payouts()[:_SHOWN],
        form=form,
        fail=FailForm(formdata=None),
        refusals=refusals,
    )


@access.requires_staff("jobs.run")
def fail_payout(payout_id: str) -> Response:
    """The bank sends a payout back."""
    if FailForm().validate_on_submit():
        try:
            _tell(_provider().fail_payout(path_key(payout_id), now=services.now()))
            flash("The payout has come back.", "good")
        except Conflict as refusal:
            flash(sentences.of(refusal), "bad")
        except ProviderRefused:
            flash("There is no such payout.", "bad")
    return htmx.redirect(url_for("sandbox.payouts"))


def _tell(event: SignedEvent) -> None:
    webhooks.deliver("sandbox", event.body, event.headers)


def _provider() -> SandboxProvider:
    return cast(SandboxProvider, services.services().providers["sandbox"])
