"""Posting: the only way into the books (Laws 3 and 4).

Every entry debits one book account and credits another with the same positive amount, so the books balance because nothing
else can be stored. Rows are written in bulk: a batch of any size costs the same few round trips.
"""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from json.encoder import encode_basestring
from typing import Any, NamedTuple, cast

from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.kernel import canonical
from billing.kernel.ids import new_id, new_ids
from billing.ledger import chain, ledger_accounts, periods
from billing.ledger.chain import EntryFacts, Header
from billing.ledger.entries import Entry
from billing.ledger.errors import EntryRefused, LedgerConflict
from billing.ledger.ledger_accounts import Party, Place
from billing.ledger.tables import LedgerEntry, LedgerMemo, LedgerTransaction
from billing.storage import bulk, correlation
from billing.storage.columns import micros

_TRANSACTIONS = cast(Table, LedgerTransaction.__table__)
_ENTRIES = cast(Table, LedgerEntry.__table__)
_MEMOS = cast(Table, LedgerMemo.__table__)
_TRANSACTION_COLUMNS = (
    *("id", "billing_account_id", "chain_seq", "type", "source_type", "source_id", "content_hash"),
    *("accounting_period_id", "occurred_at", "effective_at", "recorded_at", "reverses_id", "linked_id", "actor"),
    *("memo_hash", "correlation_id", "entry_count", "anchor_hash", "prev_hash", "hash"),
)
_ENTRY_COLUMNS = ("transaction_id", *EntryFacts._fields)
_KEYS_PER_QUERY = 300


@dataclass(frozen=True, kw_only=True)
class Posted:
    """A transaction in its chain; `is_new` is False when the same was posted before."""

    transaction_id: str
    chain_seq: int
    is_new: bool


@dataclass(frozen=True, kw_only=True)
class Request:
    """One transaction to be posted: the arguments of `post`."""

    head: AccountHead
    type: str
    source_type: str
    source_id: str
    entries: Sequence[Entry]
    occurred_at: datetime
    actor: str
    memo: str = ""
    anchor_hash: str | None = None
    reverses_id: str | None = None
    linked_id: str | None = None

    @property
    def source(self) -> tuple[str, str, str]:
        """The key under which a repeat is recognised."""
        return self.type, self.source_type, self.source_id


def post(
    session: Session,
    *,
    now: datetime,
    head: AccountHead,
    type: str,
    source_type: str,
    source_id: str,
    entries: Sequence[Entry],
    occurred_at: datetime,
    actor: str,
    memo: str = "",
    anchor_hash: str | None = None,
    reverses_id: str | None = None,
    linked_id: str | None = None,
) -> Posted:
    """Post one transaction into the chain of `head`, which the caller holds locked (`accounts.heads`); flushes.

    A repeat (same type, source_type and source_id, same entries and anchor) gives the first one back; other content under the
    same key raises LedgerConflict. A transaction without entries must anchor something. Book accounts and the accounting
    period are made when first needed; into a closed period nothing posts, the first open one takes it. Raises EntryRefused.
    `memo` is free text and may be erased later; `Entry.detail` is hashed for ever and holds ids, codes and integers only.
    """
    request = Request(
        head=head,
        type=type,
        source_type=source_type,
        source_id=source_id,
        entries=entries,
        occurred_at=occurred_at,
        actor=actor,
        memo=memo,
        anchor_hash=anchor_hash,
        reverses_id=reverses_id,
        linked_id=linked_id,
    )
    return post_many(session, [request], now=now)[0]


def post_many(session: Session, requests: Sequence[Request], *, now: datetime) -> list[Posted]:
    """Post transactions in order, each as `post` does, into the chains of heads that are all locked (in order of id).

    The number of round trips does not depend on how many there are.
    """
    known = _find_posted(session, requests)
    batch = _Batch(session, now)
    results: list[Posted] = []
    for request in requests:
        details = [canonical.dumps(entry.detail) for entry in request.entries]
        digest = _content_hash(request, details)
        first = known.get(request.source)
        if first is None:
            transaction_id, chain_seq = batch.add(request, details, digest)
            known[request.source] = (transaction_id, chain_seq, digest)
        else:
            transaction_id, chain_seq, stored_digest = first
            if stored_digest != digest:
                raise LedgerConflict(
                    type=request.type,
                    source_type=request.source_type,
                    source_id=request.source_id,
                    transaction_id=transaction_id,
                )
        results.append(Posted(transaction_id=transaction_id, chain_seq=chain_seq, is_new=first is None))
    batch.write()
    return results


class _Side(NamedTuple):
    """One of the two book accounts of an entry: its columns, and as canonical text."""

    account_id: str
    owner: str
    text: str


