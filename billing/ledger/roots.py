"""Signed roots (Law 4): one hash over the heads of all chains, signed and chained to the root before it.

A chain alone cannot show that its tail was cut off. Under a root, every chain's length and last hash at that moment are held by a
signature whose key is not in the database. `root_heads` keeps the heads that moved; the whole set is rebuilt from them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session, aliased

from billing.accounts.tables import AccountHead
from billing.kernel import canonical
from billing.kernel.errors import Conflict
from billing.kernel.ids import new_id
from billing.kernel.merkle import Tree
from billing.ledger.tables import LedgerTransaction, RootHead, SignedRoot
from billing.storage import audit, bulk, locks, signing
from billing.storage.columns import micros
from billing.storage.signing import Signer
from billing.storage.tables import SigningKey

START = "0" * 64
"""`previous_hash` of the first root."""

_LOCK = "signed-roots"
_SEQ_MAX = 2**63 - 1  # what the column holds
_SIGNED = b"plumbline signed root\n"


class ChainNotContinued(Conflict):
    """A chain does not go on from the head that was signed last: cut, replaced, or the database is an older one.

    Fields: account (id, or none where chains are missing altogether), chain_seq, signed_seq.
    """

    code = "chain_not_continued"


class NothingSigned(Conflict):
    """There is no such root, or the account's chain is under none because nothing was posted to it."""

    code = "nothing_signed"


class Head(NamedTuple):
    """Where a chain ends: the number of its last transaction, and that one's hash."""

    chain_seq: int
    chain_hash: str


@dataclass(frozen=True, kw_only=True)
class RootRow:
    """A signed root with the key that signed it."""

    id: str
    seq: int
    previous_hash: str
    merkle_root: str
    chain_count: int
    transaction_count: int
    signed_at: datetime
    key_id: str
    hash: str
    signature: str
    fingerprint: str
    public_key: str


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """The proof that an account's head is under a root: the leaf's place among `root.chain_count` leaves, and the siblings."""

    root: RootRow
    head: Head
    place: int
    path: tuple[str, ...]


class HeadTree:
    """All heads in order of account id, and the Merkle tree over them, moved on root by root."""

    def __init__(self) -> None:
        self.heads: dict[str, Head] = {}
        self._order: list[str] = []
        self._places: dict[str, int] = {}
        self._tree = Tree()

    def move(self, moved: Mapping[str, Head]) -> None:
        """Take in the heads that moved. New accounts mostly come last, as ids rise with time: then nothing is built anew."""
        new = sorted(moved.keys() - self.heads.keys())
        self.heads.update(moved)
        if new and self._order and new[0] < self._order[-1]:
            self._order = sorted(self.heads)
            self._places = {account_id: place for place, account_id in enumerate(self._order)}
            self._tree = Tree(leaf(account_id, self.heads[account_id]) for account_id in self._order)
            return
        for account_id in new:
            self._places[account_id] = len(self._order)
            self._order.append(account_id)
        self._tree.put({self._places[account_id]: leaf(account_id, head) for account_id, head in moved.items()})

    @property
    def root(self) -> str:
        """The Merkle root, in hex."""
        return self._tree.root

    @property
    def transaction_count(self) -> int:
        """How many transactions stand in all chains."""
        return sum(head.chain_seq for head in self.heads.values())

    def proof(self, account_id: str) -> tuple[int, list[str]]:
        """The account's place and the siblings up to the root. Raises KeyError for one that has no head."""
        place = self._places[account_id]
        return place, self._tree.proof(place)


def leaf(account_id: str, head: Head) -> bytes:
    """What is hashed of one chain."""
    return canonical.dumps(["chain-head/1", account_id, head.chain_seq, head.chain_hash]).encode()


def root_hash(row: RootRow) -> str:
    """SHA-256 over all that a root says, its key's fingerprint included."""
    return canonical.digest(
        "signed-root/1",
        row.id,
        row.seq,
        row.previous_hash,
        row.merkle_root,
        row.chain_count,
        row.transaction_count,
        micros(row.signed_at),
        row.key_id,
        row.fingerprint,
    )


