"""The steps of the timetable, each a few lines that call one room. Two stages that belong together still have two names:
rating gives usage its price, posting brings it into the ledger.
"""

from datetime import timedelta

from sqlalchemy import delete
from sqlalchemy.orm import Session

from billing.accounts import approval_list, sessions, vat_consultations
from billing.accounts.tables import SignInAttempt
from billing.assurance import selfcheck
from billing.controls import budgets as budget_room
from billing.controls import second_person
from billing.controls.dunning import calendars
from billing.controls.dunning import due as dunning
from billing.invoicing import batches, contracts, drafts, exchange_results, reminders, waiting
from billing.invoicing.documents import render
from billing.invoicing.taxes import calculations
from billing.invoicing.taxes.port import TaxCalculator
from billing.jobs import sealing, works
from billing.jobs.context import JobContext, each_account
from billing.kernel.errors import Refusal
from billing.ledger import balances, promos
from billing.metering import accrual, inbox, reserved_hours
from billing.notices import relay, sending
from billing.payments import acts, apply, receipt_files, receipt_issue
from billing.payments.cash import sync as cash_sync
from billing.payments.customers import saving
from billing.payments.disputes import acts as dispute_acts
from billing.payments.recovery import listing, unknown
from billing.rating import days as day_sums
from billing.rating import plan_periods, postings, rater, up_to_date
from billing.storage import audit_chain, limits
from billing.storage.tables import JobRun

_BATCH = 10_000
_KEEP_RUNS = timedelta(days=30)
_KEEP_IDLE_RUNS = timedelta(days=1)


def accrue(context: JobContext) -> int:
    """Extend every open live allocation to now. Counts usage records."""
    with context.database.reading("jobs") as session:
        account_ids = accrual.accounts_with_open_allocations(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: accrual.accrue(session, now=context.now, account_id=account_id),
    )


def consume(context: JobContext) -> int:
    """Turn events that wait in the inbox into usage, one transaction a batch. Counts events, refused ones among them."""
    done = 0
    while True:
        with context.database.transaction("jobs") as session:
            taken = inbox.consume(session, now=context.now)
        done += taken
        if taken < inbox.BATCH:
            return done


def reservations(context: JobContext) -> int:
    """Match hours that have ended with reservations: what nobody used is booked. Counts usage records."""
    with context.database.reading("jobs") as session:
        account_ids = reserved_hours.accounts_to_match(session, now=context.now)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: reserved_hours.match_account(session, now=context.now, account_id=account_id),
    )


def rate(context: JobContext) -> int:
    """Rate all usage that waits, in batches of one transaction each. Counts rated lines."""
    with context.database.reading("jobs") as session:
        account_ids = rater.accounts_with_unrated(session)
    total = 0
    while account_ids:
        done: dict[str, int] = {}

        def act(session: Session, account_id: str, done: dict[str, int] = done) -> int:
            done[account_id] = rater.rate_account(session, now=context.now, account_id=account_id, limit=_BATCH)
            return done[account_id]

        total += each_account(context, account_ids, act)
        account_ids = [account_id for account_id, count in done.items() if count >= _BATCH]
    return total


def post(context: JobContext) -> int:
    """Bring every account's charges up to date in the ledger. Counts postings."""
    with context.database.reading("jobs") as session:
        account_ids = postings.accounts_to_post(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: postings.post_account(session, now=context.now, account_id=account_id),
    )


def days(context: JobContext) -> int:
    """Sum rated lines by day, in batches of one transaction each. Counts lines."""
    with context.database.reading("jobs") as session:
        account_ids = day_sums.accounts_behind(session)
    total = 0
    while account_ids:
        done: dict[str, int] = {}

        def act(session: Session, account_id: str, done: dict[str, int] = done) -> int:
            done[account_id] = day_sums.roll(session, account_id)
            return done[account_id]

        total += each_account(context, account_ids, act)
        account_ids = [account_id for account_id, count in done.items() if count >= day_sums.BATCH]
    return total


def payments(context: JobContext) -> int:
    """Apply stored provider events, send what was approved, look up what is unknown. Counts what moved."""
    return (
        apply.apply_pending(context.database, context.providers, now=context.now)
        + acts.send_approved_refunds(context.database, context.providers, now=context.now)
        + unknown.look_up_unknown(context.database, context.providers, now=context.now)
        + saving.look_up_unknown(context.database, context.providers, now=context.now)
    )


def provider_balance(context: JobContext) -> int:
    """Read what moved at the providers and explain it. Counts movements that are new and those that became explained."""
    return cash_sync.sync(context.database, context.providers, now=context.now)


def payment_list(context: JobContext) -> int:
    """Read the providers' lists of payments. Counts what was credited or newly found."""
    return listing.read_payments(context.database, context.providers, now=context.now)


