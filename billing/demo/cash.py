"""The provider's side of the demo's money: a payout every Friday, one of which the bank sends back, all read and explained."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from billing.demo.settling import Cloud
from billing.kernel.errors import Conflict
from billing.kernel.periods import Period
from billing.payments import apply, webhooks
from billing.payments.cash import sync
from billing.payments.providers.sandbox.adapter import SandboxProvider
from billing.payments.providers.sandbox.memory import SignedEvent

_FRIDAY = 4
_PAID_OUT_AT = timedelta(hours=6)
_FAILED_AFTER = timedelta(days=3)
_LAST_BEFORE = timedelta(days=8)  # so that something is in the balance to look at
_FAILED_IN_MONTH = 1  # the second one: its first payout comes back, the next takes the money along


def acts_of_month(
    cloud: Cloud, month: Period, *, number: int, is_present: bool
) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act) of a month's payouts; at the present instant everything that moved is read and explained."""
    fridays = [
        month.start_at + timedelta(days=day)
        for day in range(31)
        if (month.start_at + timedelta(days=day)).weekday() == _FRIDAY
    ]
    for place, day_at in enumerate(day_at for day_at in fridays if day_at < month.end_at):
        at = day_at + _PAID_OUT_AT
        if at <= cloud.now - _LAST_BEFORE:
            yield at, partial(_pay_out, cloud, at)
        if number == _FAILED_IN_MONTH and place == 0:
            yield at + _FAILED_AFTER, partial(_fail_last, cloud, at + _FAILED_AFTER)
    if is_present:
        yield cloud.now, partial(_read, cloud, cloud.now)


def _pay_out(cloud: Cloud, at: datetime) -> None:
    """What is available goes to the bank; nothing is, nothing goes. A payout that was made before is not made again."""
    sandbox = _sandbox(cloud)
    if any(payout.created_at >= at.replace(microsecond=0) for payout in sandbox.list_payouts()):
        return
    try:
        _tell(cloud, sandbox.pay_out("USD", now=at), at)
    except Conflict:
        return
    _read(cloud, at)


def _fail_last(cloud: Cloud, at: datetime) -> None:
    sandbox = _sandbox(cloud)
    sent = [payout for payout in sandbox.list_payouts() if payout.created_at <= at]
    newest = max(sent, key=lambda payout: payout.created_at, default=None)
    if newest is not None and newest.state != "failed":
        _tell(cloud, sandbox.fail_payout(newest.id, now=at), at)


def _read(cloud: Cloud, at: datetime) -> None:
    sync.sync(cloud.database, cloud.providers, now=at)


def _tell(cloud: Cloud, event: SignedEvent, at: datetime) -> None:
    with cloud.database.transaction("jobs") as session:
        stored = webhooks.receive(session, now=at, provider=_sandbox(cloud), raw_body=event.body, headers=event.headers)
    apply.apply_event(cloud.database, cloud.providers, stored.id, now=at)


def _sandbox(cloud: Cloud) -> SandboxProvider:
    sandbox = cloud.providers["sandbox"]
    if not isinstance(sandbox, SandboxProvider):
        raise TypeError("the demo pays through the sandbox provider")
    return sandbox
