"""What a price of any variant counts, what a variant's own price counts, and what fees and closing charges are called."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.assurance import replay
from billing.catalog import activations, plans, terms
from billing.catalog.items import SPOT
from billing.catalog.meters import METERS
from billing.catalog.tables import Sku
from billing.ledger.tables import LedgerEntry
from billing.rating import unrated
from billing.rating.postings import ENTRY_KINDS
from billing.rating.tables import Counter, CounterRescale
from billing.storage.database import Database
from tests.service.rating import world
from tests.service.rating.world import NOVEMBER, NOW, Use

HALF = "2026-11-16T00:00:00Z"
LATE = NOVEMBER + timedelta(days=18)
HOUR = METERS["gpu_hour"].base_per_unit


def gpu_book(*prices: tuple[str, str, str]) -> str:
    """(SKU, allowance in hours, from): all at 1.00 an hour beyond it."""
    rows = "".join(
        f'\n[[prices]]\nsku = "{sku}"\nmodel = "allowance"\nfree = "{free}"\nunit_price = "1"\nvalid_from = {start}\n'
        for sku, free, start in prices
    )
    return f'code = "own"\nname = "own"\ncurrency = "USD"\nvalid_from = 1970-01-01T00:00:00Z\n{rows}'


def posted(database: Database, account_id: str) -> list[tuple[str, int]]:
    world.rate(database, account_id)
    world.post(database, account_id)
    with database.reading("jobs") as session:
        assert replay.replay(session).differences == ()
        return sorted((charge.sku_code, charge.posted_minor) for charge in world.charges(session, account_id))


def own_sku(database: Database, variant: str) -> str:
    """The SKU of a GPU model, made where the catalog has none."""
    with database.transaction("jobs") as session:
        found = session.scalars(
            select(Sku.code).where(Sku.meter_code == "gpu_hour", Sku.variant == variant, Sku.mode == "on_demand")
        ).first()
        if found is not None:
            return found
        code = f"compute/gpu_{variant}"
        session.add(Sku(code=code, meter_code="gpu_hour", variant=variant, family="compute", name=variant))
        return code


def test_variants_without_a_price_of_their_own_share_one_counter(database: Database) -> None:
    account_id = world.open_account(database, book=gpu_book(("compute/gpu_hour", "10", "1970-01-01T00:00:00Z")))
    world.use(
        database,
        account_id,
        Use(6 * HOUR, meter="gpu_hour", variant="testgpu"),
        Use(6 * HOUR, meter="gpu_hour", variant="other"),
        Use(HOUR, meter="gpu_hour"),
    )
    # 13 hours of which 10 are free
    assert posted(database, account_id) == [("compute/gpu_hour", 300)]


def test_a_mode_without_a_price_waits_for_one(database: Database) -> None:
    account_id = world.open_account(database, book=gpu_book(("compute/gpu_hour", "10", "1970-01-01T00:00:00Z")))
    world.use(database, account_id, Use(HOUR, meter="gpu_hour", mode=SPOT))
    world.rate(database, account_id)
    with database.reading("jobs") as session:
        assert [row.reason for row in unrated.summarize(session, account_id)] == ["no_price"]


def test_a_variants_own_price_does_not_cut_the_counter_of_any_variant(database: Database) -> None:
    sku = own_sku(database, "testgpu")
    account_id = world.open_account(
        database, book=gpu_book(("compute/gpu_hour", "10", "1970-01-01T00:00:00Z"), (sku, "4", HALF))
    )
    at = NOVEMBER + timedelta(days=3)
    world.use(
        database,
        account_id,
        Use(6 * HOUR, meter="gpu_hour", variant="testgpu", at=at),
        Use(6 * HOUR, meter="gpu_hour", variant="testgpu", at=LATE),
        Use(6 * HOUR, meter="gpu_hour", variant="other", at=LATE),
    )
    # generic: 12 hours with all 10 free, for it holds the whole month; its own: half a month, so 2 of 6 free
    assert posted(database, account_id) == sorted([("compute/gpu_hour", 200), (sku, 400)])


@pytest.mark.parametrize(
    ("kind", "wanted"), [("usage", "usage_debit"), ("fee", "opening_charge"), ("closing", "closing_charge")]
)
def test_entries_are_called_after_what_their_meter_counts(kind: str, wanted: str) -> None:
    assert ENTRY_KINDS[kind] == wanted
    assert {meter.kind for meter in METERS.values()} == set(ENTRY_KINDS)


def test_a_fee_is_posted_as_an_opening_charge(database: Database) -> None:
    with database.transaction("jobs") as session:
        session.add(Sku(code="plan/own_fee", meter_code="plan_fee", variant="own_fee", family="plan", name="Own fee"))
    account_id = world.open_account(database, book=world.book("flat", sku="plan/own_fee", amount="9.00"))
    with database.transaction("jobs") as session:
        _name_fee(session)
    world.use(database, account_id, Use(1, meter="plan_fee", variant="own_fee", at=NOW))
    # opened at noon of 20 November: 10.5 of 30 days
    assert posted(database, account_id) == [("plan/own_fee", 315)]
    with database.reading("jobs") as session:
        assert set(session.scalars(select(LedgerEntry.kind))) == {"opening_charge"}


def _name_fee(session: Session) -> None:
    """A fee has a price only under a plan version that names it."""
    plans.change(
        session,
        now=NOW,
        code="own-plan",
        book_code="own",
        valid_from=plans.ALWAYS + timedelta(seconds=1),
        terms=terms.PlanTerms(fees=("own_fee",)),
        actor="test",
    )


def test_an_account_without_bounds_has_nothing_to_rescale(database: Database) -> None:
    account_id = world.open_account(database, book=world.book("package", package_size="10", package_price="1"))
    world.use(database, account_id, Use(5, at=NOVEMBER))
    world.rate(database, account_id)
    with database.transaction("jobs") as session:
        text = world.book("package", package_size="10", package_price="2", valid_from=HALF)
        activations.install(session, text, now=NOW, actor="test")
    world.use(database, account_id, Use(5, at=LATE))
    assert posted(database, account_id) == [("analytics/query", 100), ("analytics/query", 200)]
    with database.reading("jobs") as session:
        assert [row.scale for row in session.scalars(select(Counter))] == [None, None]
        assert session.scalars(select(CounterRescale)).all() == []