def charges(context: JobContext) -> int:
    """Charge the saved methods of who agreed to it: invoices by their calendar, wallets that are low. Counts charges."""
    return dunning.run(context.database, context.providers, now=context.now)


def disputes(context: JobContext) -> int:
    """Watch deadlines, prepare evidence, look up answers and disputes nobody spoke of. Counts what moved."""
    return dispute_acts.run(context.database, context.providers, now=context.now)


def dispute_list(context: JobContext) -> int:
    """Take over disputes that no event told of. Counts them."""
    return dispute_acts.find_untold(context.database, context.providers, now=context.now)


def budgets(context: JobContext) -> int:
    """Record thresholds that were crossed. Counts crossings seen for the first time."""
    with context.database.reading("jobs") as session:
        account_ids = budget_room.accounts_with_budgets(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: budget_room.evaluate(session, now=context.now, account_id=account_id),
    )


def terms(context: JobContext) -> int:
    """Record the fees of periods that have begun and the closing charges of those that have ended. Counts both."""
    with context.database.reading("jobs") as session:
        account_ids = plan_periods.accounts_with_terms(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: up_to_date.bring(session, now=context.now, account_id=account_id),
    )


def commitments(context: JobContext) -> int:
    """End what is left of commitments whose time is over and billed. Counts commitments."""
    with context.database.reading("jobs") as session:
        account_ids = contracts.accounts_to_lapse(session, now=context.now)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: contracts.lapse(session, now=context.now, account_id=account_id),
    )


def taxes(context: JobContext) -> int:
    """Have the provider of their seller work out the taxes of open drafts, each outside of any transaction. Counts answers."""
    with context.database.reading("jobs") as session:
        waiting = calculations.due(session, now=context.now)
    calculator: object = context.providers.get("stripe")
    if not waiting or not isinstance(calculator, TaxCalculator):
        return 0
    return sum(
        calculations.refresh(context.database, calculator, now=context.now, invoice_id=invoice_id)
        for invoice_id in waiting
    )


def vat_ids(context: JobContext) -> int:
    """Ask the register about VAT ids whose evidence is missing or grows old, each outside of any transaction. Counts answers."""
    if context.vat_register is None:
        return 0
    with context.database.reading("jobs") as session:
        account_ids = vat_consultations.due(session, now=context.now)
    for account_id in account_ids:
        vat_consultations.consult(
            context.database, context.vat_register, now=context.now, account_id=account_id, actor="job:vat-ids"
        )
    return len(account_ids)


def invoices(context: JobContext) -> int:
    """Draft each ended month that has charges and no draft yet, once late usage has had its time. Counts drafts.

    Late charges of an account that uses nothing any more get a month of their own.
    """
    with context.database.reading("jobs") as session:
        found = waiting.list_waiting(session, now=context.now)
        left = waiting.late_without_month(session)
    each_account(
        context, left, lambda session, account_id: waiting.open_month(session, now=context.now, account_id=account_id)
    )
    labels: dict[str, list[str]] = {}
    for account_id, label in found:
        labels.setdefault(account_id, []).append(label)
    return each_account(
        context,
        labels,
        lambda session, account_id: sum(
            generate_draft(session, context, account_id, label) for label in labels[account_id]
        ),
    )


def generate_draft(session: Session, context: JobContext, account_id: str, label: str) -> int:
    """Bring the account up to date, with its opening and closing charges, then draft its month; all in one transaction. 1 if drafted."""
    up_to_date.bring(session, now=context.now, account_id=account_id)
    return int(drafts.generate(session, now=context.now, period_label=label, account_id=account_id) is not None)


def invoice_batches(context: JobContext) -> int:
    """Approve or issue what operators decided for many at once, one transaction per document. Counts documents that moved."""
    with context.database.reading("jobs") as session:
        waiting = batches.list_waiting(session)
    done = 0
    for batch_id, invoice_id in waiting:
        try:
            with context.database.transaction("jobs") as session:
                done += batches.do_item(session, now=context.now, batch_id=batch_id, invoice_id=invoice_id)
        except Refusal as refusal:
            with context.database.transaction("jobs") as session:
                batches.refuse_item(session, now=context.now, batch_id=batch_id, invoice_id=invoice_id, refusal=refusal)
    return done


def approvals(context: JobContext) -> int:
    """End requests for a second person whose time is over, each in its own transaction. Counts requests."""
    with context.database.reading("jobs") as session:
        waiting = approval_list.due(session, now=context.now)
    done = 0
    for approval_id in waiting:
        with context.database.transaction("jobs") as session:
            done += second_person.expire(session, now=context.now, approval_id=approval_id)
    return done


def documents(context: JobContext) -> int:
    """Render issued invoices that have no document yet. Counts documents."""
    verify_url = f"{context.mail.base_url}/documents/verify" if context.mail is not None else None
    return render.render_pending(context.database, now=context.now, verify_url=verify_url)


