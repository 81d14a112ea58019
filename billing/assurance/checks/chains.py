"""Laws 3 and 4: every chain is whole, every transaction hashes to what it says, every entry has the shape that balances.

Rows are streamed transaction by transaction with their entries, account by account.
"""

from typing import Any, cast

from sqlalchemy import Table, exists, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.kernel.errors import Refusal
from billing.ledger import chain, entries
from billing.ledger.chain import EntryFacts, Header
from billing.ledger.tables import HOUSE, LedgerAccount, LedgerEntry, LedgerMemo, LedgerTransaction
from billing.storage.columns import micros

NAME = "chain"

_T = cast(Table, LedgerTransaction.__table__)
_E = cast(Table, LedgerEntry.__table__)
_HEADER = [_T.c[name.removesuffix("_micros")] for name in Header._fields]
_ENTRY = [_E.c[name] for name in EntryFacts._fields]


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every transaction, entry, memo and head, of one chain or of all."""
    transactions = entry_rows = 0
    for chain_id in streams.account_ids(session, account_id):
        seen = _check_chain(session, tally, chain_id)
        transactions, entry_rows = transactions + seen[0], entry_rows + seen[1]
    _check_memos(session, tally, account_id)
    transactions_there, entries_there = select(func.count()).select_from(_T), select(func.count()).select_from(_E)
    if account_id is not None:
        transactions_there = transactions_there.where(_T.c.billing_account_id == account_id)
        entries_there = entries_there.where(_E.c.billing_account_id == account_id)
    tally.expect("ledger_transactions", transactions, count(session, transactions_there))
    there = count(session, entries_there)
    if entry_rows != there:
        tally.expect("ledger_entries", entry_rows, there)
        _name_strays(session, tally)


def check_accounts(session: Session, tally: Tally) -> None:
    """Each book account's readable id says its owner, name and currency, so an entry's two ids say all of it."""
    for row in streams.stream(session, select(*LedgerAccount.__table__.c)):
        tally.look()
        prefix = row.id.split("/", 1)[0]
        if prefix != row.owner or not row.id.endswith(f"/{row.name}/{row.currency}"):
            tally.differ(row.id, f"belongs to {row.owner}, {row.name}, {row.currency}, which its id does not say")


def _check_chain(session: Session, tally: Tally, chain_id: str) -> tuple[int, int]:
    """(transactions, entries) looked at."""
    statement = (
        select(
            *_HEADER,
            _T.c.anchor_hash,
            _T.c.prev_hash,
            _T.c.hash,
            *(column.label(f"e_{column.name}") for column in _ENTRY),
        )
        .select_from(_T.outerjoin(_E, _E.c.transaction_id == _T.c.id))
        .where(_T.c.billing_account_id == chain_id)
        .order_by(_T.c.chain_seq, _E.c.seq)
    )
    last_seq, last_hash, transactions, entry_rows = 0, chain.GENESIS, 0, 0
    for _, rows in streams.grouped(streams.stream(session, statement), lambda row: row[0]):
        first = rows[0]
        found = [EntryFacts(*row[len(_HEADER) + 3 :]) for row in rows if row.e_id is not None]
        transactions, entry_rows = transactions + 1, entry_rows + len(found)
        tally.look(1 + len(found))
        _check_place(tally, first, last_seq, last_hash)
        _check_content(tally, first, found)
        for fact in found:
            _check_entry(tally, first, fact)
        last_seq, last_hash = first.chain_seq, first.hash
    _check_head(session, tally, chain_id, last_seq, last_hash)
    return transactions, entry_rows


def _check_place(tally: Tally, row: Any, last_seq: int, last_hash: str) -> None:
    if row.chain_seq != last_seq + 1:
        sentence = f"is number {row.chain_seq} of its chain, after number {last_seq}"
        tally.differ(row.id, sentence, account=row.billing_account_id, chain_seq=row.chain_seq)
    if row.prev_hash != last_hash:
        sentence = f"does not name the hash of the transaction before it (number {row.chain_seq})"
        tally.differ(row.id, sentence, account=row.billing_account_id, chain_seq=row.chain_seq)


def _check_content(tally: Tally, row: Any, found: list[EntryFacts]) -> None:
    header = Header._make((*row[:8], *map(micros, row[8:11]), *row[11 : len(_HEADER)]))
    if len(found) != row.entry_count:
        tally.differ(row.id, f"has {len(found)} entries and was posted with {row.entry_count}", chain_seq=row.chain_seq)
    if chain.transaction_hash(header, found, row.prev_hash, row.anchor_hash) != row.hash:
        sentence = f"does not hash to what it says: it or one of its entries was altered (number {row.chain_seq})"
        tally.differ(row.id, sentence, account=row.billing_account_id, chain_seq=row.chain_seq)


def _check_entry(tally: Tally, row: Any, fact: EntryFacts) -> None:
    """Law 3 in the row itself, whatever constraints hold: positive, two sides, own or house's book accounts, one currency."""
    if (fact.billing_account_id, fact.chain_seq) != (row.billing_account_id, row.chain_seq):
        tally.differ(fact.id, f"stands in another chain or place than its transaction {row.id}")
    if fact.amount_minor <= 0 or fact.debit_account_id == fact.credit_account_id:
        tally.differ(fact.id, "does not move a positive amount from one book account to another")
    names = []
    for ledger_account_id, owner in (
        (fact.debit_account_id, fact.debit_owner),
        (fact.credit_account_id, fact.credit_owner),
    ):
        prefix, _, _ = ledger_account_id.partition("/")
        if owner not in (HOUSE, fact.billing_account_id) or prefix != owner:
            tally.differ(
                fact.id, f"moves {ledger_account_id}, which belongs to another", account=fact.billing_account_id
            )
        if not ledger_account_id.endswith(f"/{fact.currency}"):
            tally.differ(fact.id, f"moves {fact.currency} on {ledger_account_id}")
        names.append(ledger_account_id.rsplit("/", 2)[1])
    pairs = entries.KINDS.get(fact.kind)
    try:
        is_known = pairs is not None and (not pairs or (entries.base_of(names[0]), entries.base_of(names[1])) in pairs)
    except Refusal:
        is_known = False
    if not is_known:
        tally.differ(fact.id, f"is a {fact.kind} from {names[0]} to {names[1]}, which that kind may not be")


