"""Conservation: whatever is used, corrected, priced anew, rated, posted and closed in whatever order, the books hold what a model
written in fractions alone says, and balance, entries, postings and lines say the same.
"""

import itertools
from datetime import datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.assurance import replay, selfcheck
from billing.catalog import activations
from billing.kernel.clock import to_rfc3339
from billing.ledger import balances
from billing.ledger.tables import LedgerEntry
from billing.rating import price_changes
from billing.rating.errors import AlreadyRated
from billing.rating.tables import Charge, Counter, RatedLine
from billing.storage.database import Database
from tests.service.rating import fraction_model, world
from tests.service.rating.fraction_model import Account, Start
from tests.service.rating.world import NOVEMBER, NOW, OCTOBER, Use

DECEMBER = datetime(2026, 12, 1, tzinfo=NOW.tzinfo)
METERS = {
    "analytics/query": "query",
    "analytics/report": "report",
    "marketplace/wpk_upload": "wpk_upload",
    "marketplace/wpk_review": "wpk_review",
    "inference/token_input": "token_input",
    "inference/token_output": "token_output",
}
MODELS = {
    "analytics/query": "graduated",
    "analytics/report": "volume",
    "marketplace/wpk_upload": "allowance",
    "marketplace/wpk_review": "per_unit",
    "inference/token_input": "package",
    "inference/token_output": "flat",
}
_DAYS = [month + timedelta(days=day) for month in (OCTOBER, NOVEMBER) for day in (0, 4, 9, 14, 19, 24)]
_numbers = itertools.count()


def price_of(sku: str, milli_cents: int) -> tuple[str, tuple[tuple[int | None, Fraction], ...]]:
    """The SKU's price, as lines of a book and for the model; its level in thousandths of a cent."""
    price, low = Fraction(milli_cents, 1000), Fraction(milli_cents, 2000)
    shown, shown_low = (f"{micro // 10**6}.{micro % 10**6:06d}" for micro in (milli_cents * 10, milli_cents * 5))
    tiers = f'tiers = [{{ up_to = "20", unit_price = "{shown}" }}, {{ unit_price = "{shown_low}" }}]'
    return {
        "graduated": (tiers, ((20, price), (None, low))),
        "volume": (tiers, ((20, price), (None, low))),
        "allowance": (f'free = "15"\nunit_price = "{shown}"', ((15, price),)),
        "per_unit": (f'unit_price = "{shown}"', ((None, price),)),
        "package": (f'package_size = "7"\npackage_price = "{shown}"', ((7, price),)),
        "flat": (f'amount = "{shown}"', ((None, price),)),
    }[MODELS[sku]]


def book(code: str, rows: list[tuple[str, datetime, str]]) -> str:
    head = f'code = "{code}"\nname = "{code}"\ncurrency = "USD"\nvalid_from = 1970-01-01T00:00:00Z\n'
    return head + "".join(
        f'\n[[prices]]\nsku = "{sku}"\nmodel = "{MODELS[sku]}"\nvalid_from = {to_rfc3339(start)}\n{lines}\n'
        for sku, start, lines in rows
    )


