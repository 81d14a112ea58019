"""Reconciliation: what differs between usage, rated lines, ledger and documents, who looks after it, and the runs that found it."""

from typing import Any

from flask import flash, request, url_for
from werkzeug.wrappers import Response
from wtforms import SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]
from wtforms.validators import DataRequired, Length

from billing.accounts import directory, people
from billing.assurance import reconciliation as room
from billing.assurance import reconciliation_findings as findings
from billing.assurance import timeline
from billing.assurance.reconciliation_findings import EXPLANATION_MAX, STATES, Filters, FindingRow
from billing.jobs import works
from billing.kernel.errors import Refusal
from billing.kernel.rounding import half_up
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import subjects, words
from portal.tenant.query import Query, chip, last_page, option, path_key

_SIZE = 50
_RUNS = 10


class CompareForm(KeyedForm):
    """Compare now: everything, or one month."""

    period = StringField("Month", [Length(max=7, message="A month such as 2026-10.")])


class ExplainForm(KeyedForm):
    """Why a difference is there."""

    explanation = TextAreaField(
        "Explanation",
        [
            DataRequired("Say why the two stages differ."),
            Length(max=EXPLANATION_MAX, message=f"At most {EXPLANATION_MAX} characters."),
        ],
    )


class AssignForm(KeyedForm):
    """Who looks after a difference."""

    owner = SelectField("Looked after by")


@access.requires_staff("finance.read")
def reconciliation() -> Response:
    """Open differences, oldest first, and the last runs."""
    return _page(CompareForm(formdata=None), ())


@access.requires_staff("jobs.run")
def reconciliation_compare() -> Response:
    """Ask for a comparison; then its page, which waits for the result."""
    form = CompareForm()
    if not form.validate_on_submit():
        return _page(form, ("The form could not be read: send it again.",), status=422)
    period = (form.period.data or "").strip()
    try:
        with services.database().transaction() as session:
            work_id = works.ask(
                session,
                now=services.now(),
                kind=works.RECONCILIATION.name,
                facts={"period": period} if period else {},
                form_key=form.form_key.data or "",
                actor=access.current_principal().id,
            )
    except Refusal as refusal:
        return _page(form, (sentences.of(refusal),), status=errors.status_of(refusal))
    return htmx.redirect(url_for("operator.integrity_work", work_id=work_id))


