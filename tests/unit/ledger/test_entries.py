"""What may be posted."""

import json
from typing import Any

import pytest

from billing.kernel import canonical
from billing.kernel.errors import Invalid
from billing.kernel.money import MAX_MINOR, Money
from billing.ledger import chain, entries
from billing.ledger.chain import EntryFacts, Header
from billing.ledger.entries import KINDS, Entry
from billing.ledger.errors import EntryRefused


def _entry(kind: str, debit: str, credit: str, minor: int = 5, currency: str = "USD") -> Entry:
    return Entry(kind=kind, debit=debit, credit=credit, amount=Money(minor=minor, currency=currency))


# The table "Ledger accounts and postings" of the money core, row by row.
@pytest.mark.parametrize(
    ("kind", "debit", "credit"),
    [
        ("usage_debit", "unbilled", "revenue:compute"),
        ("usage_debit", "revenue:compute", "unbilled"),
        ("opening_charge", "unbilled", "revenue:support"),
        ("closing_charge", "unbilled", "revenue:support"),
        ("promo_apply", "promo", "unbilled"),
        ("discount", "discount", "unbilled"),
        ("invoice_issue", "receivable", "unbilled"),
        ("tax", "receivable", "tax:DE"),
        ("tax_inclusive", "revenue:compute", "tax:DE"),
        ("rounding", "rounding", "revenue:compute"),
        ("rounding", "revenue:compute", "rounding"),
        ("credit_note", "unbilled", "receivable"),
        ("credit_note", "tax:DE", "wallet"),
        ("credit_note", "revenue:compute", "receivable"),
        ("refund_credit", "revenue:compute", "wallet"),
        ("wallet_apply", "wallet", "receivable"),
        ("stripe_credit", "cash:stripe", "wallet"),
        ("stripe_credit", "cash:stripe", "receivable"),
        ("bank_credit", "cash:bank", "receivable"),
        ("payout", "cash:bank", "cash:stripe"),
        ("processor_fee", "processor_fees", "cash:stripe"),
        ("processor_fee", "cash:stripe", "processor_fees"),
        ("dispute_fee", "dispute_fees", "cash:stripe"),
        ("fx_provider", "fx_clearing", "cash:stripe"),
        ("fx_provider", "cash:stripe", "fx_clearing"),
        ("admin_credit", "promo_expense", "promo"),
        ("promo_grant", "promo_expense", "promo"),
        ("promo_expiry", "promo", "promo_expense"),
        ("promo_return", "revenue:compute", "promo"),
        ("discount_return", "revenue:compute", "discount"),
        ("refund_hold", "wallet", "refund_pending"),
        ("provider_refund", "refund_pending", "cash:stripe"),
        ("bank_refund", "refund_pending", "cash:bank"),
        ("refund_release", "refund_pending", "wallet"),
        ("refund_return", "cash:stripe", "wallet"),
        ("chargeback_debit", "disputed", "cash:stripe"),
        ("chargeback_reversal", "cash:stripe", "disputed"),
        ("chargeback_final", "receivable", "disputed"),
        ("chargeback_final", "wallet", "disputed"),
        ("write_off", "bad_debt", "receivable"),
        ("write_off", "tax:DE", "wallet"),
        ("write_off_reversal", "receivable", "bad_debt"),
        ("commit_sale", "receivable", "deferred"),
        ("commit_sale", "receivable", "tax:DE"),
        ("commit_drawdown", "deferred", "unbilled"),
        ("commit_lapse", "deferred", "breakage"),
        ("fx_result", "fx_clearing", "fx_result"),
        ("reseller_margin", "commission", "reseller_payable"),
        ("reseller_tax", "tax:DE", "reseller_payable"),
        ("reseller_payout", "reseller_payable", "cash:bank"),
        ("reseller_collect", "cash:stripe", "reseller_payable"),
        ("adjustment", "wallet", "revenue:compute"),
    ],
)
def test_every_posting_of_the_money_core_has_its_kind(kind: str, debit: str, credit: str) -> None:
    assert _entry(kind, debit, credit).kind == kind


@pytest.mark.parametrize(
    ("kind", "debit", "credit", "reason"),
    [
        ("gift", "wallet", "promo", "unknown_kind"),
        ("stripe_credit", "wallet", "cash:stripe", "wrong_accounts"),
        ("usage_debit", "wallet", "revenue:compute", "wrong_accounts"),
        ("tax", "receivable", "revenue:compute", "wrong_accounts"),
        ("adjustment", "wallet", "wallet", "one_account"),
        ("adjustment", "wallet", "piggy_bank", "unknown_account"),
        ("adjustment", "wallet:1", "promo", "unknown_account"),
        ("adjustment", "wallet", "cash", "unknown_account"),
        ("adjustment", "wallet", "revenue:", "unknown_account"),
        ("adjustment", "wallet", "revenue:a/b", "unknown_account"),
        ("adjustment", "wallet", "tax:" + "x" * 41, "unknown_account"),
    ],
)
def test_what_has_no_place_in_the_books_is_refused(kind: str, debit: str, credit: str, reason: str) -> None:
    with pytest.raises(EntryRefused) as refused:
        _entry(kind, debit, credit)
    assert refused.value.fields["reason"] == reason


