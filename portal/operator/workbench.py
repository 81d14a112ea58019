"""The workbench: what waits for a person, what waits for a job, and one click to each case."""

from dataclasses import dataclass
from datetime import datetime

from flask import abort, render_template, url_for
from werkzeug.wrappers import Response

from billing.jobs import backlog, history, leadership, queues
from billing.jobs.queues import Queue
from billing.storage.database import Session
from portal import access, htmx, services


@dataclass(frozen=True, kw_only=True)
class Place:
    """One queue on the page: its words, where it leads, how much waits and how old the oldest is."""

    title: str
    hint: str
    url: str
    count: int
    oldest_at: datetime | None
    age_s: int | None


# Queue -> (title, what a person does there).
QUEUES = {
    "approvals": ("To approve", "Refunds and corrections that a second person approves or rejects"),
    "drafts": ("Drafts to review", "Ended months, ready to be checked"),
    "approved": ("Approved, not issued", "Issuing gives a number and posts to the ledger"),
    "intents": ("Payments nobody knows the end of", "The provider did not answer; it is asked again by itself"),
    "webhooks": ("Provider events that failed", "Stored, not applied: to be tried again, or closed with a reason"),
    "disputes": ("Disputes due", "Banks wait for evidence until a day; after it the money is lost"),
    "unmatched": ("Payments to be matched", "Paid at a provider, not credited here"),
    "unrated": ("Usage without a price", "Kept and counted until a price exists"),
    "differences": ("Differences in the books", "Stages that do not agree, each with its row, age and owner"),
    "jobs": ("Jobs whose last run failed", "What they did not do waits"),
    "notices": ("Messages not delivered", "Refused, or tried until it was given up"),
}
# Stage -> (what waits there, the job that moves it).
STAGES = {
    "consume": ("Usage events to be taken in", "consume"),
    "rate": ("Usage to be rated", "rate"),
    "price": ("Usage without a price", None),
    "post": ("Rated lines to be posted", "post"),
    "review": ("Drafts to be reviewed", None),
    "documents": ("Invoices to be rendered", "documents"),
    "webhooks": ("Provider events to be applied", "payments"),
    "refunds": ("Refunds that have not ended", "payments"),
    "outbox": ("Notices to be delivered", "outbox"),
    "mail": ("E-mails to be sent", "mail"),
}


@access.requires_staff("finance.read")
def workbench() -> Response:
    """Queues with count and age; nothing is hidden when it is empty, so that one sees that it is."""
    now = services.now()
    with services.database().reading() as session:
        waiting = [_place(session, queue, now) for queue in queues.measure(session)]
        stages = [
            (words, job, stage.waiting, stage.oldest_at, _age_s(stage.oldest_at, now))
            for stage in backlog.measure(session)
            for words, job in [STAGES[stage.stage]]
        ]
        leader = leadership.find_leader(session, now=now)
        checked = next(job for job in history.list_jobs(session) if job.name == "self-check")
    oldest = min((place.oldest_at for place in waiting if place.oldest_at), default=None)
    return htmx.render(
        "operator/workbench/index.html",
        "operator/workbench/_queues.html",
        waiting=waiting,
        total=sum(place.count for place in waiting),
        oldest_age_s=_age_s(oldest, now),
        stages=stages,
        leader=leader,
        self_check=checked.last,
        now=now,
    )


@access.requires_staff("finance.read")
def workbench_queue(name: str) -> Response | str:
    """The cases of one queue."""
    if name not in QUEUES:
        abort(404)
    now = services.now()
    with services.database().reading() as session:
        url = _url(session, name)
        own = url_for("operator.workbench_queue", name=name)
        if url != own:
            return htmx.redirect(url)
        cases = queues.list_cases(session, name)
    title, hint = QUEUES[name]
    return render_template(
        "operator/workbench/queue.html", name=name, title=title, hint=hint, cases=cases, now=now, age_s=_age_s
    )


def _place(session: Session, queue: Queue, now: datetime) -> Place:
    title, hint = QUEUES[queue.name]
    return Place(
        title=title,
        hint=hint,
        url=_url(session, queue.name),
        count=queue.count,
        oldest_at=queue.oldest_at,
        age_s=_age_s(queue.oldest_at, now),
    )


def _url(session: Session, name: str) -> str:
    """Where the cases of a queue are decided: a page that exists for them, else the queue's own list."""
    if name == "approvals":
        return url_for("operator.approvals")
    if name in ("drafts", "approved"):
        periods = queues.draft_periods(session, "draft" if name == "drafts" else "approved")
        if len(periods) == 1:
            return url_for("operator.invoice_runs_period", period=periods[0])
        return url_for("operator.invoice_runs")
    if name == "webhooks":
        return url_for("operator.webhook_inbox", state="failed")
    if name == "disputes":
        return url_for("operator.disputes")
    if name == "unmatched":
        return url_for("operator.unmatched_payments")
    if name == "differences":
        return url_for("operator.reconciliation")
    return url_for("operator.workbench_queue", name=name)


def _age_s(at: datetime | None, now: datetime) -> int | None:
    return None if at is None else max(0, int((now - at).total_seconds()))
