"""Signed roots against the database, against each other and against their files: what was cut, replaced or forked is named.

The heads are rebuilt root by root as they moved, so every root that was ever signed is proven, not only the newest.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.ledger import root_files, roots
from billing.ledger.roots import Head, HeadTree, RootRow
from billing.ledger.tables import LedgerTransaction, RootHead, SignedRoot
from billing.storage import signing
from billing.storage.tables import SigningKey

_BATCH = 2_000


@dataclass(frozen=True, kw_only=True)
class Broken:
    """A root, head or file that is not what was signed. `sentence` goes on after the subject's name."""

    subject_id: str
    sentence: str
    facts: dict[str, Any]


def verify(session: Session, folder: Path | None = None) -> Iterator[Broken | int]:
    """Walk all roots from the first: how many rows and files were in order (to be added up), and each that is not.

    Looks at keys, roots and heads; with `folder` also at the files, and at what files say that the database no longer holds.
    Rows are streamed; in memory stand the heads of all chains and one node each. The session sees everything.
    """
    for key in signing.list_keys(session):
        if key.is_vouched and key.fingerprint == signing.fingerprint_of(key.public_key):
            yield 1
        else:
            yield _broken(key.id, "is a signing key that the key before it does not vouch for")
    files = root_files.list_files(folder) if folder is not None else None
    heads, expected_seq, previous_hash = _moved(session), 1, roots.START
    pending = next(heads, None)
    tree = HeadTree()
    for row in _stream_roots(session):
        moved: dict[str, Head] = {}
        while pending is not None and pending[0] <= row.seq:
            if pending[0] == row.seq:
                yield from _check_heads(row, pending[1], tree)
                moved |= {each.billing_account_id: Head(each.chain_seq, each.chain_hash) for each in pending[1]}
            pending = next(heads, None)
        tree.move(moved)
        found: list[Broken | int] = list(_check_root(row, expected_seq, previous_hash, tree))
        if files is not None:
            found += _check_file(row, moved, files.pop(row.seq, None))
        yield from found or [1]
        expected_seq, previous_hash = row.seq + 1, row.hash
    while pending is not None:
        yield _broken(pending[1][0].root_id, f"has heads under number {pending[0]}, and there is no such root")
        pending = next(heads, None)
    for seq, path in (files or {}).items():
        yield from _check_beyond(session, seq, path, tree)


def _check_root(row: RootRow, expected_seq: int, previous_hash: str, tree: HeadTree) -> Iterator[Broken]:
    if row.seq != expected_seq:
        yield _broken(row.id, f"is root number {row.seq}, where number {expected_seq} comes next: roots were removed")
    elif row.previous_hash != previous_hash:
        yield _broken(row.id, f"does not name the root before it (number {row.seq})")
    if roots.root_hash(row) != row.hash:
        yield _broken(row.id, f"does not hash to what it says: root number {row.seq} was altered")
    elif not signing.is_signed(roots.signed_bytes(row.hash), row.signature, row.public_key):
        yield _broken(row.id, f"its signature is not that of key {row.fingerprint} (number {row.seq})")
    stands = (tree.root, len(tree.heads), tree.transaction_count)
    if stands != (row.merkle_root, row.chain_count, row.transaction_count):
        sentence = (
            f"was signed over other heads than those kept for it (number {row.seq}): a head was altered or removed"
        )
        yield _broken(row.id, sentence, chains=len(tree.heads), signed_chains=row.chain_count)


def _check_heads(row: RootRow, moved: list[Any], tree: HeadTree) -> Iterator[Broken | int]:
    """Each head that moved stands in its chain, behind the one that was signed before it."""
    for each in moved:
        facts = {"account": each.billing_account_id, "chain_seq": each.chain_seq, "root_seq": row.seq}
        before = tree.heads.get(each.billing_account_id)
        if each.root_id != row.id:
            yield _broken(each.root_id, f"has a head under number {row.seq}, which is root {row.id}", **facts)
        elif before is not None and each.chain_seq <= before.chain_seq:
            sentence = f"its head under root {row.seq} is number {each.chain_seq}, root by root it only rises"
            yield _broken(each.billing_account_id, sentence, **facts)
        elif each.stored_hash is None:
            sentence = f"its number {each.chain_seq} was signed by root {row.seq} and is not there: the tail was cut"
            yield _broken(each.billing_account_id, sentence, **facts)
        elif each.stored_hash != each.chain_hash:
            sentence = f"its number {each.chain_seq} is not the transaction that root {row.seq} signed: it was replaced"
            yield _broken(each.billing_account_id, sentence, **facts)
        else:
            yield 1


