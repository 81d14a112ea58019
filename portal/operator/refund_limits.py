"""How much each role may ask for or allow in refunds: what is in force, what was, and asking for another limit."""

from flask import flash, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import people, permissions
from billing.kernel import money
from billing.kernel.errors import Invalid, Refusal
from billing.payments import refund_authority as room
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import words

_WORDS = {
    "maker": "Makers, in what they ask for",
    "approver": "Approvers, in what they allow",
    "admin": "Administrators, in what they ask for and allow",
}


class LimitForm(KeyedForm):
    """Another limit of a role in a currency; an empty amount is no limit."""

    role = SelectField(
        "Role", [InputRequired("Choose a role.")], choices=[SelectChoice(role, _WORDS[role]) for role in room.ROLES]
    )
    currency = StringField("Currency", [InputRequired("Enter a currency, such as USD.")])
    per_refund = StringField("At most for one refund", [Length(max=40, message="Use at most 40 characters.")])
    per_day = StringField(
        "At most for one person in a day (UTC)", [Length(max=40, message="Use at most 40 characters.")]
    )
    reason = TextAreaField(
        "Reason",
        [DataRequired("Say why: whoever decides reads it."), Length(max=500, message="At most 500 characters.")],
    )


@access.requires_staff("finance.read")
def refund_limits() -> Response:
    """What is in force by role and currency, and every limit that was ever set."""
    with services.database().reading() as session:
        rows, past = room.in_force(session), room.history(session)
        names = people.names_of(session, [who for row in past for who in (row.set_by, row.approved_by)])
    template = "operator/refunds/limits.html"
    return htmx.render(
        template,
        template,
        rows=rows,
        past=past,
        roles=_WORDS,
        labels={role: permissions.staff_label(role) for role in room.ROLES},
        by={who: words.actor(who, names) for row in past for who in (row.set_by, row.approved_by)},
        may_change="refund.request" in access.current_principal().staff_permissions,
    )


@access.requires_staff("refund.request", fresh=True)
def refund_limits_change() -> Response:
    """Ask for another limit; somebody else decides."""
    form = LimitForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            per_refund, per_day = (_minor(field.data, form.currency.data) for field in (form.per_refund, form.per_day))
            with services.database().transaction() as session:
                asked = room.request(
                    session,
                    now=services.now(),
                    role=form.role.data,
                    currency=(form.currency.data or "").strip().upper(),
                    per_refund_minor=per_refund,
                    per_day_minor=per_day,
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data,
                )
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            flash("The limit is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked.id))
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    template = "operator/refunds/limits_change.html"
    return htmx.render(template, template, status=status, form=form, refusals=refusals)


def _minor(text: str | None, currency: str | None) -> int | None:
    """The amount in minor units, None for an empty one. Raises Invalid."""
    if not (text or "").strip():
        return None
    found = money.parse(text or "", (currency or "").strip().upper())
    if found.minor < 0:
        raise Invalid(field="per_refund", value=found.minor, reason="amount_out_of_range")
    return found.minor
