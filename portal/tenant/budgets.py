"""Budgets: a monthly amount, how much of it is spent, at which shares someone is told, and when that happened."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask import Response, flash, make_response, render_template, request, url_for
from flask_wtf import FlaskForm
from markupsafe import Markup
from wtforms import BooleanField, SelectField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.accounts import projects as project_list
from billing.controls import budgets as policies
from billing.controls import thresholds
from billing.controls.budgets import BudgetRow
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.kernel.money import Money
from billing.rendering import charts
from portal import access, errors, filters, htmx, sentences, services
from portal.fields import MoneyField
from portal.tenant import blueprint, query

_DEFAULT_THRESHOLDS = "50, 80, 100"
_WHOLE = "account"  # beside ids of projects


class BudgetForm(FlaskForm):
    """One budget. `is_active` stands on the form that changes one."""

    currency = "USD"
    name = StringField("Name", [InputRequired("Give the budget a name."), Length(max=200)])
    amount = MoneyField("Amount for a month", [InputRequired("Enter an amount, such as 500.00.")])
    project = SelectField("What it covers", [InputRequired("Choose what it covers.")])
    thresholds = StringField("Tell us at", [InputRequired("Enter percentages, such as 50, 80, 100.")])
    is_active = BooleanField("Watch this budget")


@blueprint.get("/budgets")
@access.requires("billing.read")
def budgets() -> str:
    """All budgets with their bars, and the newest crossings."""
    account = access.current_account()
    with services.database().reading() as session:
        rows = policies.list_budgets(session, now=services.now(), account_id=account.id)
        events = policies.list_events(session, account_id=account.id, limit=20)
    return render_template(
        "tenant/budgets/index.html",
        levels=[level_of(row) for row in rows],
        events=events,
        may_write="billing.write" in account.permissions,
    )


@blueprint.route("/budgets/new", methods=["GET", "POST"])
@access.requires("billing.write")
def budgets_new() -> Response:
    """Set a budget."""
    account, form = access.current_account(), BudgetForm()
    _prepare(form)
    if request.method == "GET":
        form.thresholds.data = _DEFAULT_THRESHOLDS
    refusals: list[str] = []
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit() and (percents := _percents(form)):
        try:
            with services.database().transaction() as session:
                key = policies.create(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    name=form.name.data or "",
                    amount=_amount(form),
                    thresholds_percent=percents,
                    actor=access.current_principal().id,
                    project_id=None if form.project.data == _WHOLE else form.project.data,
                )
            flash("The budget is set. It is looked at every few minutes.", "good")
            return htmx.redirect(url_for("tenant.budgets_detail", key=key))
        except Refusal as refusal:
            status, refusals = _refused(form, refusal)
    return make_response(
        render_template(
            "tenant/budgets/form.html", form=form, refusals=refusals, budget=None, currency=account.currency
        ),
        status,
    )


@blueprint.get("/budgets/<key>")
@access.requires("billing.read")
def budgets_detail(key: str) -> str:
    """One budget: its bar, its thresholds, what was crossed and when."""
    account = access.current_account()
    with services.database().reading() as session:
        row = policies.get_budget(session, now=services.now(), account_id=account.id, policy_id=query.path_key(key))
        events = policies.list_events(session, account_id=account.id, policy_id=row.id)
    return render_template(
        "tenant/budgets/detail.html",
        level=level_of(row),
        row=row,
        events=events,
        thresholds=[
            {
                "percent": percent,
                "minor": thresholds.least_minor(row.amount_minor, percent),
                "is_reached": percent in row.reached_percent,
            }
            for percent in row.thresholds_percent
        ],
        may_write="billing.write" in account.permissions,
    )


@blueprint.route("/budgets/<key>/edit", methods=["GET", "POST"])
@access.requires("billing.write")
def budgets_edit(key: str) -> Response:
    """Change a budget, or stop watching it. What was crossed stays in its history."""
    account, form = access.current_account(), BudgetForm()
    _prepare(form)
    with services.database().reading() as session:
        row = policies.get_budget(session, now=services.now(), account_id=account.id, policy_id=query.path_key(key))
    if request.method == "GET":
        _fill(form, row)
    form.project.data = row.project_id or _WHOLE  # what a budget covers does not change
    refusals: list[str] = []
    status = 422 if form.is_submitted() else 200
    if form.validate_on_submit() and (percents := _percents(form)):
        try:
            with services.database().transaction() as session:
                policies.update(
                    session,
                    now=services.now(),
                    account_id=account.id,
                    policy_id=row.id,
                    name=form.name.data or "",
                    amount=_amount(form),
                    thresholds_percent=percents,
                    is_active=bool(form.is_active.data),
                    actor=access.current_principal().id,
                )
            flash("The budget is changed.", "good")
            return htmx.redirect(url_for("tenant.budgets_detail", key=row.id))
        except Refusal as refusal:
            status, refusals = _refused(form, refusal)
    return make_response(
        render_template(
            "tenant/budgets/form.html", form=form, refusals=refusals, budget=row, currency=account.currency
        ),
        status,
    )


def level_of(row: BudgetRow) -> dict[str, Any]:
    """A budget's bar with its words; also on the overview."""
    month = filters.month_name(date.fromisoformat(f"{row.period_label}-01"))
    used, limit = filters.money(row.spent_minor, row.currency), filters.money(row.amount_minor, row.currency)
    share = filters.share(row.spent_minor, row.amount_minor)
    bar: Markup = charts.level(
        row.spent_minor, row.amount_minor, title=f"{row.name}: {used} of {limit}", marks=row.thresholds_percent
    )
    reached = max(row.reached_percent, default=0)
    tone = None if not row.is_active or not reached else "bad" if reached >= 100 else "warn"
    scope = f"project {row.project_code}" if row.project_code else "the whole account"
    passed = f" {reached}% was reached." if reached and row.is_active else ""
    return {
        "row": row,
        "bar": bar,
        "used": used,
        "limit": limit,
        "tone": tone,
        "share": share,
        "scope": scope,
        "hint": f"{share} of {month}, {scope}.{passed}" if row.is_active else "Not watched",
        "url": url_for("tenant.budgets_detail", key=row.id),
    }


