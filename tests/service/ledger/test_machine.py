"""A state machine: whatever is posted, repeated, reversed, checkpointed or closed, the books equal an independent fold.

The model knows nothing of our code: a dictionary of Fractions, added to by hand.
"""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import select

from billing.accounts import directory
from billing.assurance import verification
from billing.ledger import balances, explanation, periods, statement, trial_balance
from billing.ledger.errors import LedgerConflict, NotReversible
from billing.ledger.tables import LedgerTransaction
from billing.storage.database import Database
from tests.service.ledger import books
from tests.service.ledger.books import entry, open_account, post

OWN = ("wallet", "promo", "unbilled", "receivable", "disputed", "deferred")
ACCOUNTS = ("calla", "taifl")
CURRENCIES = ("USD", "JPY")
MOVES = (
    ("bank_credit", "cash:bank", "wallet"),
    ("bank_credit", "cash:bank", "receivable"),
    ("admin_credit", "promo_expense", "promo"),
    ("usage_debit", "unbilled", "revenue:compute"),
    ("usage_debit", "revenue:compute", "unbilled"),
    ("invoice_issue", "receivable", "unbilled"),
    ("wallet_apply", "wallet", "receivable"),
    ("refund_hold", "wallet", "refund_pending"),
    ("refund_release", "refund_pending", "wallet"),
    ("promo_expiry", "promo", "promo_expense"),
)
_moves = st.lists(
    st.tuples(st.sampled_from(MOVES), st.integers(1, 10**15), st.sampled_from(CURRENCIES)), min_size=1, max_size=5
)


