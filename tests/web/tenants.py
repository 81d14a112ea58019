"""One tenant with a month that was used, billed and partly paid, worked by hand, for the tests of tenants' pages.

October 2026: 2 cores for 36 hours from the 5th, 72 core-hours x 0.50 = 36.00 (24.00 on the 5th, 12.00 on the 6th), project vision;
a third of a GPU for 10 hours on the 20th, 10/3 GPU-hours x 2.95 = 9.8333... = 9.83, project planning. Net 45.83, 19 % VAT 8.71,
total 54.54. November: 4 cores and 8 GiB run since two hours before NOW, 2.80 an hour, 5.60 so far. The wallet holds 100.00.
Balance: 100.00 - 54.54 - 5.60 = 39.86.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Flask

from billing.accounts import profiles
from billing.controls import budgets
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.money import Money
from billing.metering import accrual, allocations, ingest
from billing.metering.shapes import Shape
from billing.metering.sources.port import EventFacts
from billing.payments.sessions import PaymentRow
from billing.rating import lines
from billing.storage.database import Database
from tests.service.invoicing import world
from tests.service.rating import world as rating_world
from tests.web.operators import NOW, House

OCTOBER_5 = datetime(2026, 10, 5, tzinfo=UTC)
OCTOBER_20 = datetime(2026, 10, 20, 9, tzinfo=UTC)
HOUR_MS = 3_600_000
RUNNING = "training <b>run</b> 🚀 مشروع"


@dataclass(frozen=True)
class Lived:
    """The ids of what is in the account."""

    house: House
    account_id: str
    invoice: InvoiceHeader
    payment: PaymentRow
    budget_id: str

    @property
    def database(self) -> Database:
        return self.house.database

    def line_ids(self) -> list[str]:
        """The account's rated lines, oldest first."""
        with self.database.reading() as session:
            return [row.id for row in lines.list_lines(session, self.account_id, sort="line").rows]

    def record_ids(self) -> list[str]:
        """The usage records of those lines, in their order."""
        with self.database.reading() as session:
            return [row.usage_record_id for row in lines.list_lines(session, self.account_id, sort="line").rows]


def lived(app: Flask, database: Database, code: str = "calla") -> Lived:
    """Live through October and the beginning of November."""
    house = House(app, database)
    account_id = rating_world.open_account(database, code=code)
    with database.transaction("jobs") as session:
        profiles.update_profile(session, now=NOW, account_id=account_id, facts=world.GERMANY)
    _use(database, account_id)
    invoice = world.issued(database, account_id)
    _run(database, account_id)
    payment = house.top_up(account_id, 10_000)
    with database.transaction("jobs") as session:
        budget_id = budgets.create(
            session,
            now=NOW,
            account_id=account_id,
            name="Compute <i>all</i>",
            amount=Money(minor=1_000, currency="USD"),
            thresholds_percent=[50, 80, 100],
            actor="usr_ann",
        )
        budgets.evaluate(session, now=NOW, account_id=account_id)
    return Lived(house=house, account_id=account_id, invoice=invoice, payment=payment, budget_id=budget_id)


def _use(database: Database, account_id: str) -> None:
    events = [
        EventFacts(
            source=f"test/{account_id}",
            source_id="cores",
            account_id=account_id,
            meter_code="cpu_hour",
            quantity_base=2 * 36 * HOUR_MS,
            start_at=OCTOBER_5,
            end_at=OCTOBER_5 + timedelta(hours=36),
            project_code="vision",
            member_handle="ada",
            resource="rack/1",
        ),
        EventFacts(
            source=f"test/{account_id}",
            source_id="gpu",
            account_id=account_id,
            meter_code="gpu_hour",
            quantity_base=7_000 * 10 * HOUR_MS,
            start_at=OCTOBER_20,
            end_at=OCTOBER_20 + timedelta(hours=10),
            project_code="planning",
            resource="rack/2",
        ),
    ]
    with database.transaction("jobs") as session:
        results = ingest.ingest_events(session, events, now=NOW)
    assert [result.status for result in results] == ["accepted", "accepted"]
    rating_world.rate(database, account_id, now=NOW)
    rating_world.post(database, account_id, now=NOW)


def _run(database: Database, account_id: str) -> None:
    with database.transaction("jobs") as session:
        allocations.open_allocation(
            session,
            now=NOW,
            account_id=account_id,
            event_id="opened",
            external_id="run-1",
            resource="cpu-4",
            name=RUNNING,
            shape=Shape(cpu_cores=4, memory_bytes=8 * 2**30),
            at=NOW - timedelta(hours=2),
            project_code="vision",
        )
        accrual.accrue(session, now=NOW, account_id=account_id)
    rating_world.rate(database, account_id, now=NOW)
    rating_world.post(database, account_id, now=NOW)