def _prepare(form: BudgetForm) -> None:
    """Give the form its currency and choices."""
    account = access.current_account()
    form.currency = account.currency
    with services.database().reading() as session:
        projects = project_list.list_projects(session, account.id)
    form.project.choices = [SelectChoice(_WHOLE, "The whole account")] + [
        SelectChoice(one.id, f"Project {one.name}") for one in projects
    ]


def _fill(form: BudgetForm, row: BudgetRow) -> None:
    form.name.data, form.is_active.data = row.name, row.is_active
    form.amount.data = str(Money(minor=row.amount_minor, currency=row.currency).to_decimal())
    form.thresholds.data = ", ".join(str(percent) for percent in row.thresholds_percent)


def _percents(form: BudgetForm) -> Sequence[int]:
    try:
        return thresholds.parse(form.thresholds.data or "")
    except Invalid as refusal:
        form.thresholds.errors = [sentences.of(refusal)]
        return []


def _amount(form: BudgetForm) -> Money:
    amount: Any = form.amount.data_money
    return Money(minor=amount.minor, currency=amount.currency)


def _refused(form: BudgetForm, refusal: Refusal) -> tuple[int, list[str]]:
    """The refusal at the field it names, else above the form."""
    if isinstance(refusal, NotFound):
        raise refusal
    field = getattr(form, str(refusal.fields.get("field")), None)
    if field is None:
        return errors.status_of(refusal), [sentences.of(refusal)]
    field.errors = [sentences.of(refusal)]
    return errors.status_of(refusal), []
