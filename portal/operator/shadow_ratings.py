"""Shadow ratings: what past usage would cost with other prices. Asked for here as a long work; its trial keeps the result."""

from datetime import UTC, date, datetime, time, timedelta

from flask import request, url_for
from werkzeug.wrappers import Response
from wtforms import DateField, IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from billing.accounts import directory, listing, names, people
from billing.catalog import books, trials
from billing.catalog.trials import Limits
from billing.exports import csv
from billing.jobs import leadership, shadow_works, works
from billing.kernel.errors import Invalid, NotFound, Refusal
from billing.rating import shadow
from billing.storage import works as work_rows
from billing.storage.database import Session
from portal import access, errors, htmx, sentences, services
from portal.fields import KeyedForm
from portal.operator import shadow_words, words
from portal.tenant.query import Query, last_page, option, path_key

_LISTED = 50
_SIZE = 50
_ACCOUNTS_MAX = 1_000
_TEXT_MAX = 200_000
_SORTS = ("account", "current", "candidate", "change", "percent")
FAULTS = {
    "not_whole": "It stopped at its bound of rows before it had seen everything.",
    "some_accounts_only": "It looked at some accounts only.",
    "looked_at_nothing": "There was no usage to compare.",
    "outside_limits": "The change lies outside the limits.",
}


class ShadowForm(KeyedForm):
    """What to try, over which days, for whom, and how far charges may move."""

    book = SelectField("Price book", [Optional()])
    text = TextAreaField(
        "Or its text", [Optional(), Length(max=_TEXT_MAX, message="That is more than 200,000 characters.")]
    )
    from_on = DateField("First day", [InputRequired("Choose the first day.")])
    to_on = DateField("Last day", [InputRequired("Choose the last day.")])
    accounts = TextAreaField("Billing accounts", [Optional()])
    total_percent = StringField("Total, in percent", [InputRequired("Say by how many percent a total may change.")])
    account_percent = StringField(
        "Each account, in percent", [InputRequired("Say by how many percent an account may change.")]
    )
    rows = IntegerField(
        "Usage records at most",
        [
            InputRequired("Say how many usage records may be read."),
            NumberRange(1, shadow.MAX_ROWS, message="A whole number from 1 to 1,000,000,000."),
        ],
    )


@access.requires_staff("finance.read")
def shadow_ratings() -> Response:
    """Trials, newest first, and those that are still being made."""
    with services.database().reading() as session:
        found = trials.list_trials(session, limit=_LISTED)
        running = [
            work
            for work in work_rows.list_works(session, kinds=(works.SHADOW_RATING.name,), limit=_LISTED)
            if work.state != "succeeded"
        ]
        who = people.names_of(session, {*(each.actor for each in found), *(work.requested_by for work in running)})
    template = "operator/shadow_ratings/index.html"
    return htmx.render(
        template,
        template,
        rows=[
            (trial, words.actor(trial.actor, who), shadow_words.lines(trial.result["totals"], "currency"))
            for trial in found
        ],
        running=[(work, words.actor(work.requested_by, who)) for work in running],
        now=services.now(),
        faults=FAULTS,
        may_run=_may_run(),
    )


@access.requires_staff("prices.change")
def shadow_ratings_new() -> Response:
    """The form; sent whole it becomes a long work with a page of its own."""
    form = ShadowForm()
    with services.database().reading() as session:
        loaded = list(reversed(books.list_books(session)))
    form.book.choices = [("", "Not loaded: its text is below")] + [
        (book.id, f"{book.code}, version {book.version}") for book in loaded
    ]
    status, refusals = 200, []
    if form.is_submitted():
        status = 422
        if form.validate() and _is_one(form):
            try:
                return htmx.redirect(url_for("operator.shadow_ratings_work", work_id=_ask(form)))
            except Refusal as refusal:
                status, refusals = errors.status_of(refusal), _attached(form, refusal)
    else:
        _prefill(form)
    form.ensure_key()
    template = "operator/shadow_ratings/new.html"
    return htmx.render(template, template, status=status, form=form, refusals=refusals)


@access.requires_staff("finance.read")
def shadow_ratings_work(work_id: str) -> Response:
    """How far a shadow rating is; done, it leads to its result."""
    now = services.now()
    with services.database().reading() as session:
        work = work_rows.get(session, path_key(work_id))
        if work.kind != works.SHADOW_RATING.name:
            raise NotFound(work_id=names.shown(work_id))
        leader = leadership.find_leader(session, now=now)
        asker = people.names_of(session, {work.requested_by})
    trial_id = work.result["trial_id"] if work.result else None
    return htmx.render(
        "operator/shadow_ratings/work.html",
        "operator/shadow_ratings/_work.html",
        work=work,
        trial_id=trial_id,
        asker=words.actor(work.requested_by, asker),
        leader=leader,
        days=(datetime.fromisoformat(work.facts["from_at"]), datetime.fromisoformat(work.facts["to_at"])),
        every=None if work.is_ended else htmx.poll_pace((now - work.requested_at).total_seconds()),
    )