@pytest.mark.parametrize("minor", [0, -1, MAX_MINOR + 1])
def test_an_amount_is_above_zero_and_within_what_the_books_can_hold(minor: int) -> None:
    with pytest.raises(EntryRefused) as refused:
        _entry("adjustment", "wallet", "promo", minor)
    assert refused.value.fields["reason"] == "amount_out_of_range"


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(Invalid):
        _entry("adjustment", "wallet", "promo", currency="XXX")


def test_a_mirror_swaps_sides_and_keeps_amounts() -> None:
    made = entries.mirror(
        [_entry("stripe_credit", "cash:stripe", "wallet", 12), _entry("tax", "receivable", "tax:DE", 3)]
    )
    assert [(each.kind, each.debit, each.credit, each.amount.minor) for each in made] == [
        ("adjustment", "wallet", "cash:stripe", 12),
        ("adjustment", "tax:DE", "receivable", 3),
    ]


def test_each_kind_moves_names_that_exist() -> None:
    for kind, pairs in KINDS.items():
        for pair in pairs:
            assert {*pair} <= {*entries.TENANT_NAMES, *entries.HOUSE_NAMES}, kind


_HEADER = Header(
    id="txn_1",
    billing_account_id="bac_1",
    chain_seq=1,
    type="payment",
    source_type="test",
    source_id="p1",
    content_hash="c" * 64,
    accounting_period_id="acp_1",
    occurred_at_micros=1,
    effective_at_micros=2,
    recorded_at_micros=3,
    reverses_id=None,
    linked_id=None,
    actor="user",
    memo_hash=None,
    correlation_id=None,
    entry_count=1,
)
_FACT = EntryFacts(
    id="ent_1",
    billing_account_id="bac_1",
    chain_seq=1,
    seq=1,
    kind="bank_credit",
    debit_account_id="house/n/cash:bank/USD",
    debit_owner="house",
    credit_account_id="bac_1/wallet/USD",
    credit_owner="bac_1",
    amount_minor=5,
    currency="USD",
    detail={"payment": "pmt_1"},
)


def test_a_transactions_hash_is_what_any_language_makes_of_its_bytes() -> None:
    """The bytes are written out by hand here: whoever changes them breaks every chain there is."""
    import hashlib

    by_hand = (
        '["ledger-transaction/1","' + chain.GENESIS + '",'
        '["txn_1","bac_1",1,"payment","test","p1","' + "c" * 64 + '","acp_1",1,2,3,null,null,"user",null,null,1],'
        '[["ent_1","bac_1",1,1,"bank_credit","house/n/cash:bank/USD","house","bac_1/wallet/USD","bac_1",5,"USD",'
        '{"payment":"pmt_1"}]],"aa"]'
    )
    expected = hashlib.sha256(by_hand.encode()).hexdigest()
    assert chain.transaction_hash(_HEADER, [_FACT], chain.GENESIS, "aa") == expected


def test_every_field_of_a_transaction_and_of_an_entry_changes_its_hash() -> None:
    def changed(value: Any) -> Any:
        return value + 1 if isinstance(value, int) else {"other": 1} if isinstance(value, dict) else f"{value}x"

    hashes = {chain.transaction_hash(_HEADER, [_FACT], chain.GENESIS, "aa")}
    for name in Header._fields:
        other = _HEADER._replace(**{name: changed(getattr(_HEADER, name))})
        hashes.add(chain.transaction_hash(other, [_FACT], chain.GENESIS, "aa"))
    for name in EntryFacts._fields:
        fact = _FACT._replace(**{name: changed(getattr(_FACT, name))})
        hashes.add(chain.transaction_hash(_HEADER, [fact], chain.GENESIS, "aa"))
    hashes.add(chain.transaction_hash(_HEADER, [_FACT], "1" * 64, "aa"))
    hashes.add(chain.transaction_hash(_HEADER, [_FACT], chain.GENESIS, None))
    hashes.add(chain.transaction_hash(_HEADER, [_FACT, _FACT], chain.GENESIS, "aa"))
    hashes.add(chain.transaction_hash(_HEADER, [], chain.GENESIS, "aa"))
    assert len(hashes) == 1 + len(Header._fields) + len(EntryFacts._fields) + 4


def test_entries_laid_out_as_text_hash_as_their_facts_do() -> None:
    odd = _FACT._replace(debit_owner='a "quoted"\\ name\t', detail={"charge_id": 'chg_"1"\n\x1f\u2028é'})
    texts = [canonical.dumps(list(odd)), canonical.dumps(list(_FACT))]
    said = chain.transaction_hash(_HEADER, [odd, _FACT], chain.GENESIS, "aa")
    assert chain.hash_of_texts(_HEADER, texts, chain.GENESIS, "aa") == said
    assert chain.hash_of_texts(_HEADER, [], chain.GENESIS, None) == chain.transaction_hash(
        _HEADER, [], chain.GENESIS, None
    )


def test_a_detail_of_one_text_is_written_as_every_json_library_writes_it() -> None:
    for text in ("", "chg_1", 'a"b\\c', "\x00\x1f\x7f", "\n\r\t\b\f", "é\u2028\U0001f600/"):
        assert canonical.dumps({text: text}) == json.dumps({text: text}, ensure_ascii=False, separators=(",", ":"))
