"""The portal's signature (Ed25519): what is signed here can be proven to strangers by a fingerprint published elsewhere.

The private key is a file of its own and never in the database, whose owner could otherwise sign what they altered. The database
keeps the public halves; each new key is signed by the one before it, so that a fingerprint stays good over rotations.
"""

import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal
from billing.kernel.ids import new_id
from billing.storage import audit, locks
from billing.storage.tables import SigningKey

_ROTATION = b"plumbline signing key\n"
_LOCK = "signing-key"


class SigningKeyUnusable(Refusal):
    """The key file is missing, unreadable, or not the newest key that the database knows."""

    code = "signing_key_unusable"


@dataclass(frozen=True, kw_only=True)
class KeyRow:
    """One public key. `is_vouched`: the key before it signed it, or it is the first."""

    id: str
    public_key: str
    fingerprint: str
    previous_id: str | None
    signature: str | None  # by the key before it
    created_at: datetime
    is_vouched: bool


class Signer:
    """A private key in memory."""

    def __init__(self, seed: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # OpenSSL, only to sign

        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw().hex()
        self.fingerprint = fingerprint_of(self.public_key)

    def sign(self, message: bytes) -> str:
        """The signature in hex: 64 bytes."""
        return self._key.sign(message).hex()


def fingerprint_of(public_key: str) -> str:
    """SHA-256 of the 32 bytes of a public key, in hex: what is published elsewhere."""
    return hashlib.sha256(bytes.fromhex(public_key)).hexdigest()


def is_signed(message: bytes, signature: str, public_key: str) -> bool:
    """Whether the signature is this key's over this message; False also for what is no signature at all."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key)).verify(bytes.fromhex(signature), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def make_file(path: Path) -> None:
    """A new private key in a file that only its owner may read. An existing one is kept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        _write(path, secrets.token_bytes(32))


def read_file(path: Path) -> Signer:
    """The key in that file. Raises SigningKeyUnusable."""
    try:
        text = path.read_text("ascii").strip()
        seed = bytes.fromhex(text)
    except (OSError, ValueError) as error:
        raise SigningKeyUnusable(path=str(path), reason="unreadable") from error
    if len(seed) != 32:
        raise SigningKeyUnusable(path=str(path), reason="unreadable")
    return Signer(seed)


def current(session: Session, signer: Signer, *, now: datetime) -> KeyRow:
    """The row of the key in force; the very first key becomes known here. Raises SigningKeyUnusable when another one is newer."""
    locks.take(session, _LOCK)
    newest = _newest(session)
    if newest is None:
        return _add(session, signer, now=now, previous=None, signature=None, actor="system")
    if newest.fingerprint != signer.fingerprint:
        known = session.scalar(select(SigningKey.id).where(SigningKey.fingerprint == signer.fingerprint))
        raise SigningKeyUnusable(
            fingerprint=signer.fingerprint, newest=newest.fingerprint, reason="superseded" if known else "unknown"
        )
    return _row(newest, None)


def rotate(session: Session, path: Path, *, now: datetime, actor: str) -> KeyRow:
    """Make a new key, vouched for by the present one, and lay it beside the old file as `<path>.next`.

    Call `finish_rotation` after the commit. A rotation that was cut off between the two is finished by calling both again.
    """
    signer = read_file(path)
    waiting = Path(f"{path}.next")
    locks.take(session, _LOCK)
    newest = _newest(session)
    if newest is not None and waiting.exists() and read_file(waiting).fingerprint == newest.fingerprint:
        return _row(newest, None)  # committed before, only the files wait
    current(session, signer, now=now)
    newest = _newest(session)
    with contextlib.suppress(FileNotFoundError):
        waiting.unlink()  # of a rotation that never became a row
    _write(waiting, secrets.token_bytes(32))
    successor = read_file(waiting)
    signature = signer.sign(_ROTATION + bytes.fromhex(successor.public_key))
    return _add(session, successor, now=now, previous=newest, signature=signature, actor=actor)


def finish_rotation(path: Path) -> None:
    """Put the new key's file in the place of the old one, which is kept as `<path>.<first 8 of its fingerprint>`."""
    old = read_file(path)
    os.replace(path, f"{path}.{old.fingerprint[:8]}")
    os.replace(f"{path}.next", path)


def list_keys(session: Session) -> list[KeyRow]:
    """Every key, oldest first, each with whether the one before it vouches for it."""
    rows = session.scalars(select(SigningKey).order_by(SigningKey.created_at, SigningKey.id)).all()
    by_id = {row.id: row for row in rows}
    return [_row(row, by_id.get(row.previous_id or "")) for row in rows]


def _newest(session: Session) -> SigningKey | None:
    followed = select(SigningKey.previous_id).where(SigningKey.previous_id.is_not(None))
    return session.scalars(select(SigningKey).where(SigningKey.id.not_in(followed))).first()


def _add(
    session: Session,
    signer: Signer,
    *,
    now: datetime,
    previous: SigningKey | None,
    signature: str | None,
    actor: str,
) -> KeyRow:
    row = SigningKey(
        id=new_id("sky"),
        public_key=signer.public_key,
        fingerprint=signer.fingerprint,
        previous_id=previous.id if previous else None,
        signature=signature,
        created_at=now,
    )
    session.add(row)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="signing_key.add",
        subject_type="signing_key",
        subject_id=row.id,
        facts={"fingerprint": row.fingerprint, "previous_id": row.previous_id},
    )
    session.flush()  # what is signed next refers to it
    return _row(row, previous)


def _row(row: SigningKey, previous: SigningKey | None) -> KeyRow:
    is_vouched = row.previous_id is None
    if previous is not None:
        message = _ROTATION + bytes.fromhex(row.public_key)
        is_vouched = is_signed(message, row.signature or "", previous.public_key)
    return KeyRow(
        id=row.id,
        public_key=row.public_key,
        fingerprint=row.fingerprint,
        previous_id=row.previous_id,
        signature=row.signature,
        created_at=row.created_at,
        is_vouched=is_vouched,
    )


def _write(path: Path, seed: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
