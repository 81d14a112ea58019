"""Invoice runs: the months, one month with its outliers, and approving or issuing many at once with progress."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from flask import abort, url_for
from werkzeug.wrappers import Response
from wtforms import HiddenField, TextAreaField
from wtforms.validators import Length

from billing.accounts import people
from billing.invoicing import batches, reviews, runs, waiting
from billing.invoicing.runs import Run, RunItem
from billing.jobs import works
from billing.kernel.errors import Conflict, Invalid, Refusal
from billing.storage import works as work_rows
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import words
from portal.tenant.query import Query, chip, last_page, option, path_key

Act = Literal["approve", "issue"]

_SHOWN = {
    "outliers": "Outliers",
    "look": "Worth a look",
    "draft": "Drafts",
    "in_review": "In review",
    "approved": "Approved",
    "issued": "Issued",
}
_FROM = {"approve": ("draft", "in_review"), "issue": ("approved",)}
_SIZE = 50
_SORTS = ("account", "net", "change", "total")


class DecideForm(KeyedForm):
    """A decision over many; `ids` are the documents that the person saw."""

    ids = HiddenField()
    outlier_reason = TextAreaField("Why the outliers are right", [Length(max=reviews.REASON_MAX)])


@dataclass(frozen=True, kw_only=True)
class Total:
    """Sums of a run in one currency."""

    currency: str
    count: int
    net_minor: int
    tax_minor: int
    total_minor: int
    before_net_minor: int


@access.requires_staff("finance.read")
def invoice_runs() -> str | Response:
    """All months that have documents, newest first."""
    with services.database().reading() as session:
        rows = runs.list_runs(session)
        sales = runs.list_sales(session)
        graces = waiting.list_grace(session)
    return htmx.render(
        "operator/invoice_runs/index.html",
        "operator/invoice_runs/_months.html",
        rows=[(date.fromisoformat(f"{row.period}-01"), row) for row in rows],
        sales=sales,
        graces=graces,
        may_set="prices.change" in access.current_principal().staff_permissions,
    )


@access.requires_staff("finance.read")
def invoice_runs_period(period: str) -> Response:
    """One month: its documents beside the month before, who is missing, and what was decided for many."""
    query = Query()
    shown = query.choice("show", _SHOWN, "")
    sort = query.sort(_SORTS, "account")
    with services.database().reading() as session:
        run = _run(session, period)
        decided = batches.list_batches(session, period_label=period, limit=5)
        tried = [
            work
            for work in work_rows.list_works(session, kinds=(works.DRY_RUN.name,), limit=20)
            if work.facts.get("period") == period
        ]
        names = people.names_of(
            session, [*(batch.requested_by for batch in decided), *(work.requested_by for work in tried)]
        )
        drafting = waiting.drafting(session, now=services.now(), period_label=period)
        counts = {name: sum(_is_shown(item, name) for item in run.items) for name in _SHOWN}
        listed = _sorted([item for item in run.items if not shown or _is_shown(item, shown)], sort)
        page = last_page(query.page(), _SIZE, len(listed))
        items = listed[(page - 1) * _SIZE : page * _SIZE]
        line_counts = runs.line_counts(session, [item.id for item in items])
    options = [option(f"All {len(run.items)}", not shown, show=None)]
    options += [option(f"{title} {counts[name]}", name == shown, show=name) for name, title in _SHOWN.items()]
    may = "invoice.issue" in access.current_principal().staff_permissions
    return htmx.render(
        "operator/invoice_runs/period.html",
        "operator/invoice_runs/_documents.html",
        run=run,
        month=_month(period),
        items=items,
        line_counts=line_counts,
        page=page,
        size=_SIZE,
        total_count=len(listed),
        drafting=drafting,
        tried=[(work, words.actor(work.requested_by, names)) for work in tried[:5]],
        ask_key=_key(),
        totals=_totals(run.items),
        counts=counts,
        options=options,
        chips=[chip("Show", _SHOWN[shown], "show")] if shown else [],
        sort=sort,
        batches=[(batch, words.actor(batch.requested_by, names)) for batch in decided],
        may_decide=may,
        notices=query.notices,
    )


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_decide(period: str, act: Act) -> Response:
    """Check, then approve or issue every document that stands there, as the person saw them; a job does the work."""
    with services.database().reading() as session:
        run = _run(session, period)
    due = [item for item in run.items if item.state in _FROM[act]]
    outliers = [item for item in due if item.finding is not None and item.finding.level == "outlier"]
    form = DecideForm()
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            batch_id = _start(period, act, form)
            return htmx.redirect(url_for("operator.invoice_runs_batch", period=period, batch_id=batch_id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
    elif form.is_submitted():
        status = 422
    if not due and not refusals:
        return htmx.redirect(url_for("operator.invoice_runs_period", period=period))
    form.ensure_key()
    form.ids.data = " ".join(item.id for item in due)
    template = "operator/invoice_runs/decide.html"
    return htmx.render(
        template,
        template,
        status=status,
        run=run,
        month=_month(period),
        act=act,
        items=due,
        totals=_totals(due),
        outliers=outliers,
        form=form,
        refusals=refusals,
    )


@access.requires_staff("finance.read")
def invoice_runs_batch(period: str, batch_id: str) -> Response:
    """How far a decision over many is; the page asks again until it is done, and keeps the result."""
    with services.database().reading() as session:
        progress = batches.get_progress(session, batch_id=path_key(batch_id))
        if progress.period != period:
            abort(404)
        items = batches.list_items(session, batch_id=progress.id)
        names = people.names_of(session, [progress.requested_by])
    age_s = (services.now() - progress.requested_at).total_seconds()
    return htmx.render(
        "operator/invoice_runs/batch.html",
        "operator/invoice_runs/_batch.html",
        progress=progress,
        month=_month(period),
        items=[(item, _why(item)) for item in items],
        who=words.actor(progress.requested_by, names),
        every=None if progress.is_ended else htmx.poll_pace(age_s),
    )


def _run(session: Session, period: str) -> Run:
    try:
        return runs.get_run(session, period_label=path_key(period))
    except Invalid:
        abort(404)


def _start(period: str, act: Act, form: DecideForm) -> str:
    """Store the decision over those documents that the person saw and that still stand where it begins."""
    ids = (form.ids.data or "").split()
    with services.database().transaction() as session:
        return batches.start(
            session,
            now=services.now(),
            act=act,
            period_label=period,
            invoice_ids=batches.eligible_ids(session, act=act, invoice_ids=ids[: batches.MAX_ITEMS]),
            form_key=form.form_key.data or "",
            actor=access.current_principal().id,
            outlier_reason=form.outlier_reason.data,
        )


def _why(item: batches.ItemRow) -> str | None:
    """The sentence of a stored refusal."""
    if item.refusal_code is None:
        return None
    refusal = Conflict(**item.refusal_facts)
    refusal.code = item.refusal_code
    return sentences.of(refusal)


def _is_shown(item: RunItem, name: str) -> bool:
    if name in ("outliers", "look"):
        return item.finding is not None and item.finding.level == name.removesuffix("s")
    return item.state == name


def _key() -> str:
    """The key of a form that the page shows beside others."""
    form = KeyedForm(formdata=None)
    form.ensure_key()
    return str(form.form_key.data)


def _sorted(items: list[RunItem], sort: str) -> list[RunItem]:
    key = sort.removeprefix("-")
    values = {
        "account": lambda item: (item.account_name.casefold(), item.id),
        "net": lambda item: (item.currency, item.net_minor),
        "change": lambda item: (item.currency, item.change_minor if item.change_minor is not None else item.net_minor),
        "total": lambda item: (item.currency, item.total_minor),
    }
    return sorted(items, key=values[key], reverse=sort.startswith("-"))


def _totals(items: Sequence[RunItem]) -> list[Total]:
    return [
        Total(
            currency=currency,
            count=len(rows),
            net_minor=sum(row.net_minor for row in rows),
            tax_minor=sum(row.tax_minor for row in rows),
            total_minor=sum(row.total_minor for row in rows),
            before_net_minor=sum(row.before_net_minor or 0 for row in rows),
        )
        for currency in sorted({item.currency for item in items})
        for rows in [[item for item in items if item.currency == currency]]
    ]


def _month(period: str) -> date:
    return date.fromisoformat(f"{period}-01")
