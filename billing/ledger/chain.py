"""The canonical bytes of a ledger transaction and its hash (Law 4). Pure: what is written here, others verify without us.

Canonical JSON (`kernel.canonical`), instants as whole microseconds since 1970, ids and codes as text, amounts as integers.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, NamedTuple

from billing.kernel import canonical

GENESIS = "0" * 64
"""`prev_hash` of the first transaction of a chain."""


class Header(NamedTuple):
    """All stored columns of a transaction but its hashes' results, in the order in which they are hashed."""

    id: str
    billing_account_id: str
    chain_seq: int
    type: str
    source_type: str
    source_id: str
    content_hash: str
    accounting_period_id: str
    occurred_at_micros: int
    effective_at_micros: int
    recorded_at_micros: int
    reverses_id: str | None
    linked_id: str | None
    actor: str
    memo_hash: str | None
    correlation_id: str | None
    entry_count: int


class EntryFacts(NamedTuple):
    """All stored columns of an entry but its transaction's id, in the order in which they are hashed."""

    id: str
    billing_account_id: str
    chain_seq: int
    seq: int
    kind: str
    debit_account_id: str
    debit_owner: str
    credit_account_id: str
    credit_owner: str
    amount_minor: int
    currency: str
    detail: dict[str, Any]


def transaction_hash(header: Header, entries: Iterable[EntryFacts], prev_hash: str, anchor: str | None) -> str:
    """SHA-256 over `["ledger-transaction/1", prev_hash, header, entries, anchor]`, entries in order of `seq`."""
    return canonical.digest("ledger-transaction/1", prev_hash, list(header), [list(entry) for entry in entries], anchor)


def hash_of_texts(header: Header, entry_texts: Iterable[str], prev_hash: str, anchor: str | None) -> str:
    """The same of entries that are canonical text already: a posting lays out thousands of them."""
    before, after = canonical.dumps([prev_hash, list(header)]), canonical.dumps([anchor])
    text = f'["ledger-transaction/1",{before[1:-1]},[{",".join(entry_texts)}],{after[1:]}'
    return sha256(text.encode()).hexdigest()


def content_hash(
    billing_account_id: str,
    source: tuple[str, str, str],
    entry_texts: Iterable[str],
    anchor: str | None,
    reverses_id: str | None,
) -> str:
    """What was asked to be posted: a repeat has the same, whoever repeats it and whenever.

    SHA-256 over `["ledger-content/1", account, type, source_type, source_id, entries, anchor, reverses_id]`. An entry's text is
    the canonical JSON of (kind, debit name, credit name, amount, currency, detail).
    """
    before, after = canonical.dumps([billing_account_id, *source]), canonical.dumps([anchor, reverses_id])
    text = f'["ledger-content/1",{before[1:-1]},[{",".join(entry_texts)}],{after[1:]}'
    return sha256(text.encode()).hexdigest()


def memo_hash(salt: str, memo: str) -> str:
    """The salted commitment to a transaction's free text."""
    return canonical.digest("ledger-memo/1", salt, memo)
