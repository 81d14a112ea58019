"""Every step, how often it runs, and in which stage: the whole of what happens without anyone asking."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from billing.jobs import reconcile_works, steps
from billing.jobs.context import JobContext
from billing.kernel.errors import Invalid


@dataclass(frozen=True, kw_only=True)
class Job:
    """One line of the timetable. `run` returns how many things it did; it can be killed anywhere and run again.

    Long ones have a thread of their own, so that money does not wait for a proof.
    """

    name: str
    words: str
    every: timedelta
    run: Callable[[JobContext], int]
    is_long: bool = False


TIMETABLE: tuple[Job, ...] = (
    Job(name="accrue", words="Extend running allocations to now", every=timedelta(minutes=15), run=steps.accrue),
    Job(name="consume", words="Turn usage events that wait into usage", every=timedelta(seconds=5), run=steps.consume),
    Job(
        name="reservations",
        words="Match ended hours with reservations",
        every=timedelta(minutes=5),
        run=steps.reservations,
    ),
    Job(name="rate", words="Give usage its price", every=timedelta(seconds=20), run=steps.rate),
    Job(name="post", words="Bring rated usage into the ledger", every=timedelta(seconds=20), run=steps.post),
    Job(name="days", words="Sum what each day cost", every=timedelta(minutes=1), run=steps.days),
    Job(
        name="payments",
        words="Apply provider events, look up unknown outcomes",
        every=timedelta(seconds=5),
        run=steps.payments,
    ),
    Job(
        name="payment-list",
        words="Read the providers' own lists: paid there, not credited here",
        every=timedelta(minutes=10),
        run=steps.payment_list,
        is_long=True,
    ),
    Job(
        name="provider-balance",
        words="Read what moved at the provider, book fees and payouts",
        every=timedelta(minutes=5),
        run=steps.provider_balance,
    ),
    Job(
        name="charges",
        words="Charge saved methods for invoices that are due and wallets that are low",
        every=timedelta(minutes=1),
        run=steps.charges,
    ),
    Job(
        name="disputes",
        words="Watch deadlines of disputes, prepare evidence, look up answers",
        every=timedelta(minutes=1),
        run=steps.disputes,
    ),
    Job(
        name="dispute-list",
        words="Find disputes that no event told of",
        every=timedelta(hours=1),
        run=steps.dispute_list,
    ),
    Job(name="budgets", words="Compare spending with budgets", every=timedelta(minutes=1), run=steps.budgets),
    Job(name="terms", words="Record plans' fees and closing charges", every=timedelta(hours=1), run=steps.terms),
    Job(
        name="commitments", words="End commitments whose time is over", every=timedelta(hours=1), run=steps.commitments
    ),
    Job(
        name="taxes",
        words="Have a provider work out the taxes of drafts",
        every=timedelta(minutes=1),
        run=steps.taxes,
    ),
    Job(
        name="vat-ids",
        words="Ask about VAT ids whose evidence grows old",
        every=timedelta(hours=1),
        run=steps.vat_ids,
    ),
    Job(name="invoices", words="Draft invoices of ended months", every=timedelta(minutes=15), run=steps.invoices),
    Job(
        name="invoice-batches",
        words="Approve or issue what was decided for many at once",
        every=timedelta(seconds=5),
        run=steps.invoice_batches,
    ),
    Job(
        name="approvals",
        words="Let requests that nobody decided in time expire",
        every=timedelta(minutes=5),
        run=steps.approvals,
    ),
    Job(name="documents", words="Render issued invoices", every=timedelta(seconds=10), run=steps.documents),
    Job(name="receipts", words="Issue and render receipts", every=timedelta(seconds=20), run=steps.receipts),
    Job(
        name="exchange-results",
        words="Book what exchange rates made of payments in other currencies",
        every=timedelta(minutes=10),
        run=steps.book_exchange_results,
    ),
    Job(
        name="reminders",
        words="Remind of invoices that are due soon or overdue",
        every=timedelta(hours=1),
        run=steps.remind,
    ),
    Job(name="outbox", words="Show notices and address their e-mails", every=timedelta(seconds=5), run=steps.outbox),
    Job(name="mail", words="Send e-mails", every=timedelta(seconds=5), run=steps.mail),
    Job(
        name="works",
        words="Do the long works that people ask for",
        every=timedelta(seconds=5),
        run=steps.do_works,
        is_long=True,
    ),
    Job(name="seal-audit", words="Chain the audit log", every=timedelta(seconds=20), run=steps.seal_audit),
    Job(name="checkpoints", words="Shorten the way to each balance", every=timedelta(hours=1), run=steps.checkpoints),
    Job(name="roll-up", words="Roll up the balances of the house", every=timedelta(days=1), run=steps.roll_up),
    Job(name="gifts", words="End gifts whose time is over", every=timedelta(hours=1), run=steps.expire_gifts),
    Job(
        name="roots",
        words="Sign a root over all chains, and write it outside the database",
        every=timedelta(hours=1),
        run=steps.roots,
    ),
    Job(
        name="self-check",
        words="Prove the books against themselves",
        every=timedelta(hours=6),
        run=steps.self_check,
        is_long=True,
    ),
    Job(
        name="reconcile",
        words="Compare usage, rated lines, ledger and documents",
        every=timedelta(days=1),
        run=reconcile_works.do_daily,
        is_long=True,
    ),
    Job(
        name="housekeeping",
        words="Drop old run records and sign-in attempts",
        every=timedelta(hours=6),
        run=steps.housekeeping,
    ),
)


def get_job(name: str) -> Job:
    """The job of that name. Raises Invalid(field="job") naming those there are."""
    for job in TIMETABLE:
        if job.name == name:
            return job
    raise Invalid(field="job", value=name, known=", ".join(job.name for job in TIMETABLE), reason="unknown_job")
