"""The share of its period that a counter has, as it is stored, and the shares it had before (Law 1)."""

from bisect import bisect_left, bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.rating.curves.terms import Scale
from billing.rating.derivations import Derivation, PriceTerms, derive, derive_rescaling
from billing.rating.tables import Counter, CounterRescale, RatedLine


def read_scale(fields: dict[str, Any] | None) -> Scale | None:
    """A counter's stored share of its period."""
    return None if fields is None else Scale(lengths_ms=tuple(fields["lengths_ms"]), index=fields["index"])


def fields_of(scale: Scale | None) -> dict[str, Any] | None:
    """A share as it is stored."""
    return None if scale is None else {"lengths_ms": list(scale.lengths_ms), "index": scale.index}


@dataclass(frozen=True, kw_only=True)
class History:
    """The shares of one counter: the first, and each later one from the rescaling line of that number on."""

    first: Scale | None
    line_seqs: tuple[int, ...] = ()
    later: tuple[Scale | None, ...] = ()

    def at(self, line_seq: int) -> Scale | None:
        """The share once that line of the account is rated."""
        place = bisect_right(self.line_seqs, line_seq)
        return self.later[place - 1] if place else self.first

    def before(self, line_seq: int) -> Scale | None:
        """The share up to that line, which may be the one that changes it."""
        place = bisect_left(self.line_seqs, line_seq)
        return self.later[place - 1] if place else self.first

    @property
    def last(self) -> Scale | None:
        """The share that the counter has now."""
        return self.later[-1] if self.later else self.first


def rescaled(
    session: Session, *, account_id: str | None = None, counter_ids: Collection[str] | None = None
) -> dict[str, History]:
    """Histories of the account's (or these) counters whose share was ever changed; the others have what their row says."""
    query = select(
        CounterRescale.counter_id, CounterRescale.line_seq, CounterRescale.old_scale, CounterRescale.new_scale
    ).order_by(CounterRescale.counter_id, CounterRescale.counter_seq)
    if account_id is not None:
        query = query.where(CounterRescale.billing_account_id == account_id)
    if counter_ids is not None:
        query = query.where(CounterRescale.counter_id.in_(counter_ids))
    histories: dict[str, History] = {}
    for counter_id, line_seq, old, new in session.execute(query):
        known = histories.get(counter_id) or History(first=read_scale(old))
        histories[counter_id] = History(
            first=known.first,
            line_seqs=(*known.line_seqs, line_seq),
            later=(*known.later, read_scale(new)),
        )
    return histories


def history_of(session: Session, counter: Counter) -> History:
    """The shares that a counter had."""
    found = rescaled(session, counter_ids=[counter.id])
    return found.get(counter.id) or History(first=read_scale(counter.scale))


def derivation_of(session: Session, line: RatedLine, counter: Counter, price: PriceTerms) -> Derivation:
    """How a stored line's amount came about (RT2), with the share that its counter had then; a rescaling as the change it was."""
    history = history_of(session, counter)
    if line.line_seq in history.line_seqs:
        return derive_rescaling(price, line.before_base, history.before(line.line_seq), history.at(line.line_seq))
    return derive(price, line.before_base, line.quantity_base, history.at(line.line_seq))