def signed_bytes(root: str) -> bytes:
    """What the signature of a root with that hash is made of."""
    return _SIGNED + bytes.fromhex(root)


def sign(session: Session, signer: Signer, *, now: datetime, actor: str) -> RootRow | None:
    """Sign a root over all chains as they stand; None when no chain moved since the newest root and its key is in force.

    One writer at a time; chains go on meanwhile. Raises ChainNotContinued when a chain no longer goes on from the head that was
    signed last, because a signature would bless what was cut or replaced; SigningKeyUnusable.
    """
    locks.take(session, _LOCK)
    key = signing.current(session, signer, now=now)
    newest = find_newest(session)
    before = heads_at(session)
    heads, moved = _heads(session, before)
    if newest is not None and len(heads) < newest.chain_count:
        raise ChainNotContinued(chain_count=len(heads), signed_count=newest.chain_count, reason="chains_missing")
    _require_continued(session, before, heads)
    if not heads or (not moved and newest is not None and newest.key_id == key.id):
        return None
    tree = HeadTree()
    tree.move(heads)
    facts = RootRow(
        id=new_id("rot"),
        seq=newest.seq + 1 if newest else 1,
        previous_hash=newest.hash if newest else START,
        merkle_root=tree.root,
        chain_count=len(heads),
        transaction_count=tree.transaction_count,
        signed_at=now,
        key_id=key.id,
        hash="",
        signature="",
        fingerprint=key.fingerprint,
        public_key=key.public_key,
    )
    digest = root_hash(facts)
    session.add(
        SignedRoot(
            id=facts.id,
            seq=facts.seq,
            previous_hash=facts.previous_hash,
            merkle_root=facts.merkle_root,
            chain_count=facts.chain_count,
            transaction_count=facts.transaction_count,
            signed_at=now,
            key_id=key.id,
            hash=digest,
            signature=signer.sign(signed_bytes(digest)),
        )
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act="root.sign",
        subject_type="signed_root",
        subject_id=facts.id,
        facts={"seq": facts.seq, "chain_count": facts.chain_count, "moved_count": len(moved)},
    )
    session.flush()  # its heads refer to it
    columns = ("root_id", "billing_account_id", "root_seq", "chain_seq", "chain_hash")
    rows = [(facts.id, account_id, facts.seq, *head) for account_id, head in moved.items()]
    bulk.insert_rows(session, RootHead.__table__, columns, rows)  # type: ignore[arg-type]
    return find_newest(session)


def find_newest(session: Session) -> RootRow | None:
    """The root signed last."""
    return next(_rows(session, limit=1), None)


def list_roots(session: Session, *, limit: int, before_seq: int | None = None) -> list[RootRow]:
    """Roots, newest first."""
    return list(_rows(session, limit=limit, before_seq=before_seq))


def get(session: Session, seq: int) -> RootRow:
    """The root of that number. Raises NothingSigned."""
    found = next(_rows(session, limit=1, before_seq=seq + 1), None) if 0 < seq < _SEQ_MAX else None
    if found is None or found.seq != seq:
        raise NothingSigned(seq=seq, reason="no_such_root")
    return found


def moved_heads(session: Session, seq: int) -> dict[str, Head]:
    """The heads that moved between the root before and root number `seq`, in order of account id."""
    rows = session.execute(
        select(RootHead.billing_account_id, RootHead.chain_seq, RootHead.chain_hash)
        .where(RootHead.root_seq == seq)
        .order_by(RootHead.billing_account_id)
    )
    return {account_id: Head(chain_seq, chain_hash) for account_id, chain_seq, chain_hash in rows}


def heads_at(session: Session, seq: int | None = None) -> dict[str, Head]:
    """Every chain's head under root number `seq`, or under the newest, in order of account id."""
    earlier = aliased(RootHead)
    last = select(func.max(earlier.root_seq)).where(earlier.billing_account_id == AccountHead.billing_account_id)
    if seq is not None:
        last = last.where(earlier.root_seq <= seq)
    rows = session.execute(  # from the accounts' heads, so that each account costs one look into the index
        select(RootHead.billing_account_id, RootHead.chain_seq, RootHead.chain_hash)
        .select_from(AccountHead)
        .join(
            RootHead,
            and_(
                RootHead.billing_account_id == AccountHead.billing_account_id,
                RootHead.root_seq == last.scalar_subquery(),
            ),
        )
        .order_by(RootHead.billing_account_id)
    )
    return {account_id: Head(chain_seq, chain_hash) for account_id, chain_seq, chain_hash in rows}


