"""An account's plan and prices: its history, a change of plan, prices of its own."""

from datetime import datetime, timedelta
from typing import Any

from flask import flash, g, render_template, url_for
from werkzeug.wrappers import Response
from wtforms import RadioField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, InputRequired, Length

from billing.accounts import approval_list, approvals, listing
from billing.accounts.listing import AccountRow
from billing.catalog import book_files, books, overrides, plans, price_list, subscriptions
from billing.catalog.overrides import Wanted
from billing.kernel import clock
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.rating import price_changes
from billing.storage.database import Session
from portal import access, errors, htmx, price_words, sentences, services
from portal.fields import KeyedForm
from portal.operator import catalog, effects
from portal.tenant.plan import listed
from portal.tenant.query import path_key

_YEAR_AHEAD = timedelta(days=366)
_START_HINT = "Write a day such as 2026-12-01, or 2026-12-01T08:00; in the account's own time zone"


class PlanForm(KeyedForm):
    """Which plan, from when on."""

    plan = SelectField("Plan", [InputRequired("Choose a plan.")])
    from_at = StringField("From", [DataRequired("Say when it begins.")])


class PriceForm(KeyedForm):
    """A price of the account's own, from when until when, and why."""

    sku = SelectField("What is sold", [InputRequired("Choose what it is for.")])
    kind = RadioField(
        "Price",
        [InputRequired("Choose a price.")],
        choices=[
            SelectChoice("unit", "One price for every unit"),
            SelectChoice("written", "Another model, written as in a price book"),
            SelectChoice("plan", "The plan's price again"),
        ],
        default="unit",
    )
    unit_price = StringField("Price of a unit", [Length(max=40, message="At most 40 characters.")])
    written = TextAreaField("Written price", [Length(max=10_000, message="At most 10,000 characters.")])
    from_at = StringField("From", [DataRequired("Say when it begins.")])
    until_at = StringField("Until")
    reason = TextAreaField(
        "Reason and evidence",
        [
            DataRequired("Say why, and where it is agreed: it is kept with the price."),
            Length(max=approvals.REASON_MAX, message=f"At most {approvals.REASON_MAX} characters."),
        ],
    )


@access.requires_staff("finance.read")
def accounts_plan(account_id: str) -> str:
    """What the account is on, was on and will be on; its own prices; its whole price list."""
    now = services.now()
    with services.database().reading() as session:
        account = _account(session, account_id)
        return render_template(
            "operator/catalog/account.html",
            account=account,
            stretches=list(reversed(subscriptions.stretches(session, account.id))),
            coming=[row for row in subscriptions.list_subscriptions(session, account.id) if row.from_at > now],
            overrides=[
                {"row": row, "lines": price_words.lines(row.price) if row.price else ()}
                for row in overrides.list_overrides(session, account.id)
            ],
            families=listed(price_list.of_account(session, account.id, at=now, until_at=now + _YEAR_AHEAD)),
            waiting=[
                (row, effects.title_of(row))
                for row in approval_list.list_approvals(
                    session, state="requested", act=overrides.ACT, account_id=account.id
                )
            ],
            now=now,
            may_change=catalog.may_change(),
        )


@access.requires_staff("prices.change")
def accounts_plan_change(account_id: str) -> Response:
    """Put the account on another plan from an instant on, also inside a period."""
    form, status = PlanForm(), 200
    refusals: list[str] = []
    with services.database().reading() as session:
        account = _account(session, account_id)
        current = subscriptions.plan_at(session, account.id, services.now())
        newest = {row.code: row for row in plans.list_versions(session)}
    form.plan.choices = [SelectChoice(row.code, row.name) for row in newest.values()]
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                price_changes.subscribe(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    plan_code=form.plan.data,
                    valid_from=_instant(form.from_at, account),
                    actor=access.current_principal().id,
                )
            flash(f"{account.name} changes to {newest[form.plan.data].name}.", "good")
            return htmx.redirect(url_for("operator.accounts_plan", account_id=account.id))
        except Refusal as refusal:
            status, refusals = _refused(form, refusal)
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/catalog/account_change.html",
        "operator/catalog/account_change.html",
        status=status,
        account=account,
        current=current,
        form=form,
        refusals=refusals,
        hint=_START_HINT,
    )


