"""Shadow ratings as the activation gate reads them: what was tried, on which usage, against which limits, with what result.

Shadow rating (a room above) writes them; this room only asks whether a fresh one speaks for a book's content.

    limits = {"total_percent": "5", "account_percent": "20"}      # decimal text, both sides of zero
    result = {"totals": [...], "accounts": [...], "movers": [...], "distribution": [...]}
             # totals: [{"currency", "old_micro", "new_micro"}], amounts in millionths of a minor unit as decimal text
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import names
from billing.catalog.tables import PriceTrial
from billing.kernel.clock import require_utc, to_rfc3339
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

FRESH_FOR = timedelta(hours=24)
LIMITS = ("total_percent", "account_percent")
_PERCENT = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How far a candidate may move what is charged, in percent of it, up or down: each currency's total, and each account."""

    total_percent: str
    account_percent: str

    def __post_init__(self) -> None:
        for name in LIMITS:
            value = getattr(self, name)
            if not isinstance(value, str) or not _PERCENT.fullmatch(value):
                raise Invalid(field=name, value=ascii(value)[:40], reason="not_a_percentage")

    def is_total_inside(self, old: Fraction | int, new: Fraction | int) -> bool:
        """Whether a total may go from old to new; exact."""
        return is_inside(self.total_percent, old, new)

    def is_account_inside(self, old: Fraction | int, new: Fraction | int) -> bool:
        """Whether an account's sum may go from old to new; exact."""
        return is_inside(self.account_percent, old, new)

    @property
    def content(self) -> dict[str, str]:
        """As it is stored."""
        return {name: getattr(self, name) for name in LIMITS}


def is_inside(percent: str, old: Fraction | int, new: Fraction | int) -> bool:
    """Whether `new` differs from `old` by at most so many percent of `old`; from nothing, only nothing is inside."""
    moved = abs(Fraction(new) - Fraction(old))
    return moved * 100 <= Fraction(percent) * abs(Fraction(old))


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One shadow rating as it was written; it never changes."""

    id: str
    book_code: str
    content_hash: str
    price_book_id: str | None  # None: a file that was never loaded
    from_at: datetime
    to_at: datetime
    scope: dict[str, Any] = field(hash=False)
    row_bound: int
    row_count: int
    is_whole: bool
    limits: Limits
    is_inside: bool
    result: dict[str, Any] = field(hash=False)
    actor: str
    created_at: datetime

    @property
    def fresh_until(self) -> datetime:
        """Until when it may open the gate."""
        return self.created_at + FRESH_FOR

    @property
    def fault(self) -> str | None:
        """Why it can open no gate, its age aside: not_whole, some_accounts_only, looked_at_nothing, outside_limits. Or None."""
        if not self.is_whole:
            return "not_whole"
        if self.scope.get("account_ids"):
            return "some_accounts_only"
        if self.row_count == 0:
            return "looked_at_nothing"
        return None if self.is_inside else "outside_limits"

    def opens(self, content_hash: str, now: datetime) -> bool:
        """Whether it lets this content come into force now."""
        return self.content_hash == content_hash and self.fault is None and self.created_at <= now <= self.fresh_until


def record(
    session: Session,
    *,
    now: datetime,
    book_code: str,
    content_hash: str,
    price_book_id: str | None,
    from_at: datetime,
    to_at: datetime,
    scope: Mapping[str, Any],
    row_bound: int,
    row_count: int,
    is_whole: bool,
    limits: Limits,
    is_inside: bool,
    result: Mapping[str, Any],
    actor: str,
) -> Trial:
    """Write down a shadow rating that is done. `scope["account_ids"]` is [] where it looked at every account.

    Raises Invalid for a range that ends before it begins.
    """
    from_at, to_at = require_utc(from_at, "from"), require_utc(to_at, "to")
    if to_at <= from_at:
        raise Invalid(field="to", value=to_rfc3339(to_at), reason="ends_before_it_begins")
    row = PriceTrial(
        id=new_id("ptr"),
        book_code=book_code,
        content_hash=content_hash,
        price_book_id=price_book_id,
        from_at=from_at,
        to_at=to_at,
        scope=dict(scope),
        row_bound=row_bound,
        row_count=row_count,
        is_whole=is_whole,
        limits=limits.content,
        is_inside=is_inside,
        result=dict(result),
        actor=actor,
        created_at=now,
    )
    session.add(row)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="prices.trial",
        subject_type="price_trial",
        subject_id=row.id,
        facts={
            "book": book_code,
            "content_hash": content_hash,
            "rows": row_count,
            "is_whole": is_whole,
            "is_inside": is_inside,
        },
    )
    session.flush()  # an activation in this act must find it
    return _trial(row)


def find_fresh(session: Session, content_hash: str, now: datetime) -> Trial | None:
    """The newest trial that lets this content come into force now: whole, of all accounts, inside its limits, at most 24 h old."""
    rows = session.scalars(
        select(PriceTrial)
        .where(PriceTrial.content_hash == content_hash, PriceTrial.created_at >= now - FRESH_FOR)
        .order_by(PriceTrial.created_at.desc(), PriceTrial.id)
    )
    return next((trial for trial in map(_trial, rows) if trial.opens(content_hash, now)), None)


def get_trial(session: Session, trial_id: str) -> Trial:
    """The trial of that id. Raises NotFound."""
    row = session.get(PriceTrial, trial_id) if names.is_safe(trial_id) else None
    if row is None:
        raise NotFound(trial_id=names.shown(trial_id))
    return _trial(row)


def list_trials(
    session: Session, *, content_hash: str | None = None, book_code: str | None = None, limit: int = 100
) -> Sequence[Trial]:
    """The newest trials first: of one content, of one book, or all."""
    query = select(PriceTrial).order_by(PriceTrial.created_at.desc(), PriceTrial.id).limit(limit)
    if content_hash is not None:
        query = query.where(PriceTrial.content_hash == content_hash)
    if book_code is not None:
        query = query.where(PriceTrial.book_code == book_code)
    return [_trial(row) for row in session.scalars(query)]


def _trial(row: PriceTrial) -> Trial:
    return Trial(
        id=row.id,
        book_code=row.book_code,
        content_hash=row.content_hash,
        price_book_id=row.price_book_id,
        from_at=row.from_at,
        to_at=row.to_at,
        scope=row.scope,
        row_bound=row.row_bound,
        row_count=row.row_count,
        is_whole=row.is_whole,
        limits=Limits(**row.limits),
        is_inside=row.is_inside,
        result=row.result,
        actor=row.actor,
        created_at=row.created_at,
    )
