"""What banks ask back in the demo: a dispute that was answered and won, one that waits for its evidence, and an early warning."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from billing.demo.settling import Cloud
from billing.kernel.periods import Period
from billing.payments import apply, sessions, webhooks
from billing.payments.disputes import acts, evidence, listing
from billing.payments.disputes.listing import Filters
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.memory import SignedEvent

_DISPUTED = "pebble"  # pays by card on the second of each month
_MAKER = "mia@plumbline.example"
_OPENED_AFTER, _ANSWERED_AFTER, _DECIDED_AFTER = timedelta(days=6), timedelta(days=8), timedelta(days=21)
_OPEN_SINCE, _WARNED_SINCE = timedelta(days=6, hours=9), timedelta(days=1, hours=3)
_PART = 6_000  # of the second one, cents


def acts_of_month(
    cloud: Cloud, month: Period, *, number: int, is_present: bool
) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act) of a month's disputes; `number` is the month's place."""
    if number == 0:
        opened_at = month.start_at + _OPENED_AFTER
        yield opened_at, partial(_open, cloud, opened_at, None)
        yield month.start_at + _ANSWERED_AFTER, partial(_answer, cloud, month.start_at + _ANSWERED_AFTER)
        yield month.start_at + _DECIDED_AFTER, partial(_win, cloud, month.start_at + _DECIDED_AFTER)
    if is_present:
        yield cloud.now - _OPEN_SINCE, partial(_open, cloud, cloud.now - _OPEN_SINCE, _PART)
        yield cloud.now - _WARNED_SINCE, partial(_warn, cloud, cloud.now - _WARNED_SINCE)
        yield cloud.now, partial(_run, cloud)


def _open(cloud: Cloud, at: datetime, amount: int | None) -> None:
    """The bank disputes the newest payment that it has not disputed yet; a second time, one that it has is left as it is."""
    count = 1 if amount is None else 2
    if len(_disputes(cloud)) >= count:
        return
    paid = _newest_payment(cloud, at)
    _tell(cloud, _sandbox(cloud).open_dispute(paid, now=at, amount=amount), at)


def _answer(cloud: Cloud, at: datetime) -> None:
    [dispute_id] = _disputes(cloud)[-1:]
    acts.prepare(cloud.database, now=at, dispute_id=dispute_id, actor=cloud.people[_MAKER])
    with cloud.database.reading("jobs") as session:
        draft = evidence.get_draft(session, dispute_id)
    acts.answer(
        cloud.database,
        cloud.providers,
        now=at,
        dispute_id=dispute_id,
        kind="evidence",
        expected_sha256=draft.sha256,
        form_key="demo-dispute",
        actor=cloud.people[_MAKER],
        role="jobs",
    )


def _win(cloud: Cloud, at: datetime) -> None:
    with cloud.database.reading("jobs") as session:
        row = listing.get_dispute(session, key=_disputes(cloud)[-1])
    if row.is_open:
        _tell(cloud, _sandbox(cloud).decide(row.provider_dispute_id, "won", now=at), at)


def _run(cloud: Cloud) -> None:
    acts.run(cloud.database, cloud.providers, now=cloud.now)


def _warn(cloud: Cloud, at: datetime) -> None:
    _tell(cloud, _sandbox(cloud).warn(_newest_payment(cloud, at), now=at), at)


def _disputes(cloud: Cloud) -> list[str]:
    """Our ids, newest first."""
    with cloud.database.reading("jobs") as session:
        rows = listing.list_disputes(session, Filters(account_id=cloud.account_ids[_DISPUTED]))
    return [row.id for row in rows]


def _newest_payment(cloud: Cloud, at: datetime) -> str:
    with cloud.database.reading("jobs") as session:
        paid = sessions.list_payments(session, account_id=cloud.account_ids[_DISPUTED])
    before = [payment for payment in paid if payment.received_at <= at]
    return max(before, key=lambda payment: payment.received_at).provider_payment_id


def _tell(cloud: Cloud, events: list[SignedEvent], at: datetime) -> None:
    for event in events:
        with cloud.database.transaction("jobs") as session:
            stored = webhooks.receive(
                session, now=at, provider=_sandbox(cloud), raw_body=event.body, headers=event.headers
            )
        apply.apply_event(cloud.database, cloud.providers, stored.id, now=at)


def _sandbox(cloud: Cloud) -> SandboxProvider:
    sandbox = cloud.providers["sandbox"]
    if not isinstance(sandbox, SandboxProvider):
        raise TypeError("the demo pays through the sandbox provider")
    return sandbox