@access.requires_staff("prices.change")
def accounts_plan_withdraw(account_id: str, subscription_id: str) -> Response:
    """Take a coming change of plan back; what cannot be is said on the account's page."""
    with services.database().reading() as session:
        account = _account(session, account_id)
    try:
        with services.database().transaction() as session:
            price_changes.withdraw(
                session,
                now=services.now(),
                account_id=account.id,
                subscription_id=path_key(subscription_id),
                actor=access.current_principal().id,
            )
        flash("The change is withdrawn: the account stays on what it is on.", "good")
    except NotFound:
        raise
    except Refusal as refusal:
        flash(sentences.of(refusal), "bad")
    return htmx.redirect(url_for("operator.accounts_plan", account_id=account.id))


@access.requires_staff("prices.change", fresh=True)
def accounts_price(account_id: str) -> Response:
    """Ask a second person for a price of the account's own."""
    form, status = PriceForm(), 200
    refusals: list[str] = []
    with services.database().reading() as session:
        account = _account(session, account_id)
        form.sku.choices = [
            SelectChoice(code, f"{name} ({code})") for code, name in sorted(books.names_of(session).items())
        ]
    if form.validate_on_submit():
        try:
            with services.database().transaction() as session:
                asked = overrides.request(
                    session,
                    now=services.now(),
                    wanted=_wanted(session, account, form),
                    maker=access.current_principal().id,
                    reason=form.reason.data or "",
                    form_key=form.form_key.data or None,
                )
            flash("It is asked for. Somebody else must decide it.", "good")
            return htmx.redirect(url_for("operator.approvals_detail", approval_id=asked))
        except Refusal as refusal:
            status, refusals = _refused(form, refusal)
    elif form.is_submitted():
        status = 422
    form.ensure_key()
    return htmx.render(
        "operator/catalog/account_price.html",
        "operator/catalog/account_price.html",
        status=status,
        account=account,
        form=form,
        refusals=refusals,
        hint=_START_HINT,
    )


def _account(session: Session, account_id: str) -> AccountRow:
    account = listing.get_account(session, path_key(account_id))
    g.zone = account.zone
    return account


def _wanted(session: Session, account: AccountRow, form: PriceForm) -> Wanted:
    """The override that the form says. Raises Invalid."""
    parameters: dict[str, Any] = {}
    model = None
    if form.kind.data == "unit":
        model, parameters = "per_unit", {"unit_price": (form.unit_price.data or "").strip()}
    elif form.kind.data == "written":
        parameters = book_files.parse(form.written.data or "")
        model = book_files.text_of(parameters, "model")
        del parameters["model"]
    return overrides.read(
        session,
        account_id=account.id,
        sku_code=form.sku.data,
        model=model,
        parameters=parameters,
        from_at=_instant(form.from_at, account),
        until_at=_instant(form.until_at, account) if (form.until_at.data or "").strip() else None,
    )


def _instant(field: Any, account: AccountRow) -> datetime:
    name = {"from_at": "from", "until_at": "until"}[field.name]
    return clock.parse_instant((field.data or "").strip(), field=name, zone=account.zone)


def _refused(form: Any, refusal: Refusal) -> tuple[int, list[str]]:
    """The refusal beside its field where it names one, else above the form."""
    named = {"from": "from_at", "valid_from": "from_at", "until": "until_at", "unit_price": "unit_price", "sku": "sku"}
    field = form._fields.get(named.get(str(refusal.fields.get("field")), ""))
    if isinstance(refusal, Invalid) and field is not None:
        field.errors = [*field.errors, sentences.of(refusal)]
        return 422, []
    return errors.status_of(refusal), [sentences.of(refusal)]