def _check_file(row: RootRow, moved: dict[str, Head], path: Path | None) -> list[Broken]:
    if path is None:
        return [_broken(row.id, f"has no file: {root_files.name_of(row.seq)} is missing", root_seq=row.seq)]
    try:
        is_same = path.read_bytes() == root_files.render(row, moved)
    except OSError:
        is_same = False
    if is_same:
        return []
    told = root_files.read(path)
    if told is not None and told[0].hash != row.hash and _is_signed(told[0]):
        sentence = f"is forked: {path.name} holds another signed root of number {row.seq}"
        return [_broken(row.id, sentence, root_seq=row.seq)]
    return [_broken(row.id, f"its file {path.name} says something else than the database", root_seq=row.seq)]


def _check_beyond(session: Session, seq: int, path: Path, tree: HeadTree) -> Iterator[Broken]:
    """A file whose root the database does not hold: signed, it proves what was there."""
    told = root_files.read(path)
    ours = {key.fingerprint for key in signing.list_keys(session)}
    if told is None or told[0].seq != seq or told[0].fingerprint not in ours or not _is_signed(told[0]):
        yield _broken(path.name, "is no root that this installation signed")
        return
    row, moved = told
    yield _broken(path.name, f"holds root number {seq}, which is not in the database: roots were removed", root_seq=seq)
    tree.move(moved)
    if tree.root != row.merkle_root:
        yield _broken(path.name, f"was signed over other heads than those it lists (number {seq})", root_seq=seq)
    for account_id, head in moved.items():
        stored = session.execute(
            select(LedgerTransaction.hash).where(
                LedgerTransaction.billing_account_id == account_id, LedgerTransaction.chain_seq == head.chain_seq
            )
        ).scalar()
        if stored != head.chain_hash:
            sentence = f"its number {head.chain_seq} was signed by root {seq} in {path.name} and is not there: the tail was cut"
            yield _broken(account_id, sentence, account=account_id, chain_seq=head.chain_seq, root_seq=seq)


def _is_signed(row: RootRow) -> bool:
    """Whether a root that came from a file is what its key signed."""
    return (
        roots.root_hash(row) == row.hash
        and signing.fingerprint_of(row.public_key) == row.fingerprint
        and signing.is_signed(roots.signed_bytes(row.hash), row.signature, row.public_key)
    )


def _moved(session: Session) -> Iterator[tuple[int, list[Any]]]:
    """(root number, its moved heads with `stored_hash`, the transaction that stands in their place), rising."""
    statement = (
        select(
            RootHead.root_seq,
            RootHead.root_id,
            RootHead.billing_account_id,
            RootHead.chain_seq,
            RootHead.chain_hash,
            LedgerTransaction.hash.label("stored_hash"),
        )
        .outerjoin(
            LedgerTransaction,
            (LedgerTransaction.billing_account_id == RootHead.billing_account_id)
            & (LedgerTransaction.chain_seq == RootHead.chain_seq),
        )
        .order_by(RootHead.root_seq, RootHead.billing_account_id)
        .execution_options(yield_per=_BATCH)
    )
    with session.connection().execute(statement) as rows:
        for seq, group in groupby(rows, lambda row: row.root_seq):
            yield seq, list(group)


def _stream_roots(session: Session) -> Iterator[RootRow]:
    statement = (
        select(SignedRoot, SigningKey.fingerprint, SigningKey.public_key)
        .join(SigningKey, SigningKey.id == SignedRoot.key_id)
        .order_by(SignedRoot.seq)
        .execution_options(yield_per=500)
    )
    for row in session.execute(statement):
        yield roots.row_of(*row)


def _broken(subject_id: str, sentence: str, **facts: Any) -> Broken:
    return Broken(subject_id=subject_id, sentence=sentence, facts=facts)
