"""Recovery codes: ten ways in without the second factor, each good once, shown once, kept as hashes.

A code has 80 random bits, so that a fast hash is enough: nobody tries them all. They are written in Crockford's alphabet, which
has no letters that look like digits, and read whatever the case and the dashes.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from billing.accounts.access_tables import RecoveryCode
from billing.kernel.ids import new_ids

COUNT = 10
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_LENGTH, _GROUP = 16, 4
_LOOKS_LIKE = str.maketrans("oil", "011")


def issue(session: Session, *, user_id: str, now: datetime) -> list[str]:
    """Ten new codes, which replace those there were. They are not stored and cannot be shown again."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))
    codes = [_new_code() for _ in range(COUNT)]
    session.add_all(
        RecoveryCode(id=code_id, user_id=user_id, code_hash=_hash(user_id, code), created_at=now)
        for code_id, code in zip(new_ids("rcc", COUNT), codes, strict=True)
    )
    session.flush()  # they work as soon as the transaction ends
    return codes


def use(session: Session, *, user_id: str, code: str, now: datetime) -> bool:
    """Use a code up. False for one that is none, or was used: of two tries at once one wins (conditional update)."""
    used = session.execute(
        update(RecoveryCode)
        .where(
            RecoveryCode.user_id == user_id,
            RecoveryCode.code_hash == _hash(user_id, code),
            RecoveryCode.used_at.is_(None),
        )
        .values(used_at=now)
        .returning(RecoveryCode.id)
    )
    return used.first() is not None


def count_left(session: Session, *, user_id: str) -> int:
    """How many are still good."""
    wanted = select(func.count()).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    return session.scalar(wanted) or 0


def are_unused(session: Session, *, user_id: str, codes: Iterable[str]) -> bool:
    """Whether these are all the person's unused codes: what the page that showed them sends back to have them as a file."""
    hashes = {_hash(user_id, code) for code in codes}
    stored = session.scalars(
        select(RecoveryCode.code_hash).where(RecoveryCode.user_id == user_id, RecoveryCode.used_at.is_(None))
    )
    return bool(hashes) and hashes == set(stored)


def forget(session: Session, *, user_id: str) -> None:
    """Delete a person's codes."""
    session.execute(delete(RecoveryCode).where(RecoveryCode.user_id == user_id))


def _new_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
    return "-".join(letters[start : start + _GROUP] for start in range(0, _LENGTH, _GROUP))


def _hash(user_id: str, code: str) -> str:
    typed = re.sub(r"[^a-z0-9]", "", code.lower()).translate(_LOOKS_LIKE)
    return hashlib.sha256(f"{user_id}:{typed}".encode()).hexdigest()