class Books(RuleBasedStateMachine):
    """Two tenants in two currencies, side by side with a fold of what was asked."""

    database: Database

    def __init__(self) -> None:
        super().__init__()
        # Each run has accounts of its own in one database: what runs before it is still there, and must not matter.
        run = self._next_run()
        self.ids = {name: open_account(self.database, f"{name}-{run}", f"seller-{run}") for name in ACCOUNTS}
        self.seller_code = f"seller-{run}"
        self.now = datetime(2026, 11, 1, tzinfo=UTC)
        self.model: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        self.posted: list[tuple[str, str, list[Any], str]] = []
        self.reversed: set[str] = set()
        self.balance_after: dict[tuple[str, int], dict[str, Fraction]] = {}

    runs = 0

    @classmethod
    def _next_run(cls) -> int:
        cls.runs += 1
        return cls.runs

    @rule(who=st.sampled_from(ACCOUNTS), moves=_moves, days=st.integers(-90, 0))
    def post_once(self, who: str, moves: list[Any], days: int) -> None:
        source_id = f"{self.ids[who]}-{len(self.posted)}"
        self._tick()
        transaction_id = self._post(who, source_id, moves, self.now + timedelta(days=days))
        self._add(who, moves)
        self.posted.append((who, source_id, moves, transaction_id))
        self._note(who)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def post_again(self, data: Any) -> None:
        who, source_id, moves, transaction_id = data.draw(st.sampled_from(self.posted))
        self._tick()
        assert self._post(who, source_id, moves, self.now) == transaction_id

    @precondition(lambda self: self.posted)
    @rule(data=st.data(), more=st.integers(1, 1000))
    def post_other_content_under_the_same_source(self, data: Any, more: int) -> None:
        who, source_id, moves, _ = data.draw(st.sampled_from(self.posted))
        (move, minor, currency), *rest = moves
        self._tick()
        other = minor - more if minor > more else minor + more
        with pytest.raises(LedgerConflict):
            self._post(who, source_id, [(move, other, currency), *rest], self.now)

    @precondition(lambda self: self.posted)
    @rule(data=st.data())
    def reverse(self, data: Any) -> None:
        who, _source_id, moves, transaction_id = data.draw(st.sampled_from(self.posted))
        held = {"unbilled", "receivable", "refund_pending", "disputed"}
        touches_held = any({debit, credit} & held for (_, debit, credit), _, _ in moves)
        self._tick()
        with self.database.transaction() as session:
            try:
                books.reverse(session, transaction_id, now=self.now)
            except NotReversible as refused:
                reason = refused.fields["reason"]
            else:
                reason = None
        is_repeat = transaction_id in self.reversed
        assert reason == ("already_reversed" if is_repeat else "held_elsewhere" if touches_held else None)
        if reason is not None:
            return
        self.reversed.add(transaction_id)
        self._add(who, [((kind, credit, debit), minor, currency) for (kind, debit, credit), minor, currency in moves])
        self._note(who)

    @rule(who=st.sampled_from(ACCOUNTS))
    def checkpoint(self, who: str) -> None:
        with self.database.transaction("jobs") as session:
            balances.write_checkpoints(session, now=self.now, account_id=self.ids[who])
            assert balances.rebuild_checkpoints(session, now=self.now, account_id=self.ids[who], actor="test") == 0

    @rule(month=st.sampled_from(["2026-08", "2026-09", "2026-10"]))
    def close_a_month(self, month: str) -> None:
        with self.database.transaction("jobs") as session:
            seller = directory.find_seller_by_code(session, self.seller_code)
            assert seller is not None
            periods.close(session, now=self.now, seller_id=seller.id, month_label=month, actor="finance")

    @invariant()
    def balances_are_the_fold_of_what_was_posted(self) -> None:
        with self.database.reading() as session:
            for who, account_id in self.ids.items():
                found = {balance.currency: balance for balance in balances.of_account(session, account_id)}
                for currency in CURRENCIES:
                    balance = found.get(currency)
                    for name in (*OWN, "refund_pending"):
                        figure = getattr(balance, f"{name}_minor") if balance else 0
                        assert figure == self.model[who, name, currency]
                    total = sum(self.model[who, name, currency] for name in OWN)
                    assert (balance.balance_minor if balance else 0) == total

    @invariant()
    def debits_and_credits_are_the_same_sum(self) -> None:
        with self.database.reading() as session:
            assert set(trial_balance.imbalances(session).values()) <= {0}

    def teardown(self) -> None:
        """At the end of a run: chains verify, statements and explanations walk the same way, as-of gives the past back."""
        with self.database.reading() as session:
            for who, account_id in self.ids.items():
                report = verification.verify_chain(session, account_id)
                assert report.differences == ()
                count = len(
                    session.scalars(
                        select(LedgerTransaction.id).where(LedgerTransaction.billing_account_id == account_id)
                    ).all()
                )
                assert count == len([key for key in self.balance_after if key[0] == who])
                self._walk(session, who, account_id)
                for told in explanation.explain(session, account_id=account_id):
                    assert told.opening_minor == 0
                    assert told.closing_minor == sum(self.model[who, name, told.currency] for name in OWN)

    def _walk(self, session: Any, who: str, account_id: str) -> None:
        before: int | None = None
        while True:
            page = statement.movements(session, account_id=account_id, before_seq=before, limit=2)
            for row in page.rows:
                assert row.balance_minor == self.balance_after[who, row.chain_seq][row.currency]
            before = page.next_before_seq
            if before is None:
                return

    def _post(self, who: str, source_id: str, moves: list[Any], occurred_at: datetime) -> str:
        made = [entry(kind, debit, credit, minor, currency) for (kind, debit, credit), minor, currency in moves]
        with self.database.transaction() as session:
            posted = post(session, self.ids[who], source_id, *made, now=self.now, occurred_at=occurred_at)
        return posted.transaction_id

    def _add(self, who: str, moves: list[Any]) -> None:
        for (_, debit, credit), minor, currency in moves:
            self.model[who, credit, currency] += Fraction(minor)
            self.model[who, debit, currency] -= Fraction(minor)

    def _note(self, who: str) -> None:
        seq = 1 + len([key for key in self.balance_after if key[0] == who])
        self.balance_after[who, seq] = {
            currency: sum((self.model[who, name, currency] for name in OWN), Fraction()) for currency in CURRENCIES
        }

    def _tick(self) -> None:
        self.now += timedelta(minutes=7)


@pytest.mark.tampers  # usage, invoices and refunds without their rows
@pytest.mark.slow
def test_the_books_equal_an_independent_fold(database: Database) -> None:
    machine = type("BooksOnThisDatabase", (Books,), {"database": database})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
