"""Reservations of one account: the list, one with its hours, making one after a check, ending one."""

from datetime import UTC, datetime
from fractions import Fraction

from flask import flash, g, request, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField
from wtforms.validators import InputRequired, Length, Optional

from billing.accounts import listing, names
from billing.accounts.listing import AccountRow
from billing.catalog import meters, reservations
from billing.catalog.reservations import Wanted
from billing.kernel import clock
from billing.kernel.errors import Invalid, Refusal
from billing.storage.database import Session
from portal import access, errors, htmx, price_words, reservation_words, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import Query, path_key

_FIELDS = ("name", "meter", "variant", "capacity", "starts_at", "ends_at")


class ReserveForm(KeyedForm):
    """What to reserve, how much, from when to when. Times are full hours of UTC."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=names.NAME_MAX)])
    meter = SelectField("What is reserved", [InputRequired("Choose what is reserved.")])
    variant = StringField("Model", [Optional(), Length(max=60, message="Use at most 60 characters.")])
    capacity = StringField("Capacity", [InputRequired("Say how much, such as 8.")])
    starts_at = StringField("From", [InputRequired("Say from when on, such as 2026-12-01 00:00.")])
    ends_at = StringField("Until", [Optional()])


class EndForm(KeyedForm):
    """From when on it is reserved no more."""

    ends_at = StringField("Ends at", [InputRequired("Say when it ends, such as 2026-12-01 00:00.")])


@access.requires_staff("finance.read")
def accounts_reservations(account_id: str) -> str | Response:
    """All reservations of the account."""
    now = services.now()
    with services.database().reading() as session:
        account = _account(session, account_id)
        rows = reservation_words.rows(session, account.id, now)
    template = "operator/reservations/index.html"
    return htmx.render(template, template, account=account, rows=rows, may_change=_may_change())


@access.requires_staff("finance.read")
def accounts_reservation(account_id: str, reservation_id: str) -> Response:
    """One reservation with its hours."""
    query, now = Query(), services.now()
    with services.database().reading() as session:
        account = _account(session, account_id)
        found = reservations.get(session, path_key(reservation_id), account_id=account.id)
        shown = reservation_words.detail(session, found, query, now)
    return htmx.render(
        "operator/reservations/detail.html",
        "reservations/_hours.html",
        account=account,
        notices=query.notices,
        may_change=_may_change() and found.state(now) != "ended",
        **shown,
    )


@access.requires_staff("prices.change")
def accounts_reserve(account_id: str) -> Response:
    """The form; sent with `step=check` what it will cost, with `step=send` the reservation."""
    with services.database().reading() as session:
        account = _account(session, account_id)
    form = ReserveForm()
    form.meter.choices = [
        (meter.code, f"{meter.description} ({meter.unit})")
        for meter in meters.METERS.values()
        if meter.kind == meters.USAGE
    ]
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            wanted = _wanted(form)
            if request.form.get("step") == "send":
                return _reserve(account, wanted)
            return _check(account, form, wanted)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    elif form.is_submitted():
        status = 422
    else:
        form.meter.data = "gpu_hour"
        form.starts_at.data = f"{reservations.next_hour(services.now()):%Y-%m-%d %H:%M}"
    form.ensure_key()
    template = "operator/reservations/new.html"
    return htmx.render(template, template, status=status, account=account, form=form, refusals=refusals)


@access.requires_staff("prices.change")
def accounts_reservation_end(account_id: str, reservation_id: str) -> Response:
    """Let it end at a full hour that has not begun."""
    now = services.now()
    with services.database().reading() as session:
        account = _account(session, account_id)
        found = reservations.get(session, path_key(reservation_id), account_id=account.id)
    form = EndForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                reservations.end(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    reservation_id=found.id,
                    ends_at=_instant(form.ends_at.data or "", "ends_at"),
                    actor=access.current_principal().id,
                )
            flash(f"{found.name} ends then. Hours until its end stay paid.", "good")
            return htmx.redirect(
                url_for("operator.accounts_reservation", account_id=account.id, reservation_id=found.id)
            )
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    elif form.is_submitted():
        status = 422
    else:
        form.ends_at.data = f"{reservations.next_hour(now):%Y-%m-%d %H:%M}"
    form.ensure_key()
    template = "operator/reservations/end.html"
    return htmx.render(
        template,
        template,
        status=status,
        account=account,
        found=found,
        what=reservation_words.what(found.meter_code, found.variant),
        form=form,
        refusals=refusals,
    )


def _check(account: AccountRow, form: ReserveForm, wanted: Wanted) -> Response:
    now = services.now()
    with services.database().reading() as session:
        reserved, unused = reservations.check(session, now=now, account_id=account.id, wanted=wanted)
    template = "operator/reservations/check.html"
    return htmx.render(
        template,
        template,
        account=account,
        form=form,
        fields=_FIELDS,
        wanted=wanted,
        what=reservation_words.what(wanted.meter_code, wanted.variant),
        capacity=reservation_words.capacity(Fraction(wanted.capacity), wanted.meter.unit),
        reserved=price_words.lines(reserved),
        unused=price_words.lines(unused),
        is_past=wanted.starts_at < now,
    )


def _reserve(account: AccountRow, wanted: Wanted) -> Response:
    with services.database().transaction() as session:
        made = reservations.create(
            session, now=services.now(), account_id=account.id, wanted=wanted, actor=access.current_principal().id
        )
    flash(f"{wanted.name} is reserved.", "good")
    return htmx.redirect(url_for("operator.accounts_reservation", account_id=account.id, reservation_id=made.id))


def _wanted(form: ReserveForm) -> Wanted:
    ends_at = (form.ends_at.data or "").strip()
    return Wanted(
        name=(form.name.data or "").strip(),
        meter_code=form.meter.data or "",
        variant=(form.variant.data or "").strip().lower(),
        capacity=form.capacity.data or "",
        starts_at=_instant(form.starts_at.data or "", "starts_at"),
        ends_at=_instant(ends_at, "ends_at") if ends_at else None,
    )


def _instant(text: str, field: str) -> datetime:
    """A time as people type it, in UTC where it names no zone. Raises Invalid."""
    try:
        return clock.parse_instant(text, field=field, zone="UTC").astimezone(UTC)
    except OverflowError:
        raise Invalid(field=field, value=text[:60], reason="not_an_instant") from None


def _attached(form: KeyedForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at the field it is about, else above the form."""
    field = str(refusal.fields.get("field"))
    if field not in form:
        return [sentences.of(refusal)]
    form[field].errors = [sentences.of(refusal)]
    return []


def _account(session: Session, account_id: str) -> AccountRow:
    account = listing.get_account(session, path_key(account_id))
    g.zone = "UTC"
    return account


def _may_change() -> bool:
    return "prices.change" in access.current_principal().staff_permissions
