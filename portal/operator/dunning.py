"""Dunning: the calendars of charges and reminders, what they will do this month, and to one invoice; changed by versions."""

from typing import Any

from flask import Response, flash, make_response, render_template, url_for
from wtforms import HiddenField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import InputRequired, Length

from billing.accounts import directory, listing
from billing.controls.dunning import calendar as values
from billing.controls.dunning import calendars, preview
from billing.controls.dunning.calendar import Calendar
from billing.kernel.errors import Conflict, NotFound, Refusal
from billing.payments.charges import agreements, history
from billing.storage.database import Session
from portal import access, charge_words, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.tenant.query import Query, last_page, path_key

_PAGE = 50
_FIELDS = ("charges_at", "retry_days", "reminder_days", "reason")


class CalendarForm(KeyedForm):
    """A calendar in the words of people; `version` is the one they looked at."""

    charges_at = SelectField(
        "First charge",
        [InputRequired("Choose a day.")],
        choices=[
            SelectChoice("due", "On the due date"),
            SelectChoice("issue", "When it is issued"),
            SelectChoice("never", "Never: nothing is charged automatically"),
        ],
    )
    retry_days = StringField(
        "Charged again, days after the due date", [Length(max=100, message="Use at most 100 characters.")]
    )
    reminder_days = StringField(
        "Reminders, days after the due date", [Length(max=100, message="Use at most 100 characters.")]
    )
    reason = StringField(
        "Reason",
        [
            InputRequired("Say why, for whoever looks at it later."),
            Length(max=300, message="Use at most 300 characters."),
        ],
    )
    version = HiddenField()


@access.requires_staff("finance.read")
def dunning() -> Response:
    """Each seller's calendar, and what would happen this month if nobody paid."""
    asked, now = Query(), services.now()
    with services.database().reading() as session:
        sellers = calendars.list_sellers(session)
        code = asked.choice("seller", [one.code for one in sellers], sellers[0].code)
        chosen = next(one for one in sellers if one.code == code)
        planned = preview.month(session, now=now, seller_id=chosen.id)
        page = last_page(asked.page(), _PAGE, len(planned))
        shown = planned[(page - 1) * _PAGE : page * _PAGE]
        rows = preview.with_reasons(session, shown, now=now, providers=services.services().providers)
        return htmx.render(
            "operator/dunning/index.html",
            "operator/dunning/_month.html",
            sellers=sellers,
            seller=chosen,
            calendar=calendars.in_force(session, seller_id=chosen.id),
            own=calendars.list_own(session, seller_id=chosen.id),
            versions=calendars.list_versions(session, seller_id=chosen.id, limit=10),
            rows=rows,
            total=len(planned),
            page=page,
            size=_PAGE,
            totals=_totals(planned),
            words=charge_words,
            notices=asked.notices,
            may_change=_may_change(),
        )


@access.requires_staff("dunning.manage")
def dunning_change(seller_id: str) -> Response:
    """A seller's next version."""
    with services.database().reading() as session:
        seller = directory.get_seller(session, path_key(seller_id))
        found = calendars.in_force(session, seller_id=seller.id)
    return _form_page(
        seller_id=seller.id,
        account_id=None,
        found=found,
        title="Change the calendar",
        name=seller.legal_name,
        back=url_for("operator.dunning", seller=seller.code),
    )


@access.requires_staff("dunning.manage")
def dunning_account(account_id: str) -> Response:
    """What differs for one account: its next version."""
    with services.database().reading() as session:
        account = listing.get_account(session, path_key(account_id))
        if account.kind == "house":
            raise NotFound(account_id=account_id[:60])
        seller_id = directory.get_account(session, account.id).seller_id
        found = calendars.in_force(session, seller_id=seller_id, account_id=account.id)
    return _form_page(
        seller_id=seller_id,
        account_id=account.id,
        found=found,
        title="A calendar of its own",
        name=account.name,
        back=url_for("operator.accounts_detail", account_id=account.id),
    )


@access.requires_staff("dunning.manage")
def dunning_account_end(account_id: str) -> Response:
    """The account follows its seller again."""
    with services.database().transaction() as session:
        calendars.end_own(
            session,
            now=services.now(),
            account_id=listing.get_account(session, path_key(account_id)).id,
            reason="Follows its seller again",
            actor=access.current_principal().id,
        )
    flash("The account follows its seller's calendar again.", "good")
    return htmx.redirect(url_for("operator.accounts_detail", account_id=account_id))


