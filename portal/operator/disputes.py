"""Disputes: the queue by deadline, one dispute on its two axes with its postings, and the answer to it."""

from dataclasses import dataclass
from datetime import datetime

from flask import Response as FlaskResponse
from flask import flash, request, url_for
from flask_wtf.file import FileField
from werkzeug.wrappers import Response
from wtforms import BooleanField, HiddenField, SelectField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired

from billing.accounts import people
from billing.kernel.errors import Refusal
from billing.payments.disputes import acts, evidence, fields, listing, submissions, warnings
from billing.payments.disputes.evidence import Draft
from billing.payments.disputes.listing import DisputeRow, Filters, PostingRow
from billing.payments.disputes.submissions import SubmissionRow
from billing.payments.errors import OutcomeUnknown, ProviderRefused
from billing.payments.recovery import session_list
from billing.storage.database import Session
from portal import access, dispute_words, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import words
from portal.tenant.query import Query, chip, option, path_key

_SIZE = 50
_GROUPS = {
    "waiting": ("Waiting for us", ("opened", "needs_response", "evidence_due")),
    "submitted": ("With the bank", ("evidence_submitted",)),
    "ended": ("Ended", ("won", "lost", "closed")),
}


class EvidenceForm(KeyedForm):
    """The texts of the answer, one box for each field; they are read from the request by name. A file goes into one field."""

    version = HiddenField()
    field = SelectField(
        "What the file shows",
        choices=[SelectChoice(one.name, one.label) for one in fields.FILES],
        validate_choice=False,
    )
    file = FileField("File")


class AnswerForm(KeyedForm):
    """The last look before something that is final."""

    sha256 = HiddenField()
    is_checked = BooleanField(
        "I have read it, and I know that it is final", [InputRequired("Tick this when you have read it.")]
    )


@dataclass(frozen=True, kw_only=True)
class Box:
    """One text field as the page shows it."""

    name: str
    label: str
    hint: str
    is_long: bool
    text: str
    rows: int


@dataclass(frozen=True, kw_only=True)
class Case:
    """One dispute with everything that an answer stands on."""

    row: DisputeRow
    payment_session_id: str | None
    history: list[dict[str, object]]
    postings: list[PostingRow]
    draft: Draft
    answers: list[SubmissionRow]
    names: dict[str, str]
    may_look: bool
    may_answer: bool
    left_s: int | None


@access.requires_staff("finance.read")
def disputes() -> Response:
    """Those that wait for us first, by deadline; above them the early warnings that a refund may still help."""
    query, now = Query(), services.now()
    group, page = query.choice("state", _GROUPS, ""), query.page()
    filters = Filters(states=_GROUPS[group][1] if group else ())
    with services.database().reading() as session:
        counts = listing.count_disputes(session)
        rows = listing.list_disputes(session, filters, limit=_SIZE, offset=(page - 1) * _SIZE, by_deadline=True)
        warned = warnings.list_warnings(session, limit=20)
    options = [option(f"All {sum(counts.values())}", not group, state=None)]
    options += [
        option(f"{label} {sum(counts[state] for state in states)}", name == group, state=name)
        for name, (label, states) in _GROUPS.items()
    ]
    return htmx.render(
        "operator/disputes/index.html",
        "operator/disputes/_list.html",
        rows=[(row, _left_s(row, now)) for row in rows],
        total=sum(counts[state] for state in filters.states) if group else sum(counts.values()),
        waiting=sum(counts[state] for state in _GROUPS["waiting"][1]),
        page=page,
        size=_SIZE,
        group=group,
        options=options,
        chips=[chip("State", _GROUPS[group][0], "state")] if group else [],
        warned=warned,
        words=dispute_words,
        notices=query.notices,
        may_refund="refund.request" in access.current_principal().staff_permissions,
    )


@access.requires_staff("finance.read")
def disputes_detail(dispute_id: str) -> Response:
    """One dispute. While an answer is on its way, the page asks again."""
    with services.database().reading() as session:
        case = _case(session, path_key(dispute_id))
    is_under_way = bool(case.answers) and case.answers[0].state in submissions.OPEN
    return htmx.render(
        "operator/disputes/detail.html",
        "operator/disputes/_case.html",
        case=case,
        words=dispute_words,
        every=htmx.poll_pace((services.now() - case.answers[0].created_at).total_seconds()) if is_under_way else None,
        may_refund="refund.request" in access.current_principal().staff_permissions,
    )