class _Batch:
    """Rows of transactions that are not written yet, and where each chain stands with them."""

    def __init__(self, session: Session, now: datetime) -> None:
        self._session = session
        self._now = now
        self._heads: dict[str, AccountHead] = {}
        self._ends: dict[str, tuple[int, str]] = {}  # chain -> (last seq, last hash)
        self._places: dict[str, Place] = {}
        self._sides: dict[tuple[str, str, str], _Side] = {}  # (chain, name, currency)
        self._transactions: list[tuple[Any, ...]] = []
        self._entries: list[tuple[Any, ...]] = []
        self._memos: list[tuple[Any, ...]] = []

    def add(self, request: Request, details: Sequence[str], content_hash: str) -> tuple[str, int]:
        """Take the next number of the chain and hash the transaction; (id, chain_seq). `details` are the entries', canonical."""
        if not request.entries and request.anchor_hash is None:
            raise EntryRefused(reason="nothing_to_post", source_type=request.source_type, source_id=request.source_id)
        head = request.head
        chain_id = head.billing_account_id
        party = ledger_accounts.party(self._session, chain_id)
        period = periods.period_for(self._session, seller_id=party.seller_id, occurred_at=request.occurred_at)
        last_seq, prev_hash = self._ends.get(chain_id, (head.chain_seq, head.chain_hash))
        transaction_id, chain_seq = new_id("txn"), last_seq + 1
        texts = self._add_entries(transaction_id, request, details, party, chain_seq)
        header = Header(
            id=transaction_id,
            billing_account_id=chain_id,
            chain_seq=chain_seq,
            type=request.type,
            source_type=request.source_type,
            source_id=request.source_id,
            content_hash=content_hash,
            accounting_period_id=period.id,
            occurred_at_micros=micros(request.occurred_at),
            effective_at_micros=micros(period.effective_at),
            recorded_at_micros=micros(self._now),
            reverses_id=request.reverses_id,
            linked_id=request.linked_id,
            actor=request.actor,
            memo_hash=self._add_memo(transaction_id, request.memo),
            correlation_id=correlation.current(),
            entry_count=len(texts),
        )
        digest = chain.hash_of_texts(header, texts, prev_hash, request.anchor_hash)
        instants = (request.occurred_at, period.effective_at, self._now)
        self._transactions.append((*header[:8], *instants, *header[11:], request.anchor_hash, prev_hash, digest))
        self._heads[chain_id], self._ends[chain_id] = head, (chain_seq, digest)
        return transaction_id, chain_seq

    def write(self) -> None:
        """Write all rows and move the heads on, which are written with the first of them."""
        if not self._transactions:
            return
        for chain_id, (chain_seq, digest) in self._ends.items():
            self._heads[chain_id].chain_seq, self._heads[chain_id].chain_hash = chain_seq, digest
        ledger_accounts.ensure(self._session, self._places.values(), now=self._now)
        bulk.insert_rows(self._session, _TRANSACTIONS, _TRANSACTION_COLUMNS, self._transactions)
        if self._entries:
            bulk.insert_rows(self._session, _ENTRIES, _ENTRY_COLUMNS, self._entries)
        if self._memos:
            bulk.insert_rows(self._session, _MEMOS, ("transaction_id", "memo", "salt"), self._memos)

    def _add_entries(
        self, transaction_id: str, request: Request, details: Sequence[str], party: Party, chain_seq: int
    ) -> list[str]:
        """Rows of the entries in the order of EntryFacts; their canonical texts, which hold ids, codes and numbers."""
        account_id, sides, add_row = party.billing_account_id, self._sides, self._entries.append
        entry_ids = new_ids("ent", len(request.entries))
        texts = []
        for seq, (entry_id, entry, detail) in enumerate(zip(entry_ids, request.entries, details, strict=True), start=1):
            kind, minor, currency = entry.kind, entry.amount.minor, entry.amount.currency
            debit = sides.get((account_id, entry.debit, currency)) or self._side(party, entry.debit, currency)
            credit = sides.get((account_id, entry.credit, currency)) or self._side(party, entry.credit, currency)
            texts.append(
                f'["{entry_id}","{account_id}",{chain_seq},{seq},"{kind}",{debit.text},{credit.text},{minor},"{currency}",{detail}]'
            )
            columns = (entry_id, account_id, chain_seq, seq, kind, *debit[:2], *credit[:2], minor, currency, detail)
            add_row((transaction_id, *columns))
        return texts

    def _side(self, party: Party, name: str, currency: str) -> _Side:
        found = ledger_accounts.place(party, name, currency)
        self._places[found.id] = found
        side = _Side(found.id, found.owner, f"{encode_basestring(found.id)},{encode_basestring(found.owner)}")
        self._sides[party.billing_account_id, name, currency] = side
        return side

    def _add_memo(self, transaction_id: str, memo: str) -> str | None:
        if not memo:
            return None
        salt = secrets.token_hex(16)
        self._memos.append((transaction_id, memo, salt))
        return chain.memo_hash(salt, memo)


def _content_hash(request: Request, details: Sequence[str]) -> str:
    asked = [
        f'["{entry.kind}","{entry.debit}","{entry.credit}",{entry.amount.minor},"{entry.amount.currency}",{detail}]'
        for entry, detail in zip(request.entries, details, strict=True)
    ]
    return chain.content_hash(
        request.head.billing_account_id, request.source, asked, request.anchor_hash, request.reverses_id
    )


def _find_posted(session: Session, requests: Iterable[Request]) -> dict[tuple[str, str, str], tuple[str, int, str]]:
    """{(type, source_type, source_id): (transaction id, chain_seq, content hash)} of those posted before."""
    by_kind: dict[tuple[str, str], list[str]] = {}
    for request in requests:
        by_kind.setdefault((request.type, request.source_type), []).append(request.source_id)
    found: dict[tuple[str, str, str], tuple[str, int, str]] = {}
    for (type_, source_type), source_ids in by_kind.items():
        for place in range(0, len(source_ids), _KEYS_PER_QUERY):
            rows = session.connection().execute(
                select(*_TRANSACTIONS.c["source_id", "id", "chain_seq", "content_hash"]).where(
                    _TRANSACTIONS.c.type == type_,
                    _TRANSACTIONS.c.source_type == source_type,
                    _TRANSACTIONS.c.source_id.in_(source_ids[place : place + _KEYS_PER_QUERY]),
                )
            )
            for source_id, transaction_id, chain_seq, content_hash in rows:
                found[type_, source_type, source_id] = (transaction_id, chain_seq, content_hash)
    return found
