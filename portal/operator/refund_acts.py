"""What operators do with a refund after its approval: ask the provider, cancel there, and say how a bank transfer went."""

from typing import Any

from flask import flash, url_for
from werkzeug.wrappers import Response
from wtforms import DateField, StringField, TextAreaField
from wtforms.validators import DataRequired, InputRequired, Length

from billing.kernel.errors import Refusal
from billing.payments import refund_acts, refund_transfers
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import refund_cases
from portal.operator.refund_cases import Case
from portal.tenant.query import path_key

_REASON_MAX = 500


class LeftForm(KeyedForm):
    """When the transfer left, under which reference of the bank."""

    transfer_on = DateField("Day on the bank statement", [InputRequired("Enter the day, such as 2026-11-21.")])
    reference = StringField(
        "Reference of the bank",
        [
            DataRequired("Enter the reference on the bank statement."),
            Length(max=140, message="At most 140 characters."),
        ],
    )


class NotLeftForm(KeyedForm):
    """Why it did not leave."""

    reason = TextAreaField(
        "Why it cannot be sent",
        [
            DataRequired("Say why: it is kept with the refund."),
            Length(max=_REASON_MAX, message=f"Use at most {_REASON_MAX} characters."),
        ],
    )


class ReturnedForm(KeyedForm):
    """When it came back, and why."""

    returned_on = DateField("Day on the bank statement", [InputRequired("Enter the day, such as 2026-11-21.")])
    reason = TextAreaField(
        "Why it came back",
        [
            DataRequired("Say why: it is kept with the refund."),
            Length(max=_REASON_MAX, message=f"Use at most {_REASON_MAX} characters."),
        ],
    )


_FORMS: dict[str, tuple[type[KeyedForm], str, str]] = {
    "left": (LeftForm, "approved", "The transfer is recorded: the money has left the bank."),
    "not-left": (NotLeftForm, "approved", "The money is in the wallet again."),
    "returned": (ReturnedForm, "succeeded", "The return is recorded: the money is in the wallet again."),
}


@access.requires_staff("refund.request", fresh=True)
def refunds_refresh(refund_id: str) -> Response:
    """Ask the provider how the refund stands now."""
    row = refund_acts.refresh_refund(
        services.database(), services.services().providers, now=services.now(), refund_id=path_key(refund_id)
    )
    flash("The provider was asked: the page shows its answer.", "good")
    return htmx.redirect(url_for("operator.refunds_detail", refund_id=row.id))


@access.requires_staff("refund.request", fresh=True)
def refunds_cancel(refund_id: str) -> Response:
    """Cancel at the provider what waits for the customer's details."""
    refund_id = path_key(refund_id)
    try:
        refund_acts.cancel_refund(
            services.database(),
            services.services().providers,
            now=services.now(),
            refund_id=refund_id,
            actor=access.current_principal().id,
        )
        flash("The refund is cancelled. The money is in the wallet again.", "good")
    except ProviderRefused:
        flash("The provider did not cancel it: ask how it stands now.", "bad")
    except OutcomeUnknown:
        flash("The provider did not answer. It is asked again by itself until the outcome is known.", "warn")
    return htmx.redirect(url_for("operator.refunds_detail", refund_id=refund_id))


@access.requires_staff("refund.request", fresh=True)
def refunds_transfer(refund_id: str, act: str) -> Response:
    """The form of one of the three things that happen to a transfer, and the act itself."""
    kind, state, done = _FORMS[act]
    form: Any = kind()
    with services.database().reading() as session:
        case = refund_cases.find(session, path_key(refund_id))
    url = url_for("operator.refunds_detail", refund_id=case.row.id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                _record(session, case, act, form)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            flash(done, "good")
            return htmx.redirect(url)
    elif form.is_submitted():
        status = 422
    elif case.row.mode != "bank" or case.row.state != state:
        return htmx.redirect(url)
    form.ensure_key()
    template = "operator/refunds/transfer.html"
    return htmx.render(template, template, status=status, case=case, act=act, form=form, refusals=refusals)


def _record(session: Session, case: Case, act: str, form: Any) -> None:
    now, actor, refund_id = services.now(), access.current_principal().id, case.row.id
    if act == "left":
        refund_transfers.confirm(
            session,
            now=now,
            refund_id=refund_id,
            transfer_on=form.transfer_on.data,
            reference=form.reference.data or "",
            actor=actor,
        )
    elif act == "not-left":
        refund_transfers.give_up(session, now=now, refund_id=refund_id, reason=form.reason.data or "", actor=actor)
    else:
        refund_transfers.take_back(
            session,
            now=now,
            refund_id=refund_id,
            returned_on=form.returned_on.data,
            reason=form.reason.data or "",
            actor=actor,
        )
