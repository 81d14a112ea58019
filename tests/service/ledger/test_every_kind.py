"""The table "Ledger accounts and postings" of the money core: every kind is posted with each of its pairs, every other pair is refused."""

from itertools import product

import pytest
from sqlalchemy import func, select

from billing.kernel.money import Money
from billing.ledger import balances, trial_balance
from billing.ledger.entries import HOUSE_NAMES, KINDS, TENANT_NAMES, Entry
from billing.ledger.errors import EntryRefused
from billing.ledger.tables import LedgerEntry
from billing.storage.database import Database
from tests.service.ledger.books import entry, open_account, post

# kind -> the (debit, credit) pairs that the table allows, written out by hand: "debit>credit", "<>" for both directions.
TABLE = {
    "usage_debit": "unbilled<>revenue",
    "opening_charge": "unbilled<>revenue",
    "closing_charge": "unbilled<>revenue",
    "promo_apply": "promo>unbilled",
    "discount": "discount>unbilled",
    "invoice_issue": "receivable<>unbilled",
    "tax": "receivable<>tax",
    "tax_inclusive": "revenue<>tax",
    "rounding": "rounding<>revenue rounding<>receivable rounding<>wallet",
    "wallet_apply": "wallet>receivable",
    "credit_note": "revenue>receivable tax>receivable unbilled>receivable deferred>receivable rounding>receivable "
    "revenue>wallet tax>wallet unbilled>wallet deferred>wallet rounding>wallet receivable>revenue receivable>tax "
    "receivable>unbilled wallet>revenue wallet>tax wallet>unbilled",
    "refund_credit": "revenue<>wallet tax<>wallet unbilled<>wallet deferred>wallet rounding>wallet",
    "promo_return": "revenue>promo unbilled>promo",
    "discount_return": "revenue>discount unbilled>discount",
    "stripe_credit": "cash>wallet cash>receivable",
    "bank_credit": "cash>wallet cash>receivable",
    "payout": "cash>cash",
    "processor_fee": "processor_fees<>cash",
    "dispute_fee": "dispute_fees<>cash",
    "fx_provider": "fx_clearing<>cash",
    "admin_credit": "promo_expense>promo",
    "promo_grant": "promo_expense>promo",
    "promo_expiry": "promo>promo_expense",
    "refund_hold": "wallet>refund_pending",
    "provider_refund": "refund_pending>cash",
    "bank_refund": "refund_pending>cash",
    "refund_release": "refund_pending>wallet",
    "refund_return": "cash>wallet",
    "chargeback_debit": "disputed>cash",
    "chargeback_reversal": "cash>disputed",
    "chargeback_final": "receivable<>disputed wallet<>disputed",
    "write_off": "bad_debt>receivable tax>receivable bad_debt>wallet tax>wallet",
    "write_off_reversal": "receivable>bad_debt receivable>tax wallet>bad_debt wallet>tax",
    "commit_sale": "receivable>deferred receivable>tax",
    "commit_drawdown": "deferred>unbilled",
    "commit_return": "revenue>deferred unbilled>deferred",
    "commit_lapse": "deferred>breakage",
    "fx_conversion": "fx_clearing<>unbilled fx_clearing<>receivable fx_clearing<>revenue",
    "fx_result": "fx_clearing<>fx_result",
    "reseller_margin": "commission<>reseller_payable",
    "reseller_tax": "tax>reseller_payable",
    "reseller_payout": "reseller_payable>cash",
    "reseller_collect": "cash>reseller_payable",
}
PARTS = {"cash": "cash:bank", "revenue": "revenue:compute", "tax": "tax:DE"}
ALL_NAMES = (*TENANT_NAMES, *HOUSE_NAMES)


def _pairs(kind: str) -> set[tuple[str, str]]:
    found = set()
    for text in TABLE[kind].split():
        left, _, right = text.replace("<>", ">").partition(">")
        found |= {(left, right), (right, left)} if "<>" in text else {(left, right)}
    return found


def _names(debit: str, credit: str) -> tuple[str, str]:
    named = PARTS.get(debit, debit), PARTS.get(credit, credit)
    return ("cash:bank", "cash:stripe") if debit == credit == "cash" else named


def test_there_is_a_row_for_every_kind() -> None:
    assert set(TABLE) == set(KINDS) - {"adjustment"}


@pytest.mark.tampers  # entries without the documents they stand for
def test_every_kind_is_posted_with_each_of_its_pairs_and_the_books_balance(database: Database) -> None:
    account_id = open_account(database)
    wanted = [(kind, *_names(*pair)) for kind in TABLE for pair in sorted(_pairs(kind))]
    expected: dict[str, int] = {}
    with database.transaction() as session:
        for place, (kind, debit, credit) in enumerate(wanted):
            post(session, account_id, f"k{place}", entry(kind, debit, credit, 2**place % 9_973 + 1), type=kind)
            for name, sign in ((debit, -1), (credit, 1)):
                expected[name] = expected.get(name, 0) + sign * (2**place % 9_973 + 1)
        post(session, account_id, "adj", entry("adjustment", "deferred", "fx_result", 7), type="adjustment")
        expected["deferred"] -= 7
        expected["fx_result"] += 7
    with database.reading() as session:
        stored = session.scalar(select(func.count()).select_from(LedgerEntry))
        assert stored == len(wanted) + 1 > 60
        [own] = balances.of_account(session, account_id)
        found = trial_balance.now(session)
        figures = {row.name: row.credit_minor - row.debit_minor for row in found.rows}
        assert figures == {name: expected.get(name, 0) for name in figures}
        assert own.wallet_minor == expected["wallet"]
        assert [total.difference_minor for total in found.totals] == [0]


@pytest.mark.parametrize("kind", sorted(TABLE))
def test_every_other_pair_is_refused(kind: str) -> None:
    allowed = _pairs(kind)
    refused = 0
    for debit, credit in product(ALL_NAMES, ALL_NAMES):
        if (debit, credit) in allowed or debit == credit:
            continue
        with pytest.raises(EntryRefused):
            Entry(
                kind=kind,
                debit=PARTS.get(debit, debit),
                credit=PARTS.get(credit, credit),
                amount=Money(minor=1, currency="USD"),
            )
        refused += 1
    assert refused >= len(ALL_NAMES) ** 2 - len(ALL_NAMES) - len(allowed)