@access.requires_staff("disputes.manage")
def disputes_look(dispute_id: str) -> Response:
    """Ask the provider how it stands."""
    key = path_key(dispute_id)
    with services.database().reading() as session:
        row = listing.get_dispute(session, key=key)
    provider = services.services().providers.get(row.provider)
    if provider is None:
        flash(f"The payment provider {row.provider} is not configured.", "bad")
        return htmx.redirect(url_for("operator.disputes_detail", dispute_id=row.id))
    try:
        acts.look(services.database(), provider, now=services.now(), dispute_id=row.id, role="web")
    except (OutcomeUnknown, ProviderRefused):
        flash("The provider did not answer. It is asked again by itself.", "warn")
    except Refusal as refusal:
        flash(sentences.of(refusal), "bad")
    else:
        flash("The provider was asked: this is how it stands.", "good")
    return htmx.redirect(url_for("operator.disputes_detail", dispute_id=row.id))


@access.requires_staff("disputes.manage")
def disputes_evidence(dispute_id: str) -> Response:
    """Work on the answer: texts, files, and putting it together anew from our books. Nothing leaves."""
    key, form = path_key(dispute_id), EvidenceForm()
    with services.database().reading() as session:
        case = _case(session, key)
    typed = {one.name: request.form.get(f"text-{one.name}", "") for one in fields.TEXTS}
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            if said := _work(case, form, typed, request.form.get("step", "save")):
                flash(said, "good")
            if request.form.get("step") == "review":
                return htmx.redirect(url_for("operator.disputes_submit", dispute_id=case.row.id))
            return htmx.redirect(url_for("operator.disputes_evidence", dispute_id=case.row.id))
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [_about(refusal)]
    elif form.is_submitted():
        status = 422
    elif not case.row.is_waiting:
        return htmx.redirect(url_for("operator.disputes_detail", dispute_id=case.row.id))
    texts = typed if form.is_submitted() else dict(case.draft.texts)
    if not form.is_submitted():
        form.version.data = str(case.draft.version)
    form.ensure_key()
    template = "operator/disputes/evidence.html"
    return htmx.render(
        template,
        template,
        status=status,
        case=case,
        form=form,
        refusals=refusals,
        boxes=[_box(one, texts.get(one.name, "")) for one in fields.TEXTS],
        length=sum(len(text) for text in texts.values()),
        file_words={one.name: one.label for one in fields.FILES},
        words=dispute_words,
    )


@access.requires_staff("disputes.manage", fresh=True)
def disputes_submit(dispute_id: str) -> Response:
    """The answer as the bank will read it, and sending it for good."""
    return _decide(path_key(dispute_id), "evidence")


@access.requires_staff("disputes.manage", fresh=True)
def disputes_accept(dispute_id: str) -> Response:
    """Give the dispute up for good."""
    return _decide(path_key(dispute_id), "acceptance")


@access.requires_staff("disputes.manage")
def disputes_file(dispute_id: str, file_id: str) -> Response:
    """The bytes of one piece of evidence."""
    with services.database().reading() as session:
        row = listing.get_dispute(session, key=path_key(dispute_id))
        file = evidence.get_file(session, dispute_id=row.id, file_id=path_key(file_id))
        response = FlaskResponse(file.content, mimetype=file.media_type)
        response.headers.set("Content-Disposition", "attachment", filename=file.name)
    return response


