"""Failed proofs of who one is, per login or person and per address, counted in the database: guessing is slowed on every process alike."""

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import SignInAttempt
from billing.kernel.ids import new_id

WINDOW = timedelta(minutes=15)
LOGIN_MAX = 8  # failures of one login within the window
ADDRESS_MAX = 60  # failures from one address: an office may sit behind it


def buckets(login: str, address: str) -> tuple[str, str]:
    """Where a try is counted: the login as a hash (people type passwords there), the address (IPv6 by its /64 network)."""
    digest = hashlib.sha256(login.encode("utf-8", "surrogatepass")).hexdigest()
    return f"login:{digest}", f"address:{_network(address)}"


def buckets_of_person(kind: str, user_id: str, address: str) -> tuple[str, str]:
    """Where a try of somebody known is counted: by what they prove themselves with ("code", "password"), and the address."""
    return f"{kind}:{user_id}", f"address:{_network(address)}"


def is_slowed(session: Session, keys: tuple[str, str], *, now: datetime) -> bool:
    """Whether either bucket is full: 8 failures of a login or person, or 60 of an address within 15 minutes."""
    statement = (
        select(SignInAttempt.bucket, func.count())
        .where(SignInAttempt.bucket.in_(keys), SignInAttempt.failed_at > now - WINDOW)
        .group_by(SignInAttempt.bucket)
    )
    counts = dict(session.execute(statement).all())
    return counts.get(keys[0], 0) >= LOGIN_MAX or counts.get(keys[1], 0) >= ADDRESS_MAX


def record_failure(session: Session, keys: Sequence[str], *, now: datetime) -> None:
    """Count one failure in each bucket."""
    session.add_all(SignInAttempt(id=new_id("sia"), bucket=key, failed_at=now) for key in keys)
    session.flush()  # the next try of this transaction counts it


def forget(session: Session, key: str) -> None:
    """Empty one bucket. After a success only the login's: a guesser with one good account must not clear their address."""
    session.execute(delete(SignInAttempt).where(SignInAttempt.bucket == key))


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
