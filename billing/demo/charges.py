"""Automatic payments of the demo's tenants: one lets its card pay invoices, one tops up by itself, one has a card without money."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial

from billing.demo.settling import Cloud
from billing.demo.tenants import TENANTS
from billing.invoicing import availability
from billing.kernel.money import Money
from billing.payments.charges import acts, agreements
from billing.payments.charges.agreements import TopUp

PAYS = "northwind"
# tenant -> what one top-up brings and the month's cap, in minor units.
TOP_UPS = {"heliograph": (100_000, 300_000), "pebble": (10_000, 50_000)}
_STEP = 50_000
_OWNERS = {tenant.code: tenant.owner for tenant in TENANTS}


def acts_of_month(cloud: Cloud, *, is_present: bool) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """(instant, act): what is agreed to and charged just before the present."""
    if is_present:
        agreed_at, charged_at = cloud.now - timedelta(minutes=50), cloud.now - timedelta(minutes=45)
        yield agreed_at, partial(_agree_to_all, cloud, agreed_at)
        yield charged_at, partial(_charge, cloud, charged_at)


def _agree_to_all(cloud: Cloud, at: datetime) -> None:
    _agree(cloud, PAYS, at, None)
    for code, (amount_minor, cap_minor) in TOP_UPS.items():
        with cloud.database.reading("jobs") as session:
            [held] = availability.of_account(session, now=at, account_id=cloud.account_ids[code], currency="USD")
        # A round figure just above what is there, so that there is one top-up to look at, whatever the day of the month.
        threshold = max(1, held.available_minor // _STEP + 1) * _STEP
        figures = [Money(minor=minor, currency="USD") for minor in (threshold, amount_minor, cap_minor)]
        _agree(cloud, code, at, TopUp(threshold=figures[0], amount=figures[1], cap=figures[2]))


def _agree(cloud: Cloud, code: str, at: datetime, top_up: TopUp | None) -> None:
    with cloud.database.transaction("jobs") as session:
        if agreements.get(session, cloud.account_ids[code]).version:
            return
        agreements.change(
            session,
            now=at,
            account_id=cloud.account_ids[code],
            is_paying=top_up is None,
            is_topping_up=top_up is not None,
            top_up=top_up,
            version=0,
            providers=["sandbox"],
            actor=cloud.people[_OWNERS[code]],
        )


def _charge(cloud: Cloud, at: datetime) -> None:
    sandbox = {"sandbox": cloud.providers["sandbox"]}
    for code in TOP_UPS:
        acts.top_up(cloud.database, sandbox, now=at, account_id=cloud.account_ids[code])
