"""A small world for rating tests: one account with projects, prices of the test's own, usage put in by hand."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.catalog import activations, onboarding, plans
from billing.catalog.items import ON_DEMAND, Item
from billing.kernel.ids import new_id
from billing.metering import records
from billing.metering.tables import Allocation
from billing.rating import periods, postings, rater
from billing.rating.tables import BillingPeriod, Charge, RatedLine
from billing.storage.database import Database

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Use:
    """One counted event: how much of which meter, by which project, at which instant."""

    quantity_base: int
    project: str | None = None
    at: datetime = datetime(2026, 10, 10, tzinfo=UTC)
    meter: str = "query"
    variant: str = ""
    mode: str = ON_DEMAND
    allocation_id: str | None = None
    corrects_id: str | None = None


def open_account(
    database: Database,
    *,
    book: str | None = None,
    code: str = "acme",
    zone: str = "UTC",
    plan_from: datetime = plans.ALWAYS,
    prices_include_tax: bool = False,
) -> str:
    """A billing account on the default plan, or on a plan of the given price book's own; its id."""
    with database.transaction("jobs") as session:
        plan = plans.DEFAULT_CODE
        if book is not None:
            loaded = activations.install(session, book, now=NOW, actor="test")
            plan = f"{loaded.code}-plan"
            if plans.find_plan(session, plan) is None:
                plans.create_plan(session, now=NOW, code=plan, name=plan, book_code=loaded.code, valid_from=plan_from)
        return onboarding.open_account(
            session, now=NOW, code=code, zone=zone, plan_code=plan, prices_include_tax=prices_include_tax
        ).id


def book(
    model: str,
    *,
    code: str = "own",
    sku: str = "analytics/query",
    valid_from: str = "1970-01-01T00:00:00Z",
    **numbers: str,
) -> str:
    """A price book with one price, as TOML."""
    lines = "\n".join(f'{name} = "{value}"' for name, value in numbers.items())
    return _head(code) + _price(sku, model, lines, valid_from)


def tiered(
    model: str, *tiers: tuple[str | None, str], code: str = "own", starts: Iterable[str] = ("1970-01-01T00:00:00Z",)
) -> str:
    """A price book whose price has tiers; with several starts, the same price anew from each."""
    rows = ", ".join(
        f'{{ unit_price = "{price}" }}' if bound is None else f'{{ up_to = "{bound}", unit_price = "{price}" }}'
        for bound, price in tiers
    )
    return _head(code) + "".join(_price("analytics/query", model, f"tiers = [{rows}]", start) for start in starts)


def _head(code: str) -> str:
    return f'code = "{code}"\nname = "{code}"\ncurrency = "USD"\nvalid_from = 1970-01-01T00:00:00Z\n'


def _price(sku: str, model: str, lines: str, valid_from: str) -> str:
    return f'\n[[prices]]\nsku = "{sku}"\nmodel = "{model}"\nvalid_from = {valid_from}\n{lines}\n'


def use(database: Database, account_id: str, *uses: Use) -> list[str]:
    """Take usage in, in this order; the records' ids."""
    with database.transaction("jobs") as session:
        head = heads.lock_one(session, account_id)
        attributor = Attributor(session, now=NOW)
        pieces = []
        for one in uses:
            origin = records.Origin(
                source="test",
                source_id=new_id("evt"),
                allocation_id=one.allocation_id,
                project_id=attributor.project_id(account_id, one.project),
                member_id=attributor.member_id(account_id, "ann" if one.project else None),
                resource="somewhere",
                tags_json="{}",
                correlation_id=None,
                content_hash="0" * 64,
                import_id=None,
                corrects_id=one.corrects_id,
            )
            pieces.append(
                records.Piece(origin, Item(one.meter, one.variant, one.mode), (one.at, one.at), one.quantity_base)
            )
        made = records.rows(head, pieces, now=NOW)
        records.insert(session, made)
        return [str(row[0]) for row in made]


def rate(database: Database, account_id: str, *, now: datetime = NOW, limit: int = 10_000) -> int:
    """Rate all that waits, in batches; how many records were looked at."""
    total = 0
    while True:
        with database.transaction("jobs") as session:
            count = rater.rate_account(session, now=now, account_id=account_id, limit=limit)
        total += count
        if count < limit:
            return total


def post(database: Database, account_id: str, *, now: datetime = NOW, lines_per_run: int = 100_000) -> int:
    """Bring the account up to date in the ledger; how many lines that covered."""
    with database.transaction("jobs") as session:
        return postings.post_account(session, now=now, account_id=account_id, lines_per_run=lines_per_run)


def lines(session: Session, account_id: str) -> list[RatedLine]:
    """The account's rated lines in their order."""
    query = select(RatedLine).where(RatedLine.billing_account_id == account_id).order_by(RatedLine.line_seq)
    return list(session.scalars(query))


def charges(session: Session, account_id: str) -> list[Charge]:
    """The account's charges by period, project and generation."""
    query = (
        select(Charge)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .where(Charge.billing_account_id == account_id)
        .order_by(BillingPeriod.start_at, Charge.project_key, Charge.generation, Charge.id)
    )
    return list(session.scalars(query))


def close(database: Database, account_id: str, draft_id: str) -> None:
    """Give all open charges of the account to a draft, as making one does."""
    with database.transaction("jobs") as session:
        heads.lock_one(session, account_id)
        open_ids = [charge.id for charge in charges(session, account_id) if charge.draft_id is None]
        periods.close_charges(session, open_ids, draft_id)


def allocate(database: Database, account_id: str, started_at: datetime) -> str:
    """Something that runs since an instant; its usage is put in by hand. Its id."""
    with database.transaction("jobs") as session:
        allocation = Allocation(
            id=new_id("alc"),
            source="test",
            source_id=new_id("evt"),
            content_hash="0" * 64,
            billing_account_id=account_id,
            resource="somewhere",
            name="",
            is_live=False,
            started_at=started_at,
            accrued_at=started_at,
            shape={},
            recorded_at=NOW,
        )
        session.add(allocation)
        return allocation.id
