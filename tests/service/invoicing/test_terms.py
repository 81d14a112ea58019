"""Terms of a plan over time: fees and minimums where the plan changes inside a period, gifts, and what is charged only once."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from billing.catalog import activations, onboarding, plans, terms
from billing.invoicing import drafts
from billing.invoicing.documents import model
from billing.jobs import steps
from billing.jobs.context import JobContext
from billing.ledger.tables import LedgerEntry
from billing.metering.tables import UsageRecord
from billing.rating import closing, plan_periods, price_changes
from billing.rating.curves.terms import Scale
from billing.rating.errors import AlreadyInvoiced
from billing.rating.plan_periods import Part
from billing.storage.database import Database
from tests.service.invoicing import terms_world, world
from tests.service.invoicing.terms_world import OCTOBER
from tests.service.invoicing.world import NOW
from tests.service.rating import world as rating_world
from tests.service.rating.world import Use

SIXTEENTH = datetime(2026, 10, 16, 12, tzinfo=UTC)  # the middle of October: 372 of its 744 hours
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
EARLY = datetime(2026, 10, 5, tzinfo=UTC)


def _lines(database: Database, account_id: str) -> list[tuple[str, int]]:
    header = world.issued(database, account_id)
    return [(line.description, line.amount_minor) for line in model.from_snapshot(header.snapshot or {}).lines]


def _change_plan(database: Database, account_id: str, *, fee: str | None, at: datetime, now: datetime) -> None:
    """Put the account on another plan, whose book prices the fee otherwise or whose terms ask for none."""
    book = rating_world.book("per_unit", code="book-next", unit_price="0.01")
    book += terms_world.FEES.format(fee=fee).partition("\n\n")[2] if fee else ""  # sold already: its price alone
    given = {"fees": ["platform"]} if fee else {}
    with database.transaction("jobs") as session:
        activations.install(session, book, now=now, actor="test")
        plans.create_plan(session, now=now, code="next", name="next", book_code="book-next", terms=terms.read(given))
        price_changes.subscribe(
            session, now=now, account_id=account_id, plan_code="next", valid_from=at, actor="usr_mia"
        )


def test_a_fee_is_shared_out_by_seconds_when_the_plan_changes_after_it_was_charged(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, fee="100.00", opened_at=OCTOBER)
    terms_world.use(database, account_id, now=EARLY)
    assert world.balance(database, account_id).unbilled_minor == -10_000
    _change_plan(database, account_id, fee="300.00", at=SIXTEENTH, now=EARLY)
    terms_world.use(database, account_id, now=EARLY)
    terms_world.use(database, account_id)
    assert sorted(_lines(database, account_id)) == [("Platform fee", 5_000), ("Platform fee", 15_000)]


def test_a_fee_that_the_new_plan_does_not_ask_for_ends_with_the_old_one(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, fee="100.00", opened_at=OCTOBER)
    terms_world.use(database, account_id, now=EARLY)
    _change_plan(database, account_id, fee=None, at=SIXTEENTH, now=EARLY)
    terms_world.use(database, account_id)
    assert _lines(database, account_id) == [("Platform fee", 5_000)]


def test_a_minimum_counts_by_its_share_of_the_seconds() -> None:
    halves = (15 * 24 * 3_600_000, 15 * 24 * 3_600_000)
    first, second = terms.read({"minimum": {"USD": "1000.00"}}), terms.read({"minimum": {"USD": "400.00"}})
    parts = [
        Part(terms=first, scale=Scale(lengths_ms=halves, index=0)),
        Part(terms=second, scale=Scale(lengths_ms=halves, index=1)),
    ]
    found = closing.due(parts, {"compute": 60_000}, currency="USD")
    assert [(one.amount_minor, one.words) for one in found] == [(10_000, "Minimum 700.00 USD, charged 600.00 USD")]
    assert closing.due(parts, {"compute": 60_000}, currency="EUR") == []


def test_a_percentage_counts_to_the_minimum() -> None:
    given = {"minimum": {"USD": "100.00"}, "percentages": [{"code": "support", "percent": "12.5"}]}
    whole = [Part(terms=terms.read(given), scale=Scale(lengths_ms=(1,), index=0))]
    found = {one.name: one.amount_minor for one in closing.due(whole, {"compute": 8_001}, currency="USD")}
    assert found == {"Support": 1_000, "Minimum spend": 999}


def test_the_job_charges_fees_minimums_and_gifts_once_however_often_it_runs(database: Database) -> None:
    account_id = terms_world.open_on_plan(
        database, fee="25.00", minimum={"USD": "100.00"}, grant={"USD": "5.00"}, opened_at=OCTOBER
    )
    context = JobContext(database=database, providers={}, now=NOW)
    with database.reading("jobs") as session:
        assert plan_periods.accounts_with_terms(session) == [account_id]
    assert [steps.terms(context), steps.terms(context)] == [5, 0]  # two fees, two gifts, October's minimum
    assert steps.invoices(context) == 1
    with database.reading() as session:
        kinds = sorted(session.scalars(select(LedgerEntry.kind)))
        sources = sorted(session.scalars(select(UsageRecord.source)))
    assert kinds == ["closing_charge", "opening_charge", "opening_charge", "promo_grant", "promo_grant"]
    assert sources == ["closing/minimum", "plan/fee", "plan/fee"]
    # 25.00 fee and 75.00 to the minimum, 10.00 of gifts off before tax
    header = world.issued(database, account_id)
    assert (header.allowance_minor, header.net_minor, header.tax_minor) == (1_000, 9_000, 1_710)


def test_usage_that_arrives_after_the_draft_moves_the_minimum_of_the_next_one(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, minimum={"USD": "100.00"}, opened_at=OCTOBER)
    terms_world.use(database, account_id, Use(4_000))
    first = world.draft(database, account_id)
    terms_world.use(database, account_id, Use(1_000))
    with database.transaction() as session:
        drafts.void(session, now=NOW, draft_id=first, actor="usr_mia")
    lines = _lines(database, account_id)
    assert sum(amount for _, amount in lines) == 10_000
    assert ("Minimum spend", 6_000) in lines


def test_terms_of_a_month_that_is_invoiced_do_not_change_and_later_ones_do(database: Database) -> None:
    """October is invoiced for its usage alone; its plan asked for nothing."""
    account_id = terms_world.open_on_plan(database, fee="25.00", fees=[], opened_at=OCTOBER)
    terms_world.use(database, account_id, Use(4_000))
    world.issued(database, account_id)
    before = world.balance(database, account_id)

    def change(at: datetime, **given: object) -> None:
        with database.transaction("jobs") as session:
            price_changes.change_plan(
                session,
                now=NOW,
                code="plan-calla",
                book_code="book-calla",
                valid_from=at,
                terms=terms.read(given),
                actor="usr_mia",
            )

    asked: dict[str, object] = {
        "minimum": {"USD": "100.00"},
        "grant": {"USD": "5.00"},
        "percentages": [{"code": "support", "percent": "10"}],
        "fees": ["platform"],
    }
    for name, value in asked.items():
        for at in (OCTOBER, SIXTEENTH, NOVEMBER - timedelta(seconds=1)):
            with pytest.raises(AlreadyInvoiced) as refusal:
                change(at, **{name: value})
            facts = refusal.value.fields
            assert (facts["account"], facts["period"]) == ("calla", "2026-10")
            assert facts["valid_from"] == at.isoformat().replace("+00:00", "Z")
    terms_world.use(database, account_id)
    assert world.balance(database, account_id) == before
    change(NOVEMBER, **asked)


def test_a_subscription_or_a_fees_price_does_not_reach_into_an_invoiced_month(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, fee="25.00", opened_at=OCTOBER)
    terms_world.use(database, account_id)
    assert _lines(database, account_id) == [("Platform fee", 2_500)]
    for fee in ("25.00", None):
        with pytest.raises(AlreadyInvoiced):
            _change_plan(database, account_id, fee=fee, at=SIXTEENTH, now=NOW)
    dearer = rating_world.book("per_unit", code="book-calla", unit_price="0.01")
    dearer += terms_world.FEES.format(fee="30.00").partition("\n\n")[2]

    def activate(at: str) -> None:
        text = dearer.replace("amount", f"valid_from = {at}\namount")
        with database.transaction("jobs") as session, price_changes.guarded(session, [account_id], now=NOW):
            activations.install(session, text, now=NOW, actor="test")

    with pytest.raises(AlreadyInvoiced) as refusal:
        activate("2026-10-16T12:00:00Z")
    assert refusal.value.fields["fee"] == "platform"
    activate("2026-11-16T12:00:00Z")
    _change_plan(database, account_id, fee="40.00", at=NOVEMBER + timedelta(days=18), now=NOW)


def test_a_plan_that_asks_for_the_same_may_take_over_an_invoiced_month(database: Database) -> None:
    account_id = terms_world.open_on_plan(database, minimum={"USD": "40.00"}, opened_at=OCTOBER)
    terms_world.use(database, account_id, Use(1_000))
    world.issued(database, account_id)
    with database.transaction("jobs") as session:
        price_changes.change_plan(
            session,
            now=NOW,
            code="plan-calla",
            book_code="book-calla",
            valid_from=SIXTEENTH,
            terms=terms.read({"minimum": {"USD": "40.00"}, "locks_price": True}),
            actor="usr_mia",
        )
    before = world.balance(database, account_id)
    terms_world.use(database, account_id)
    assert world.balance(database, account_id) == before


def test_an_account_opened_in_the_month_owes_its_share_of_fee_and_minimum_and_gets_the_whole_gift(
    database: Database,
) -> None:
    """Opened at noon of 16 October, the middle: half of each; November whole."""
    account_id = terms_world.open_on_plan(
        database,
        fee="25.01",
        minimum={"USD": "100.00"},
        grant={"USD": "5.00"},
        percentages=[{"code": "support", "percent": "10"}],
        opened_at=SIXTEENTH + timedelta(milliseconds=250),
    )
    terms_world.use(database, account_id, Use(1_000, at=SIXTEENTH + timedelta(days=1)))
    # 10.00 of usage and 12.505, half up, of the fee: a tenth of 22.51 is 2.25; to 50.00 lacks 25.24
    assert dict(_lines(database, account_id)) == {
        "Platform fee": 1_251,
        "Analytics query": 1_000,
        "Minimum spend": 2_524,
        "Support": 225,
    }
    with database.reading() as session:
        given = session.scalars(select(LedgerEntry.amount_minor).where(LedgerEntry.kind == "promo_grant")).all()
        fees = session.scalars(select(UsageRecord.start_at).where(UsageRecord.source == "plan/fee")).all()
    assert given == [500, 500]
    assert sorted(fees) == [SIXTEENTH, NOVEMBER]


def test_a_subscription_that_begins_in_the_month_owes_its_share_from_then_on(database: Database) -> None:
    """On no plan until noon of the 16th: half the fee and the minimum, and the whole percentage of what was charged since."""
    book = rating_world.book("per_unit", code="book-late", unit_price="0.01") + terms_world.FEES.format(fee="50.00")
    given = {"fees": ["platform"], "minimum": {"USD": "80.00"}, "percentages": [{"code": "support", "percent": "10"}]}
    with database.transaction("jobs") as session:
        activations.install(session, book, now=OCTOBER, actor="test")
        plans.create_plan(
            session,
            now=OCTOBER,
            code="late",
            name="late",
            book_code="book-late",
            valid_from=SIXTEENTH,
            terms=terms.read(given),
        )
    with database.transaction("jobs") as session:
        account_id = onboarding.open_account(
            session, now=OCTOBER, code="calla", plan_code="late", profile=world.GERMANY
        ).id
    terms_world.use(database, account_id, Use(500, at=SIXTEENTH + timedelta(days=1)))
    # 25.00 + 5.00, a tenth of it is 3.00, and 7.00 to the half minimum
    amounts = dict(_lines(database, account_id))
    assert amounts == {"Platform fee": 2_500, "Analytics query": 500, "Minimum spend": 700, "Support": 300}