def _check_head(session: Session, tally: Tally, chain_id: str, last_seq: int, last_hash: str) -> None:
    head = session.execute(
        select(
            AccountHead.chain_seq, AccountHead.chain_hash, AccountHead.matched_usage_seq, AccountHead.usage_seq
        ).where(AccountHead.billing_account_id == chain_id)
    ).one_or_none()
    if head is None:
        tally.differ(chain_id, "has no head")
        return
    tally.look()
    if not 0 <= head.matched_usage_seq <= head.usage_seq:
        sentence = f"its head says usage up to number {head.matched_usage_seq} is matched with reservations, of {head.usage_seq}"
        tally.differ(chain_id, sentence)
    if tuple(head[:2]) != (last_seq, last_hash):
        sentence = f"its head says number {head.chain_seq}, its chain ends at number {last_seq} or with another hash"
        tally.differ(chain_id, sentence, head_seq=head.chain_seq, chain_seq=last_seq)


def _check_memos(session: Session, tally: Tally, account_id: str | None) -> None:
    """A memo may be erased, never altered."""
    statement = select(LedgerMemo.transaction_id, LedgerMemo.memo, LedgerMemo.salt, _T.c.memo_hash).join(
        _T, _T.c.id == LedgerMemo.transaction_id
    )
    if account_id is not None:
        statement = statement.where(_T.c.billing_account_id == account_id)
    looked = 0
    for transaction_id, memo, salt, memo_hash in streams.stream(session, statement):
        looked += 1
        tally.look()
        if chain.memo_hash(salt, memo) != memo_hash:
            tally.differ(transaction_id, "its memo was altered")
    if account_id is None:
        there = count(session, select(func.count()).select_from(LedgerMemo))
        tally.expect("ledger_memos", looked, there)
        told = exists().where(_T.c.id == LedgerMemo.transaction_id)
        unread = session.scalars(select(LedgerMemo.transaction_id).where(~told).limit(100)) if looked != there else ()
        for transaction_id in unread:
            tally.differ(transaction_id, "has a memo, and there is no such transaction")


def _name_strays(session: Session, tally: Tally) -> None:
    strays = (
        select(_E.c.id, _E.c.transaction_id)
        .select_from(_E.outerjoin(_T, _T.c.id == _E.c.transaction_id))
        .where(_T.c.id.is_(None) | (_T.c.billing_account_id != _E.c.billing_account_id))
    )
    for entry_id, transaction_id in streams.stream(session, strays):
        tally.differ(entry_id, f"belongs to {transaction_id}, which is not there or not in its chain")