@access.requires_staff("finance.read")
def dunning_invoice(invoice_id: str) -> str:
    """What happened to one invoice and what will, with each charge and its reason."""
    with services.database().reading() as session:
        found = preview.of_invoice(
            session, now=services.now(), invoice_id=path_key(invoice_id), providers=services.services().providers
        )
        attempts = history.list_attempts(session, invoice_id=found.invoice_id)
    return render_template(
        "operator/dunning/invoice.html",
        found=found,
        attempts=[
            {
                "row": row,
                "word": charge_words.outcome(row, is_staff=True),
                "reason": charge_words.reason(row, is_staff=True),
            }
            for row in attempts
        ],
        words=charge_words,
    )


def account_block(session: Session, account_id: str) -> dict[str, Any]:
    """What an account's page says about automatic payments: the agreement, the calendar, the newest tries."""
    agreement = agreements.get(session, account_id)
    seller_id = directory.get_account(session, account_id).seller_id
    return {
        "agreement": agreement,
        "calendar": calendars.in_force(session, seller_id=seller_id, account_id=account_id),
        "attempts": [
            {
                "row": row,
                "title": charge_words.trigger(row),
                "word": charge_words.outcome(row, is_staff=True),
                "reason": charge_words.reason(row, is_staff=True),
            }
            for row in history.list_attempts(session, account_id=account_id, limit=5)
        ],
        "words": charge_words,
        "may_change": _may_change(),
    }


def _form_page(
    *, seller_id: str, account_id: str | None, found: Calendar, title: str, name: str, back: str
) -> Response:
    form, refusals = CalendarForm(), []
    status = 422 if form.is_submitted() else 200
    newest = found.version if account_id is None or found.is_own else None
    if form.validate_on_submit():
        try:
            _change(form, seller_id, account_id)
            flash("The calendar is in force.", "good")
            return htmx.redirect(back)
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), _attached(form, refusal)
    elif not form.is_submitted():
        form.charges_at.data = found.charges_at if found.charges_at in ("due", "issue") else "never"
        form.retry_days.data = charge_words.days(found.retry_days)
        form.reminder_days.data = charge_words.days(found.reminder_days)
        form.version.data = "" if newest is None else str(newest)
    form.ensure_key()
    page = render_template(
        "operator/dunning/form.html", form=form, refusals=refusals, title=title, name=name, back=back, found=found
    )
    return make_response(page, status)


def _change(form: CalendarForm, seller_id: str, account_id: str | None) -> None:
    version = form.version.data or ""
    if version and (not version.isascii() or not version.isdigit() or len(version) > 9):
        raise Conflict(reason="changed_meanwhile")
    steps = values.made_of(
        charges_at=form.charges_at.data,
        retry_days=values.parse_days(form.retry_days.data or "", "retry_days"),
        reminder_days=values.parse_days(form.reminder_days.data or "", "reminder_days"),
    )
    with services.database().transaction() as session:
        calendars.change(
            session,
            now=services.now(),
            seller_id=seller_id,
            account_id=account_id,
            steps=steps,
            reason=form.reason.data or "",
            actor=access.current_principal().id,
            version=int(version) if version else None,
        )


def _attached(form: CalendarForm, refusal: Refusal) -> list[str]:
    name = str(refusal.fields.get("field"))
    if name in _FIELDS:
        form[name].errors = [sentences.of(refusal)]
        return []
    return [sentences.of(refusal)]


def _totals(planned: list[preview.Planned]) -> list[tuple[str, int, int]]:
    """(currency, invoices that would be charged, minor units), each invoice once, however often it would be tried."""
    found: dict[str, dict[str, int]] = {}
    for row in planned:
        if row.step.kind == "charge":
            found.setdefault(row.invoice.currency, {})[row.invoice.id] = row.invoice.open_minor
    return [(currency, len(rows), sum(rows.values())) for currency, rows in sorted(found.items())]


def _may_change() -> bool:
    return "dunning.manage" in access.current_principal().staff_permissions