def book_exchange_results(context: JobContext) -> int:
    """Book gains and losses of invoices paid in another currency, as far as rates are there. Counts what was booked."""
    with context.database.reading("jobs") as session:
        account_ids = exchange_results.accounts_waiting(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: exchange_results.book_waiting(session, now=context.now, account_id=account_id),
    )


def receipts(context: JobContext) -> int:
    """Issue a receipt for each payment that has none, and render those that have no document. Counts both."""
    with context.database.reading("jobs") as session:
        account_ids = receipt_issue.accounts_waiting(session)
    issued = each_account(
        context,
        account_ids,
        lambda session, account_id: receipt_issue.issue_waiting(session, now=context.now, account_id=account_id),
    )
    return issued + receipt_files.render_pending(context.database, now=context.now, verify_url=context.verify_url)


def outbox(context: JobContext) -> int:
    """Show notices that are due and make their deliveries. Counts notices."""
    return relay.deliver_due(context.database, now=context.now, by_mail=context.mail is not None)


def mail(context: JobContext) -> int:
    """Send e-mails that are due. Counts those that were taken."""
    return sending.send_due(context.database, context.mail, now=context.now) if context.mail is not None else 0


def remind(context: JobContext) -> int:
    """Remind of invoices that are due soon or overdue, one transaction each. Counts reminders."""
    with context.database.reading("jobs") as session:
        waiting = reminders.list_due(session, now=context.now, days_of=calendars.reminder_days)
    done = 0
    for due in waiting:
        with context.database.transaction("jobs") as session:
            done += reminders.send(session, now=context.now, due=due)
    return done


def seal_audit(context: JobContext) -> int:
    """Give committed audit rows their place in the chain; once an hour also those committed long after they were made."""
    is_sweep = context.now.minute == 0
    done = 0
    while True:
        with context.database.transaction("jobs") as session:
            sealed = audit_chain.seal(session, now=context.now, is_sweep=is_sweep)
        done += sealed
        if sealed < audit_chain.BATCH:
            return done


def checkpoints(context: JobContext) -> int:
    """Write balance checkpoints where the tail has grown long. Counts checkpoints."""
    with context.database.reading("jobs") as session:
        account_ids = balances.accounts_to_checkpoint(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: balances.write_checkpoints(session, now=context.now, account_id=account_id),
    )


def roll_up(context: JobContext) -> int:
    """Bring every chain's checkpoints to its end, so that a balance of the house is read without tails. Counts checkpoints."""
    with context.database.reading("jobs") as session:
        account_ids = balances.accounts_to_roll_up(session)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: balances.write_checkpoints(session, now=context.now, account_id=account_id),
    )


def expire_gifts(context: JobContext) -> int:
    """End what is left of gifts whose time is over. Counts grants."""
    with context.database.reading("jobs") as session:
        account_ids = promos.accounts_with_expired(session, now=context.now)
    return each_account(
        context,
        account_ids,
        lambda session, account_id: promos.expire(session, now=context.now, account_id=account_id),
    )


def roots(context: JobContext) -> int:
    """Sign a root over all chains where one moved, and write the files of new roots. Counts roots signed."""
    if context.keeping is None:
        return 0
    return int(sealing.sign_root(context.database, context.keeping(), now=context.now, actor="job:roots") is not None)


def self_check(context: JobContext) -> int:
    """Prove the books against themselves. Counts rows looked at; a difference makes the run fail, so that it is seen."""
    with context.database.reading("jobs") as session:
        report = selfcheck.run(session, now=context.now)
    if report.differences:
        raise SelfCheckFailed("; ".join(difference.sentence for difference in report.differences[:5]))
    return report.checked


def do_works(context: JobContext) -> int:
    """Do what people asked for that takes long. Counts works."""
    return works.do_waiting(context)


class SelfCheckFailed(Exception):
    """The books contradict themselves: the text names the first differences."""


def housekeeping(context: JobContext) -> int:
    """Delete run records, attempts, ended sign-ins and counts of past limits that nobody needs any more. Counts rows."""
    with context.database.transaction("jobs") as session:
        runs = session.execute(delete(JobRun).where(JobRun.started_at < context.now - _KEEP_RUNS))
        idle = session.execute(
            delete(JobRun).where(
                JobRun.started_at < context.now - _KEEP_IDLE_RUNS, JobRun.result == "succeeded", JobRun.done_count == 0
            )
        )
        counts = limits.forget_old(session, now=context.now)
        attempts = session.execute(delete(SignInAttempt).where(SignInAttempt.failed_at < context.now - _KEEP_IDLE_RUNS))
        swept = sessions.sweep(session, now=context.now)
    return counts + swept + sum(int(getattr(result, "rowcount", 0)) for result in (runs, idle, attempts))