@access.requires_staff("finance.read")
def shadow_ratings_trial(trial_id: str) -> Response:
    """One result: totals, distribution, what moved most, and every account."""
    query = Query()
    sort, shown = query.sort(_SORTS, "-change"), query.choice("show", ("outside",), "")
    with services.database().reading() as session:
        trial = trials.get_trial(session, path_key(trial_id))
        found = trial.result
        named = listing.named(
            session,
            {row["account_id"] for row in (*found["accounts"], *found["movers"])} | set(trial.scope["account_ids"]),
        )
        who = people.names_of(session, {trial.actor})
    accounts = shadow_words.accounts(found["accounts"], named)
    listed = [row for row in accounts if not shown or not row.is_inside]
    ordered = sorted(listed, key=shadow_words.KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    page = last_page(query.page(), _SIZE, len(ordered))
    return htmx.render(
        "operator/shadow_ratings/trial.html",
        "operator/shadow_ratings/_accounts.html",
        trial=trial,
        found=found,
        who=words.actor(trial.actor, who),
        asked=[named.get(account_id, (account_id, account_id)) for account_id in trial.scope["account_ids"]],
        totals=shadow_words.lines(found["totals"], "currency"),
        skus=shadow_words.lines(found["skus"], "sku")[:_SIZE],
        movers=[(row, *named.get(row["account_id"], (row["account_id"],) * 2)) for row in found["movers"]],
        chart=shadow_words.chart(found["distribution"]) if trial.row_count else None,
        bars=[(shadow_words.bar(row), row) for row in found["distribution"]],
        rows=ordered[(page - 1) * _SIZE : page * _SIZE],
        total=len(ordered),
        page=page,
        size=_SIZE,
        sort=sort,
        options=[
            option(f"All {found['account_count']}", not shown, show=None),
            option(f"Outside the limit {found['outside_count']}", shown == "outside", show="outside"),
        ],
        fault=FAULTS.get(trial.fault or ""),
        is_fresh=services.now() <= trial.fresh_until,
        notices=query.notices,
    )


@access.requires_staff("finance.read")
def shadow_ratings_csv(trial_id: str) -> Response:
    """Every account of a result."""
    with services.database().reading() as session:
        trial = trials.get_trial(session, path_key(trial_id))
        rows = trial.result["accounts"]
        named = listing.named(session, {row["account_id"] for row in rows})
    columns = (
        "account",
        "name",
        "currency",
        "rows",
        "current_minor",
        "candidate_minor",
        "delta_minor",
        "delta_percent",
        "is_inside",
    )
    text = "".join(map(csv.line, [columns, *shadow_words.cells(rows, named)]))
    response = Response(text, mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="shadow-rating-{trial.id}.csv"'
    return response


def _ask(form: ShadowForm) -> str:
    from_at = datetime.combine(_on(form.from_on.data, "from"), time(), UTC)
    to_at = datetime.combine(_on(form.to_on.data, "to") + timedelta(days=1), time(), UTC)
    with services.database().transaction() as session:
        facts = shadow_works.facts_of(
            text=None if form.book.data else (form.text.data or "").replace("\r\n", "\n"),
            price_book_id=form.book.data or None,
            from_at=from_at,
            to_at=to_at,
            account_ids=_account_ids(session, form.accounts.data or ""),
            limits=Limits(
                total_percent=(form.total_percent.data or "").strip(),
                account_percent=(form.account_percent.data or "").strip(),
            ),
            row_bound=form.rows.data or 0,
        )
        return works.ask(
            session,
            now=services.now(),
            kind=works.SHADOW_RATING.name,
            facts=facts,
            form_key=form.form_key.data or "",
            actor=access.current_principal().id,
        )


def _account_ids(session: Session, text: str) -> tuple[str, ...]:
    """The accounts named by code, one a line; none means all. Raises Invalid for a code that is none."""
    codes = [line.strip() for line in text.splitlines() if line.strip()]
    if len(codes) > _ACCOUNTS_MAX:
        raise Invalid(field="accounts", limit=_ACCOUNTS_MAX, reason="not_a_list")
    found = []
    for code in codes:
        account = directory.find_account_by_code(session, code) if names.is_safe(code) else None
        if account is None:
            raise Invalid(field="accounts", value=names.shown(code), reason="no_such_account")
        found.append(account.id)
    return tuple(found)


def _is_one(form: ShadowForm) -> bool:
    """Whether the form names one thing to try."""
    has_text = bool((form.text.data or "").strip())
    if bool(form.book.data) == has_text:
        sentence = (
            "Choose a loaded version or paste a text, not both."
            if has_text
            else "Choose a version or paste a price book."
        )
        form.text.errors = [sentence]
        return False
    return True


def _attached(form: ShadowForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at its field, else above the form."""
    name = str(refusal.fields.get("field"))
    name = {"to": "to_on", "from": "from_on"}.get(name, name)
    if "price" in refusal.fields or "product" in refusal.fields or name not in form:
        name = "text" if not form.book.data and name not in ("accounts", "total_percent", "account_percent") else "book"
    form[name].errors = [sentences.of(refusal)]
    return []


def _prefill(form: ShadowForm) -> None:
    """The last whole month, the usual limits, and the version that the address names."""
    first = services.now().date().replace(day=1)
    form.to_on.data = first - timedelta(days=1)
    form.from_on.data = form.to_on.data.replace(day=1)
    form.total_percent.data = shadow.DEFAULT_LIMITS.total_percent
    form.account_percent.data = shadow.DEFAULT_LIMITS.account_percent
    form.rows.data = shadow.DEFAULT_ROWS
    named = request.args.get("book", "")
    if named in [choice[0] for choice in form.book.choices or []]:
        form.book.data = named


def _on(day: date | None, field: str) -> date:
    if day is None or not 1970 <= day.year <= 2200:
        raise Invalid(field=field, value=str(day), reason="not_an_instant")
    return day


def _may_run() -> bool:
    return "prices.change" in access.current_principal().staff_permissions
