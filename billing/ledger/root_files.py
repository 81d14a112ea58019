"""Signed roots outside the database: one JSON file each, written once and never overwritten.

Whoever owns the database can cut a chain's tail together with the roots over it. The files show it, the more so when they are
copied to a place that nobody of this installation can change.
"""

import contextlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from billing.kernel import canonical
from billing.kernel.clock import to_rfc3339
from billing.kernel.errors import Refusal
from billing.kernel.ids import new_id
from billing.ledger import roots
from billing.ledger.roots import Head, RootRow
from billing.storage.columns import micros

FORMAT = "plumbline-root/1"
_NAME = re.compile(r"root-([0-9]{8,15})\.json")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_BYTES = 256 * 2**20


class RootFileRefused(Refusal):
    """A root's file cannot be written, or its place is taken by another root (reason other_root). Fields: path."""

    code = "root_file"


@dataclass(frozen=True, kw_only=True)
class Keeping:
    """Where an installation keeps what its roots need: the file of its signing key, the folder of the roots' files."""

    key_path: Path
    folder: Path


def name_of(seq: int) -> str:
    """The file of root number `seq`."""
    return f"root-{seq:08d}.json"


def render(row: RootRow, moved: dict[str, Head]) -> bytes:
    """A root's file: all that was signed, the key, and the heads that moved since the root before."""
    told = {
        "format": FORMAT,
        "id": row.id,
        "seq": row.seq,
        "previous_hash": row.previous_hash,
        "merkle_root": row.merkle_root,
        "chain_count": row.chain_count,
        "transaction_count": row.transaction_count,
        "signed_at": to_rfc3339(row.signed_at),
        "signed_at_micros": micros(row.signed_at),
        "key_id": row.key_id,
        "fingerprint": row.fingerprint,
        "public_key": row.public_key,
        "hash": row.hash,
        "signature": row.signature,
        "moved_heads": [[account_id, *head] for account_id, head in moved.items()],
    }
    return canonical.dumps(told).encode() + b"\n"


def list_files(folder: Path) -> dict[int, Path]:
    """{number: file} of the roots' files in the folder, rising; nothing where there is no folder."""
    try:
        found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    except OSError:
        return {}
    return dict(sorted((int(match[1]), path) for match, path in found))


def export(session: Session, folder: Path, *, fills_gaps: bool = False) -> list[Path]:
    """Write the files of roots that are newer than the newest file; with `fills_gaps` also of those whose file is missing.

    Without it a file that somebody took away stays away, so that `root_checks` tells. Raises RootFileRefused.
    """
    there = list_files(folder)
    newest = max(there, default=0)
    written = []
    for row in _from_oldest(session, 0 if fills_gaps else newest):
        if row.seq not in there:
            content = render(row, roots.moved_heads(session, row.seq))
            written.append(_write(folder / name_of(row.seq), content))
    return written


def read(path: Path) -> tuple[RootRow, dict[str, Head]] | None:
    """What a root's file says, unproven: the root, and the heads that moved. None where it cannot be read as one."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            return None
        told = json.loads(path.read_bytes())
        if told["format"] != FORMAT:
            return None
        row = RootRow(
            id=str(told["id"]),
            seq=int(told["seq"]),
            previous_hash=str(told["previous_hash"]),
            merkle_root=str(told["merkle_root"]),
            chain_count=int(told["chain_count"]),
            transaction_count=int(told["transaction_count"]),
            signed_at=_EPOCH + timedelta(microseconds=int(told["signed_at_micros"])),
            key_id=str(told["key_id"]),
            hash=str(told["hash"]),
            signature=str(told["signature"]),
            fingerprint=str(told["fingerprint"]),
            public_key=str(told["public_key"]),
        )
        moved = {str(account_id): Head(int(seq), str(digest)) for account_id, seq, digest in told["moved_heads"]}
        bytes.fromhex(row.hash + row.public_key)
    except (OSError, ValueError, TypeError, LookupError, OverflowError, RecursionError):
        return None
    return row, moved


def _from_oldest(session: Session, after_seq: int) -> Iterator[RootRow]:
    newest = roots.find_newest(session)
    for seq in range(after_seq + 1, (newest.seq if newest else 0) + 1):
        yield roots.get(session, seq)


def _write(path: Path, content: bytes) -> Path:
    """The whole file or none, under a name that was free. Raises RootFileRefused."""
    draft = path.with_name(f".{path.name}.{new_id('draft')}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename it never replaces what is there
        _sync(path.parent)
    except FileExistsError:
        if path.read_bytes() != content:  # another process may have written the same root at the same time
            raise RootFileRefused(path=str(path), reason="other_root") from None
    except OSError as error:
        raise RootFileRefused(path=str(path), error=type(error).__name__) from error
    finally:
        with contextlib.suppress(OSError):
            draft.unlink()
    return path


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
