"""How often something may be done, counted in the database for all processes together.

A window is fixed: it begins at a whole multiple of its length since 1970, and every bucket of a policy has the same windows. So
across the border of two windows up to twice the limit can pass within one window's length.

A policy with `share` 0 counts every use in the database: over all processes at most `limit` uses pass in a window. Such a count
is one short write, which on SQLite waits for the only writer; the reads of an API must not. With `share` n a process lets n uses
of a bucket pass by itself and tells the database of them together when they are used up: a write for each n + 1 uses, and none
for a caller who stays below that. What a process has not told yet is unknown to the others, so the error bound is: in one window
at most `limit + processes x share` uses pass, and never fewer than `limit`. A process that has learnt that a bucket is used up
refuses from memory until the window ends, so that a flood costs no writes.
"""

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from sqlalchemy import case, delete, update
from sqlalchemy.orm import Session

from billing.storage import upsert
from billing.storage.database import Database
from billing.storage.tables import RateLimit

_MAX_REMEMBERED = 20_000


@dataclass(frozen=True, kw_only=True)
class Policy:
    """At most `limit` uses of a bucket in each window of `window_s` seconds; `share` is what a process counts by itself."""

    name: str
    limit: int
    window_s: int
    share: int = 0

    def __post_init__(self) -> None:
        if not self.name or self.limit < 1 or self.window_s < 1 or not 0 <= self.share < self.limit:
            raise ValueError(f"a limit that cannot be: {self}")

    def window_of(self, now: datetime) -> datetime:
        """When the window began that `now` lies in."""
        seconds = int(now.timestamp())
        return datetime.fromtimestamp(seconds - seconds % self.window_s, UTC)


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether the use may pass, what is left of `limit` as far as this process knows, and the seconds until the window ends."""

    is_allowed: bool
    limit: int
    remaining: int
    reset_s: int


@dataclass
class _Count:
    """What a process knows of one bucket in one window."""

    window_started_at: datetime
    known: int = 0  # used over all processes, as the database last said
    untold: int = 0  # used here since then
    is_exhausted: bool = False


class _Memory:
    """The counts of one process for one database, cleared of ended windows when there are many."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.counts: dict[str, _Count] = {}

    def of(self, key: str, window_started_at: datetime) -> _Count:
        found = self.counts.get(key)
        if found is None or found.window_started_at != window_started_at:
            if len(self.counts) >= _MAX_REMEMBERED:
                self.counts.clear()  # forgetting untold uses errs within the bound: they are below the share
            found = self.counts[key] = _Count(window_started_at)
        return found


_memories: WeakKeyDictionary[Database, _Memory] = WeakKeyDictionary()
_memories_lock = threading.Lock()


def take(database: Database, *, bucket: str, policy: Policy, now: datetime, count: int = 1) -> Decision:
    """Use `count` of what the bucket has left in the window of `now`, or refuse and leave it as it was.

    Opens a transaction of its own, so it is called outside any other. The row locked is the bucket's. What stands in `bucket` is
    stored in plain text: hash what is secret or personal.
    """
    key, started_at = f"{policy.name}:{bucket}", policy.window_of(now)
    memory = _memory_of(database)
    with memory.lock:
        found = memory.of(key, started_at)
        if found.is_exhausted:
            return _decision(policy, found, now, is_allowed=False)
        if found.untold + count <= policy.share and found.known + found.untold + count <= policy.limit:
            found.untold += count
            return _decision(policy, found, now, is_allowed=True)
        untold, found.untold = found.untold, 0
    with database.transaction() as session:
        used, is_allowed = _tell(session, key, started_at, policy, untold, count)
    with memory.lock:
        found.known = max(found.known, used)
        if used >= policy.limit:
            found.is_exhausted = True
        return _decision(policy, found, now, is_allowed=is_allowed)


def forget_old(session: Session, *, now: datetime, older_than: timedelta = timedelta(days=2)) -> int:
    """Delete the rows of windows that began that long ago; returns how many. No policy's window may be longer."""
    result = session.execute(delete(RateLimit).where(RateLimit.window_started_at < now - older_than))
    return int(getattr(result, "rowcount", 0))


def _memory_of(database: Database) -> _Memory:
    with _memories_lock:
        return _memories.setdefault(database, _Memory())


def _tell(
    session: Session, key: str, started_at: datetime, policy: Policy, untold: int, count: int
) -> tuple[int, bool]:
    """Add what was used and, where it still fits, what is asked for. Returns (used over all processes, whether it fitted).

    A row of a later window, written by a process whose clock is ahead, is counted on.
    """
    new = upsert.insert(session, RateLimit).values(bucket=key, window_started_at=started_at, used_count=untold)
    is_old = RateLimit.window_started_at < new.excluded.window_started_at
    counted = new.on_conflict_do_update(
        index_elements=[RateLimit.bucket],
        set_={
            "window_started_at": case((is_old, new.excluded.window_started_at), else_=RateLimit.window_started_at),
            "used_count": case((is_old, untold), else_=RateLimit.used_count + untold),
        },
    ).returning(RateLimit.used_count)
    used = int(session.execute(counted).scalar_one())
    if used + count > policy.limit:
        return used, False
    session.execute(update(RateLimit).where(RateLimit.bucket == key).values(used_count=used + count))
    return used + count, True


def _decision(policy: Policy, found: _Count, now: datetime, *, is_allowed: bool) -> Decision:
    ends_at = found.window_started_at + timedelta(seconds=policy.window_s)
    left = policy.limit - found.known - found.untold
    return Decision(
        is_allowed=is_allowed,
        limit=policy.limit,
        remaining=max(0, left),
        reset_s=max(1, -int((now - ends_at) // timedelta(seconds=1))),
    )
