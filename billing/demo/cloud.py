"""Builds the demo cloud through the same services that real data uses, month after month, as if it had been lived.

Nothing is written by hand: usage is metered, rated and posted, invoices are drafted, approved and issued, money comes through the
sandbox provider's signed webhooks. Loading it again changes nothing.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import partial

from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, users
from billing.catalog import bootstrap, onboarding
from billing.controls import budgets
from billing.demo import cash, charges, disputes, rates, recovery, refunds, settling
from billing.demo.settling import Cloud
from billing.demo.tenants import PASSWORD, PEOPLE, TENANTS, Tenant
from billing.demo.timeline import Run, half_shape_of, months_until, runs, shape_of, stored_gib_on
from billing.kernel import periods
from billing.kernel.money import Money
from billing.kernel.periods import Period
from billing.metering import accrual, allocations, ingest
from billing.metering.sources.port import EventFacts
from billing.payments.providers.port import Provider
from billing.rating import up_to_date
from billing.reference import ecb, fx_rates
from billing.storage.database import Database
from billing.storage.tables import Setting

_MONTHS = 3
_LOADED = "demo_loaded_at"
_GIB_S = 2**30
_PUBLISHED_AT = time(15)  # of a day, in UTC: about when the ECB publishes


@dataclass(frozen=True, kw_only=True)
class SignIn:
    """One of the printed sign-ins."""

    login: str
    password: str
    who: str


def load(
    database: Database,
    providers: Mapping[str, Provider],
    *,
    now: datetime,
    progress: Callable[[str], None] = lambda words: None,
) -> bool:
    """Load the demo cloud up to `now`; False when it is there already. An interrupted load goes on where it stopped."""
    with database.reading("jobs") as session:
        if session.get(Setting, _LOADED) is not None:
            return False
    months = months_until(now, _MONTHS)
    account_ids = _open_accounts(database, months[0])
    people = _people(database, months[0].start_at)
    _rates(database, months[0].start_at)
    cloud = Cloud(database=database, providers=providers, account_ids=account_ids, people=people, now=now)
    for number, month in enumerate(months):
        progress(f"living through {periods.label_of(month.start_at, 'month', 'UTC')}")
        before = months[number - 1] if number else None
        is_present = number == len(months) - 1
        planned = [
            *settling.acts_of_month(cloud, month, before, number=number, is_present=is_present),
            *refunds.acts_of_month(cloud, is_present=is_present),
            *charges.acts_of_month(cloud, is_present=is_present),
            *_rates_of_month(database, month, now),
            *cash.acts_of_month(cloud, month, number=number, is_present=is_present),
            *disputes.acts_of_month(cloud, month, number=number, is_present=is_present),
            *recovery.acts_of_month(cloud, is_present=is_present),
        ]
        for at, act in sorted(planned, key=lambda pair: pair[0]):
            if at <= now:
                act()
        for tenant in TENANTS:
            _use(database, tenant, account_ids[tenant.code], month, number, months, now)
    with database.transaction("jobs") as session:
        _budgets(session, account_ids, people, months[0].start_at)
    with database.transaction("jobs") as session:
        session.add(Setting(name=_LOADED, value=now.isoformat(), updated_at=now))
    return True


def _rates(database: Database, first_at: datetime) -> None:
    """Rates from before the demo, and the Irish seller's VAT in euros (BT-111): its books are in dollars."""
    with database.transaction("jobs") as session:
        made = rates.table((first_at - timedelta(days=10)).date(), (first_at - timedelta(days=1)).date())
        fx_rates.import_table(session, made, now=first_at, actor="demo", source=rates.SOURCE)
        currencies.set_tax_currency(
            session, now=first_at, seller_code=bootstrap.SELLER.code, currency="EUR", actor="demo"
        )


def _rates_of_month(database: Database, month: Period, now: datetime) -> Iterator[tuple[datetime, Callable[[], None]]]:
    """Each weekday's rates, imported in the afternoon of their day."""
    first_on = month.start_at.date()
    for day in rates.table(first_on, min(month.end_at.date() - timedelta(days=1), now.date())).days:
        at = datetime.combine(day.published_on, _PUBLISHED_AT, tzinfo=UTC)
        yield at, partial(_import_rates, database, ecb.Table(days=(day,), bad=()), at)


def _import_rates(database: Database, table: ecb.Table, at: datetime) -> None:
    with database.transaction("jobs") as session:
        fx_rates.import_table(session, table, now=at, actor="demo", source=rates.SOURCE)


def sign_ins() -> list[SignIn]:
    """Who may sign in, and as what."""
    return [
        SignIn(
            login=person.login,
            password=PASSWORD,
            who=f"staff, {person.staff_role}" if person.staff_role else f"{person.tenant}, {person.role}",
        )
        for person in PEOPLE
    ]


def _open_accounts(database: Database, month: Period) -> dict[str, str]:
    ids = {}
    with database.transaction("jobs") as session:
        for tenant in TENANTS:
            found = directory.find_account_by_code(session, tenant.code)
            account = found or onboarding.open_account(
                session,
                now=_own(month, tenant.zone).start_at,
                code=tenant.code,
                name=tenant.name,
                zone=tenant.zone,
                policy=tenant.policy,
                profile=tenant.profile,
                plan_code=tenant.plan,
            )
            ids[tenant.code] = account.id
    return ids