def prove(session: Session, account_id: str) -> Inclusion:
    """The newest root, and that the account's head is under it. Raises NothingSigned where it is under none.

    Sees all chains' heads: on PostgreSQL the session must be of a scope, or a role, that sees everything.
    """
    newest = find_newest(session)
    heads = heads_at(session)
    if newest is None or account_id not in heads:
        raise NothingSigned(account=account_id, reason="nothing_posted")
    tree = HeadTree()
    tree.move(heads)
    place, path = tree.proof(account_id)
    return Inclusion(root=newest, head=heads[account_id], place=place, path=tuple(path))


def _heads(session: Session, before: Mapping[str, Head]) -> tuple[dict[str, Head], dict[str, Head]]:
    """(all heads of chains that have begun, those among them that are not as `before` says), both in order of account id."""
    rows = session.execute(
        select(AccountHead.billing_account_id, AccountHead.chain_seq, AccountHead.chain_hash)
        .where(AccountHead.chain_seq > 0)
        .order_by(AccountHead.billing_account_id)
    )
    heads = {account_id: Head(chain_seq, chain_hash) for account_id, chain_seq, chain_hash in rows}
    return heads, {account_id: head for account_id, head in heads.items() if before.get(account_id) != head}


def _require_continued(session: Session, before: Mapping[str, Head], heads: Mapping[str, Head]) -> None:
    """Each signed head is still in its chain, and each head that is to be signed is its chain's transaction of that number."""
    wanted = [(account_id, head) for account_id, head in before.items() if heads.get(account_id) != head]
    wanted += [(account_id, head) for account_id, head in heads.items() if before.get(account_id) != head]
    for chunk in _chunks(wanted):
        rows = session.execute(
            select(LedgerTransaction.billing_account_id, LedgerTransaction.chain_seq, LedgerTransaction.hash).where(
                LedgerTransaction.billing_account_id.in_({account_id for account_id, _ in chunk}),
                LedgerTransaction.chain_seq.in_({head.chain_seq for _, head in chunk}),
            )
        )
        found = {(account_id, Head(chain_seq, digest)) for account_id, chain_seq, digest in rows}
        for account_id, head in chunk:
            signed = before.get(account_id)
            is_shorter = signed is not None and (account_id not in heads or heads[account_id][0] < signed[0])
            if is_shorter or (account_id, head) not in found:
                raise ChainNotContinued(
                    account=account_id, chain_seq=head.chain_seq, signed_seq=signed.chain_seq if signed else 0
                )


def _chunks(wanted: list[tuple[str, Head]], size: int = 200) -> Iterator[list[tuple[str, Head]]]:
    for place in range(0, len(wanted), size):
        yield wanted[place : place + size]


def _rows(session: Session, *, limit: int, before_seq: int | None = None) -> Iterator[RootRow]:
    statement = (
        select(SignedRoot, SigningKey.fingerprint, SigningKey.public_key)
        .join(SigningKey, SigningKey.id == SignedRoot.key_id)
        .order_by(SignedRoot.seq.desc())
        .limit(limit)
    )
    if before_seq is not None:
        statement = statement.where(SignedRoot.seq < before_seq)
    return (row_of(*row) for row in session.execute(statement))


def row_of(root: SignedRoot, fingerprint: str, public_key: str) -> RootRow:
    """A stored root with its key."""
    return RootRow(
        id=root.id,
        seq=root.seq,
        previous_hash=root.previous_hash,
        merkle_root=root.merkle_root,
        chain_count=root.chain_count,
        transaction_count=root.transaction_count,
        signed_at=root.signed_at,
        key_id=root.key_id,
        hash=root.hash,
        signature=root.signature,
        fingerprint=fingerprint,
        public_key=public_key,
    )