@access.requires_staff("finance.read")
def reconciliation_runs() -> Response:
    """Every run, newest first."""
    query = Query()
    page = query.page()
    with services.database().reading() as session:
        total = findings.count_runs(session)
        page = last_page(page, _SIZE, total)
        rows = findings.list_runs(session, limit=_SIZE, offset=(page - 1) * _SIZE)
        names = people.names_of(session, [row.actor for row in rows])
    return htmx.render(
        "operator/reconciliation/runs.html",
        "operator/reconciliation/_runs.html",
        runs=[(row, words.actor(row.actor, names)) for row in rows],
        page=page,
        size=_SIZE,
        total=total,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def reconciliation_run(run_id: str) -> Response:
    """One run: each stage with what it looked at and what both sides came to, and what it found."""
    query = Query()
    page = query.page()
    now = services.now()
    with services.database().reading() as session:
        run = findings.get_run(session, path_key(run_id))
        filters = Filters(run=run)
        total = findings.count_findings(session, filters)
        page = last_page(page, _SIZE, total)
        rows = findings.list_findings(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
        who = words.actor(run.actor, people.names_of(session, [run.actor]))
    stages = [(rule, run.stages.get(rule.name)) for rule in room.STAGES]
    return htmx.render(
        "operator/reconciliation/run.html",
        "operator/reconciliation/_findings.html",
        run=run,
        who=who,
        stages=stages,
        sums=[
            _sides(rule.words, currency, sides)
            for rule, facts in stages
            if facts
            for currency, sides in _by_currency(facts)
        ],
        rows=[(row, row.age_s(now)) for row in rows],
        page=page,
        size=_SIZE,
        total=total,
        chips=[],
        is_filtered=False,
        clear_url=url_for("operator.reconciliation_run", run_id=run.id),
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def reconciliation_finding(finding_id: str) -> Response:
    """One difference: its figures, its age, who looks after it, why it is there."""
    return _finding_page(finding_id, None, None, ())


@access.requires_staff("ledger.correct", fresh=True)
def reconciliation_decide(finding_id: str, act: str) -> Response:
    """Give a difference to somebody, or say why it is there."""
    form: Any = ExplainForm() if act == "explain" else AssignForm()
    explain = form if act == "explain" else None
    assign = form if act == "assign" else None
    now, actor = services.now(), access.current_principal().id
    if assign is not None:
        assign.owner.validate_choice = False  # who may be chosen is decided where it is done
    if not form.validate_on_submit():
        return _finding_page(finding_id, explain, assign, (), status=422)
    try:
        with services.database().transaction() as session:
            key = path_key(finding_id)
            if explain is not None:
                text = explain.explanation.data or ""
                findings.explain(session, now=now, finding_id=key, explanation=text, actor=actor)
            else:
                findings.assign(session, now=now, finding_id=key, owner=form.owner.data or None, actor=actor)
    except Refusal as refusal:
        return _finding_page(finding_id, explain, assign, (sentences.of(refusal),), status=errors.status_of(refusal))
    flash("The explanation is kept." if explain is not None else "It is known who looks after it.", "good")
    return htmx.redirect(url_for("operator.reconciliation_finding", finding_id=finding_id))


def _page(form: CompareForm, refusals: tuple[str, ...], *, status: int = 200) -> Response:
    query = Query()
    state = query.choice("state", STATES, "")
    stage = query.choice("stage", list(room.WORDS), "")
    owner, account, period = query.text("owner"), query.text("account"), query.text("period")
    page, now = query.page(), services.now()
    with services.database().reading() as session:
        filters = Filters(
            state=state or None,
            stage=stage or None,
            account_id=_account_id(session, account),
            period_label=period,
            owner=owner,
        )
        total = findings.count_findings(session, filters)
        page = last_page(page, _SIZE, total)
        rows = findings.list_findings(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE)
        counts = {name: findings.count_findings(session, Filters(state=name)) for name in STATES}
        oldest = findings.list_findings(session, Filters(state="open"), limit=1)
        runs = findings.list_runs(session, limit=_RUNS)
        names = people.names_of(session, [row.actor for row in runs])
        owners = findings.list_owners(session)
    form.ensure_key()
    chips = [chip("Comparison", room.WORDS[stage], "stage")] if stage else []
    chips += [
        chip(name.capitalize(), value, name) for name, value in (("account", account), ("month", period)) if value
    ]
    if owner:
        chips.append(chip("Looked after by", dict(owners).get(owner, owner), "owner"))
    options = [option(f"Open and explained {counts['open'] + counts['explained']}", not state, state=None)]
    options += [option(f"{name.capitalize()} {counts[name]}", name == state, state=name) for name in STATES]
    return htmx.render(
        "operator/reconciliation/index.html",
        "operator/reconciliation/_findings.html",
        status=status,
        rows=[(row, row.age_s(now)) for row in rows],
        total=total,
        page=page,
        size=_SIZE,
        counts=counts,
        oldest=oldest[0] if oldest else None,
        oldest_age_s=oldest[0].age_s(now) if oldest else None,
        runs=[(row, words.actor(row.actor, names)) for row in runs],
        options=options,
        stage_choices=[("", "All comparisons"), *room.WORDS.items()],
        owner_choices=[("", "Anybody"), ("nobody", "Nobody yet"), *owners],
        stage=stage,
        owner=owner or "",
        account=account or "",
        period=period or "",
        state=state,
        now=now,
        chips=chips,
        is_filtered=bool(chips or state),
        clear_url=url_for("operator.reconciliation"),
        form=form,
        refusals=refusals,
        may_run="jobs.run" in access.current_principal().staff_permissions,
        notices=query.notices,
    )


def _by_currency(facts: dict[str, Any]) -> list[tuple[str, dict[str, int]]]:
    return sorted(facts["sums"].items())


def _sides(title: str, currency: str, sides: dict[str, int]) -> dict[str, Any]:
    """Both sides of a comparison in one currency; what is kept in millionths is rounded to be shown."""
    shown = []
    for name, amount in sides.items():
        label, _, unit = name.rpartition("_")
        minor = half_up(amount, 1_000_000) if unit == "micro" else amount
        shown.append((label.capitalize(), minor))
    shown.sort()
    return {
        "title": title,
        "currency": currency,
        "sides": shown,
        "difference_minor": shown[0][1] - shown[-1][1],
        "is_exact": not any(name.endswith("_micro") for name in sides),
    }


def _account_id(session: Session, code: str | None) -> str | None:
    """The id of the account of that code; a code that is none finds nothing."""
    if code is None:
        return None
    found = directory.find_account_by_code(session, code)
    return found.id if found is not None else "none"


def _finding_page(
    finding_id: str,
    explain: ExplainForm | None,
    assign: AssignForm | None,
    refusals: tuple[str, ...],
    *,
    status: int = 200,
) -> Response:
    with services.database().reading() as session:
        row = findings.get_finding(session, path_key(finding_id))
        owners = findings.list_owners(session)
        history = timeline.of_subject(session, row.id, subject_type="reconciliation_finding")
    explain = explain or ExplainForm(formdata=None, data={"explanation": row.explanation or ""})
    assign = assign or AssignForm(formdata=None, data={"owner": row.owner or ""})
    assign.owner.choices = [SelectChoice("", "Nobody yet"), *(SelectChoice(key, name) for key, name in owners)]
    for form in (explain, assign):
        form.ensure_key()
    return htmx.render(
        "operator/reconciliation/finding.html",
        "operator/reconciliation/finding.html",
        status=status,
        row=row,
        age_s=row.age_s(services.now()),
        subject_word=subjects.word(row.subject_type),
        subject_url=_subject_url(row),
        facts=_facts(row),
        history=words.timeline_of(history, own_id=row.id),
        explain=explain,
        assign=assign,
        refusals=refusals,
        is_posted=request.method == "POST",
        may_decide=row.state != "closed" and "ledger.correct" in access.current_principal().staff_permissions,
    )


def _subject_url(row: FindingRow) -> str | None:
    if row.subject_type == "ledger_transaction" and row.account_id is not None:
        return url_for("operator.accounts_transaction", account_id=row.account_id, transaction_id=row.subject_id)
    return subjects.find_url(row.subject_type, row.subject_id)


def _facts(row: FindingRow) -> list[dict[str, Any]]:
    """The figures of a difference: money with its currency, everything else as it is."""
    shown: list[dict[str, Any]] = []
    for name, value in row.facts.items():
        if value is None:
            continue
        label = name.replace("_", " ").capitalize()
        if name.endswith("_minor") and row.currency and isinstance(value, int):
            shown.append({"label": label.removesuffix(" minor"), "minor": value})
        else:
            shown.append({"label": label, "text": str(value)})
    return shown