def _people(database: Database, at: datetime) -> dict[str, str]:
    """{login: user id}; whoever is missing is made."""
    made = {}
    with database.transaction("jobs") as session:
        for person in PEOPLE:
            found = users.find_user_by_login(session, person.login)
            if found is None:
                found = users.create_user(
                    session,
                    now=at,
                    login=person.login,
                    name=person.name,
                    password=PASSWORD,
                    staff_role=person.staff_role,
                )
                if person.tenant is not None:
                    tenant_id = directory.get_account_by_code(session, person.tenant).tenant_id
                    users.grant_membership(
                        session, now=at, user_id=found.id, tenant_id=str(tenant_id), role=person.role
                    )
            made[person.login] = found.id
    return made


def _use(
    database: Database, tenant: Tenant, account_id: str, month: Period, number: int, months: list[Period], now: datetime
) -> None:
    """One tenant's month in its own zone: allocations live, storage is measured, all is rated, posted and closed at its end."""
    month = _own(month, tenant.zone)
    end_at = min(month.end_at, now)
    with database.transaction("jobs") as session:
        for act in _lifecycle(tenant, account_id, month, number, now):
            act(session)
        ingest.ingest_events(
            session, list(_storage(tenant, account_id, month, _own(months[0], tenant.zone), end_at)), now=end_at
        )
    with database.transaction("jobs") as session:
        accrual.accrue(session, now=end_at, account_id=account_id)
        up_to_date.bring(session, now=end_at, account_id=account_id)


def _own(month: Period, zone: str) -> Period:
    """The same calendar month in a tenant's zone: that is what its invoice covers."""
    return periods.month(periods.label_of(month.start_at, "month", "UTC"), zone)


def _lifecycle(
    tenant: Tenant, account_id: str, month: Period, number: int, now: datetime
) -> Iterator[Callable[[Session], object]]:
    """The acts of all runs that opened this month and happened by now, in the order of time."""
    acts: list[tuple[datetime, Callable[[Session], object]]] = []
    for run in runs(tenant, month, number):
        acts += [(at, act) for at, act in _acts_of(run, account_id) if at <= now]
    return (act for _, act in sorted(acts, key=lambda pair: pair[0]))


def _acts_of(run: Run, account_id: str) -> Iterator[tuple[datetime, Callable[[Session], object]]]:
    yield run.opened_at, partial(_opened, run=run, account_id=account_id)
    if run.changed_at is not None:
        yield run.changed_at, partial(_halved, run=run, account_id=account_id, at=run.changed_at)
    if run.released_at is not None:
        yield run.released_at, partial(_released, run=run, account_id=account_id, at=run.released_at)


def _opened(session: Session, *, run: Run, account_id: str) -> object:
    return allocations.open_allocation(
        session,
        now=run.opened_at,
        account_id=account_id,
        event_id=f"{run.external_id}-opened",
        external_id=run.external_id,
        resource=run.machine.resource,
        name=run.machine.name,
        shape=shape_of(run.machine),
        at=run.opened_at,
        project_code=run.machine.project,
        member_handle=run.member,
        variant=run.machine.variant,
        mode=run.machine.mode,
    )


def _halved(session: Session, *, run: Run, account_id: str, at: datetime) -> object:
    return allocations.reconfigure(
        session,
        now=at,
        account_id=account_id,
        event_id=f"{run.external_id}-halved",
        external_id=run.external_id,
        shape=half_shape_of(run.machine),
        at=at,
    )


def _released(session: Session, *, run: Run, account_id: str, at: datetime) -> object:
    return allocations.release(
        session,
        now=at,
        account_id=account_id,
        event_id=f"{run.external_id}-released",
        external_id=run.external_id,
        at=at,
    )


def _storage(tenant: Tenant, account_id: str, month: Period, first: Period, end_at: datetime) -> Iterator[EventFacts]:
    """One window of byte-seconds for each whole day."""
    day_at = month.start_at
    while tenant.stored_gib and day_at + timedelta(days=1) <= end_at:
        day = (day_at - first.start_at).days
        yield EventFacts(
            source=f"storage/{account_id}",
            source_id=f"{tenant.code}-{day_at:%Y-%m-%d}",
            account_id=account_id,
            meter_code="gib_hour",
            quantity_base=stored_gib_on(tenant, day) * _GIB_S * 86_400,
            start_at=day_at,
            end_at=day_at + timedelta(days=1),
            resource="object-store",
        )
        day_at += timedelta(days=1)


def _budgets(session: Session, account_ids: dict[str, str], people: dict[str, str], at: datetime) -> None:
    for tenant in TENANTS:
        account_id = account_ids[tenant.code]
        if tenant.budget_minor and not budgets.list_budgets(session, now=at, account_id=account_id):
            budgets.create(
                session,
                now=at,
                account_id=account_id,
                name="Monthly compute",
                amount=Money(minor=tenant.budget_minor, currency="USD"),
                thresholds_percent=[50, 80, 100],
                actor=people[tenant.owner],
            )
