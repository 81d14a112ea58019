"""The dry run of a month: asked for, under way, and its answer by account, with what would be refused and why."""

from collections.abc import Iterator, Sequence
from datetime import date

from flask import Response as FlaskResponse
from flask import abort, url_for
from werkzeug.wrappers import Response

from billing.accounts import names, people
from billing.exports import csv
from billing.invoicing import dry_runs
from billing.invoicing.dry_runs import Row
from billing.jobs import leadership, works
from billing.kernel import periods
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.storage import works as work_rows
from billing.storage.database import Session
from billing.storage.works import WorkRow
from portal import access, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import words
from portal.tenant.query import Query, chip, last_page, option, path_key

_SIZE = 50
_TITLES = {"outlier": "Outliers", "look": "Worth a look", "refused": "Refused", "missing": "Missing"}
_COLUMNS = (
    *("account", "name", "state", "kind", "currency", "lines", "net_minor", "tax_minor", "total_minor"),
    *("before_net_minor", "change_minor", "finding", "change", "refusal", "why"),
)


class AskForm(KeyedForm):
    """Asks for a dry run."""


@access.requires_staff("invoice.issue", fresh=True)
def invoice_runs_dry_run_ask(period: str) -> Response:
    """Ask for the dry run of a month; it gets a page of its own. The same form sent twice is one."""
    form = AskForm()
    label = _label(period)
    if not form.validate_on_submit() or not form.form_key.data:
        return htmx.redirect(url_for("operator.invoice_runs_period", period=label))
    with services.database().transaction() as session:
        work_id = works.ask(
            session,
            now=services.now(),
            kind=works.DRY_RUN.name,
            facts={"period": label},
            form_key=form.form_key.data,
            actor=access.current_principal().id,
        )
    return htmx.redirect(url_for("operator.invoice_runs_dry_run", period=label, work_id=work_id))


@access.requires_staff("finance.read")
def invoice_runs_dry_run(period: str, work_id: str) -> FlaskResponse:
    """How far it is; done, what would be drafted, by account, beside the month before."""
    query = Query()
    shown = query.choice("show", dry_runs.SHOWN, "")
    sort = query.sort(dry_runs.SORTS, "account")
    now = services.now()
    with services.database().reading() as session:
        work = _work(session, period, work_id)
        who = words.actor(work.requested_by, people.names_of(session, [work.requested_by]))
        leader = leadership.find_leader(session, now=now)
        counts = dry_runs.counts(session, work_id=work.id)
        page = last_page(query.page(), _SIZE, counts[shown])
        rows = dry_runs.list_rows(
            session, work_id=work.id, show=shown or None, sort=sort, limit=_SIZE, offset=(page - 1) * _SIZE
        )
        totals = dry_runs.totals(session, work_id=work.id)
    return htmx.render(
        "operator/invoice_runs/dry_run.html",
        "operator/invoice_runs/_dry_run.html",
        work=work,
        period=work.facts["period"],
        month=date.fromisoformat(f"{work.facts['period']}-01"),
        who=who,
        leader=leader,
        every=None if work.is_ended else htmx.poll_pace((now - work.requested_at).total_seconds()),
        rows=[(row, why(row)) for row in rows],
        totals=totals,
        counts=counts,
        options=[option(f"All {counts['']}", not shown, show=None)]
        + [option(f"{title} {counts[name]}", name == shown, show=name) for name, title in _TITLES.items()],
        chips=[chip("Show", _TITLES[shown], "show")] if shown else [],
        sort=sort,
        page=page,
        size=_SIZE,
        total=counts[shown],
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def invoice_runs_dry_run_csv(period: str, work_id: str) -> FlaskResponse:
    """The whole answer."""
    with services.database().reading() as session:
        work = _work(session, period, work_id)
        if not work.is_ended:
            abort(404)
        lines = [csv.line(_COLUMNS), *(csv.line(cells) for cells in _cells(session, work.id))]
    response = FlaskResponse("".join(lines), mimetype="text/csv")
    name = f"dry-run-{work.facts['period']}.csv"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def why(row: Row) -> str | None:
    """The sentence of a stored refusal."""
    if row.refusal_code is None:
        return None
    refusal = Conflict(**(row.refusal_facts or {}))
    refusal.code = row.refusal_code
    return sentences.of(refusal)


def _cells(session: Session, work_id: str) -> Iterator[Sequence[csv.Cell]]:
    for row in dry_runs.stream_rows(session, work_id=work_id):
        yield (
            *(row.account_code, row.account_name, row.state, row.kind, row.currency, row.line_count),
            *(row.net_minor, row.tax_minor, row.total_minor, row.before_net_minor, row.change_minor),
            *(row.finding, row.change, row.refusal_code, why(row)),
        )


def _work(session: Session, period: str, work_id: str) -> WorkRow:
    work = work_rows.get(session, path_key(work_id))
    if work.kind != works.DRY_RUN.name or work.facts.get("period") != period:
        raise NotFound(work_id=names.shown(work_id))
    return work


def _label(period: str) -> str:
    try:
        periods.month(path_key(period), "UTC")
    except Invalid:
        abort(404)
    return period