class Billing(RuleBasedStateMachine):
    """One account of its own per example."""

    database: Database

    @initialize(levels=st.lists(st.integers(1, 400_000), min_size=6, max_size=6))
    def open_account(self, levels: list[int]) -> None:
        self.code = f"m{next(_numbers)}"
        first = datetime(1970, 1, 1, tzinfo=NOW.tzinfo)
        rows: list[tuple[str, datetime, str]] = []
        prices: dict[str, list[Start]] = {}
        for sku, level in zip(MODELS, levels, strict=True):
            text, model_rows = price_of(sku, level)
            rows.append((sku, first, text))
            prices[sku] = [(first, MODELS[sku], model_rows)]
        self.account_id = world.open_account(self.database, book=book(self.code, rows), code=self.code)
        self.model = Account(periods=[(OCTOBER, NOVEMBER), (NOVEMBER, DECEMBER)], prices=prices)
        self.model.layout = {sku: list(starts) for sku, starts in prices.items()}
        self.used: list[tuple[str, str, datetime, int, str]] = []  # record, SKU, start, what is left of it, project

    @rule(
        sku=st.sampled_from(sorted(MODELS)),
        at=st.sampled_from(_DAYS),
        hours=st.integers(0, 100),
        quantity=st.integers(1, 40),
        project=st.sampled_from(["", "a", "b"]),
    )
    def use(self, sku: str, at: datetime, hours: int, quantity: int, project: str) -> None:
        start = at + timedelta(hours=hours)
        (record_id,) = world.use(
            self.database,
            self.account_id,
            Use(quantity, project=project or None, at=start, meter=METERS[sku]),
        )
        self.used.append((record_id, sku, start, quantity, project))
        self.model.use(sku, start, quantity, project)

    @precondition(lambda self: self.used)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        place = data.draw(st.integers(0, len(self.used) - 1))
        record_id, sku, start, left, project = self.used[place]
        taken = data.draw(st.integers(0, left))
        if taken == 0:
            return
        again = Use(-taken, project=project or None, at=start, meter=METERS[sku], corrects_id=record_id)
        world.use(self.database, self.account_id, again)
        self.used[place] = (record_id, sku, start, left - taken, project)
        self.model.use(sku, start, -taken, project)

    @rule(sku=st.sampled_from(sorted(MODELS)), at=st.sampled_from(_DAYS), level=st.integers(1, 400_000))
    def change_price(self, sku: str, at: datetime, level: int) -> None:
        start = at + timedelta(hours=3)
        if start in [each for each, *_ in self.model.prices[sku]]:
            return
        text, rows = price_of(sku, level)
        is_refused = self.model.would_be_refused(sku, start)
        try:
            with (
                self.database.transaction("jobs") as session,
                price_changes.guarded(session, [self.account_id], now=NOW),
            ):
                activations.install(session, book(self.code, [(sku, start, text)]), now=NOW, actor="test")
        except AlreadyRated:
            assert is_refused
        else:
            assert not is_refused
            self.model.change(sku, (start, MODELS[sku], rows))

    @rule(limit=st.sampled_from([2, 10_000]))
    def rate(self, limit: int) -> None:
        while world.rate(self.database, self.account_id, limit=limit):
            pass
        self.model.rate()

    @rule(lines_per_run=st.sampled_from([1, 3, 100_000]))
    def post(self, lines_per_run: int) -> None:
        world.post(self.database, self.account_id, lines_per_run=lines_per_run)
        self.model.post()

    @rule()
    def close(self) -> None:
        self.rate(10_000)
        self.post(100_000)
        world.close(self.database, self.account_id, f"drf_{next(_numbers)}")
        self.model.close()

    def teardown(self) -> None:
        if not hasattr(self, "model"):
            return
        self.rate(10_000)
        self.post(100_000)
        with self.database.reading("jobs") as session:
            entries = session.scalars(select(LedgerEntry).where(LedgerEntry.billing_account_id == self.account_id))
            folded = sum(e.amount_minor * (1 if e.debit_owner == self.account_id else -1) for e in entries)
            charged = sum(charge.posted_minor for charge in world.charges(session, self.account_id))
            owed = self.model.owed_minor
            assert (folded, charged) == (owed, owed)
            shown = balances.of_account(session, self.account_id)
            assert sum(balance.balance_minor for balance in shown) == -owed
            self._check_lines(session)

    def _check_lines(self, session: Session) -> None:
        """Law 1: the lines of a counter sum to its exact cost in millionths, whatever came in between."""
        summed: dict[tuple[str, datetime], int] = {}
        rows = session.execute(
            select(Charge.sku_code, Counter.segment_start_at, RatedLine.amount_micro)
            .join(Counter, Counter.id == RatedLine.counter_id)
            .join(Charge, Charge.id == RatedLine.charge_id)
            .where(RatedLine.billing_account_id == self.account_id)
        )
        for sku, start, amount_micro in rows:
            summed[sku, start] = summed.get((sku, start), 0) + amount_micro
        exact: dict[tuple[str, datetime], Fraction] = {}
        for key in self.model.totals:
            sku, period_start, start, _ = key
            counter = (sku, max(start, period_start))
            exact[counter] = exact.get(counter, Fraction(0)) + self.model.exact(key)
        assert summed == {counter: fraction_model.half_up(minor * 10**6) for counter, minor in exact.items()}


def conserve(database: Database, *, examples: int, steps: int) -> None:
    """Run the machine; then everything must check out and replay."""
    machine = type("BillingOfThisTest", (Billing,), {"database": database})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with database.reading("jobs") as session:
        assert selfcheck.run(session).differences == ()
        assert replay.replay(session).differences == ()


def test_the_books_hold_what_fractions_say_after_any_steps(database: Database) -> None:
    conserve(database, examples=8, steps=16)


@pytest.mark.merge_medium
def test_the_books_hold_what_fractions_say_after_many_steps(database: Database) -> None:
    conserve(database, examples=100, steps=50)


@pytest.mark.release_heavy
@pytest.mark.parametrize("part", range(10))
def test_the_books_hold_what_fractions_say_after_a_thousand_walks_of_fifty_steps(database: Database, part: int) -> None:
    """Trust row 1 through the database, in ten parts on each engine; the ten thousand walks are those of the pure rooms."""
    conserve(database, examples=100, steps=50)