def _decide(dispute_id: str, kind: str) -> Response:
    form = AnswerForm()
    with services.database().reading() as session:
        case = _case(session, dispute_id)
    url = url_for("operator.disputes_detail", dispute_id=case.row.id)
    status, refusals = 200, []
    if form.validate_on_submit():
        try:
            answer = acts.answer(
                services.database(),
                services.services().providers,
                now=services.now(),
                dispute_id=case.row.id,
                kind=kind,
                expected_sha256=form.sha256.data or "",
                form_key=form.form_key.data or "",
                actor=access.current_principal().id,
            )
        except Refusal as refusal:
            status, refusals = errors.status_of(refusal), [sentences.of(refusal)]
        else:
            flash(*_said(answer))
            return htmx.redirect(url)
    elif form.is_submitted():
        status = 422
    elif not case.row.is_waiting or (kind == "evidence" and case.draft.is_empty):
        return htmx.redirect(url)
    form.ensure_key()
    form.sha256.data = case.draft.sha256  # what this page shows, also after a refusal
    template = f"operator/disputes/{'submit' if kind == 'evidence' else 'accept'}.html"
    return htmx.render(
        template,
        template,
        status=status,
        case=case,
        form=form,
        refusals=refusals,
        words=dispute_words,
        labels={one.name: one.label for one in (*fields.TEXTS, *fields.FILES)},
    )


def _said(answer: SubmissionRow) -> tuple[str, str]:
    if answer.state == "submitted":
        return ("The evidence is submitted." if answer.kind == "evidence" else "The dispute is accepted."), "good"
    if answer.state == "failed":
        return f"The provider refused it: {answer.failure}", "bad"
    return "The provider did not answer clearly. It is asked until that is known; nothing is sent twice.", "warn"


def _work(case: Case, form: EvidenceForm, typed: dict[str, str], step: str) -> str | None:
    """One step of the work on the answer, and what to say about it."""
    now, actor, database = services.now(), access.current_principal().id, services.database()
    if step == "collect":
        found = acts.prepare(database, now=now, dispute_id=case.row.id, actor=actor, role="web")
        return "Put together from our books." if found else "Our books say nothing about it: the payment is not known."
    said = str(form.version.data)
    version = int(said) if said.isdecimal() and len(said) < 10 else -1
    with database.transaction() as session:
        if step.startswith("remove:"):
            field = step.removeprefix("remove:")
            evidence.detach(session, now=now, dispute_id=case.row.id, field=field, version=version, actor=actor)
            return "The file is taken out."
        draft = evidence.save(session, now=now, dispute_id=case.row.id, texts=typed, version=version, actor=actor)
        sent = form.file.data
        if sent is not None and sent.filename:
            evidence.attach(
                session,
                now=now,
                dispute_id=case.row.id,
                field=str(form.field.data),
                name=sent.filename.replace("\\", "/").rpartition("/")[2],
                content=sent.read(),
                version=draft.version,
                actor=actor,
            )
    return None if step == "review" else "Saved. Nothing has left yet."


def _about(refusal: Refusal) -> str:
    """The refusal's sentence, with the field's words before it where it names one."""
    labels = {one.name: one.label for one in (*fields.TEXTS, *fields.FILES)}
    label = labels.get(str(refusal.fields.get("field")))
    return f"{label}: {sentences.of(refusal)}" if label else sentences.of(refusal)


def _box(field: fields.Field, text: str) -> Box:
    rows = min(18, max(3, text.count("\n") + 2)) if field.is_long else 1
    return Box(name=field.name, label=field.label, hint=field.hint, is_long=field.is_long, text=text, rows=rows)


def _case(session: Session, key: str) -> Case:
    row = listing.get_dispute(session, key=key)
    answers = submissions.list_submissions(session, row.id)
    draft = evidence.get_draft(session, row.id)
    places = {row.invoice_id: row.invoice_number or row.invoice_id} if row.invoice_id else {}
    may = "disputes.manage" in access.current_principal().staff_permissions
    actors: list[str | None] = [draft.updated_by, *(answer.submitted_by for answer in answers)]
    return Case(
        row=row,
        payment_session_id=session_list.find_session_of_payment(session, row.provider_payment_id),
        history=dispute_words.timeline(listing.list_history(session, row.id), places=places),
        postings=list(listing.list_postings(session, row.id, with_house=True)),
        draft=draft,
        answers=answers,
        names={str(code): words.actor(code, people.names_of(session, actors)) for code in actors if code},
        may_look=may,
        may_answer=may and row.is_waiting,
        left_s=_left_s(row, services.now()),
    )


def _left_s(row: DisputeRow, now: datetime) -> int | None:
    """Seconds until the deadline of one that waits for us, below zero after it."""
    return int((row.due_by - now).total_seconds()) if row.is_waiting and row.due_by else None
