"""What a check found, and how much it looked at: a check that looked at nothing has proved nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session

from billing.kernel.errors import Refusal

MAX_LISTED = 200


@dataclass(frozen=True, kw_only=True)
class Difference:
    """One contradiction in the books. `subject_id` names the row; `sentence` says what is wrong with it."""

    check: str
    subject_id: str
    sentence: str
    facts: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Report:
    """How many rows were looked at, in all and by check, and everything that was wrong."""

    checked: int
    differences: tuple[Difference, ...]
    by_check: dict[str, int]


@dataclass(kw_only=True)
class Tally:
    """One check while it runs. Beyond MAX_LISTED differences only their number is kept."""

    check: str
    looked: int = 0
    differences: list[Difference] = field(default_factory=list)
    unlisted: int = 0

    def look(self, rows: int = 1) -> None:
        """Count rows that were really compared."""
        self.looked += rows

    def differ(self, subject_id: str, sentence: str, **facts: Any) -> None:
        """Note a contradiction; `sentence` goes on after the row's name."""
        if len(self.differences) >= MAX_LISTED:
            self.unlisted += 1
            return
        words = f"{subject_id}: {sentence}"
        self.differences.append(Difference(check=self.check, subject_id=subject_id, sentence=words, facts=facts))

    def expect(self, table: str, looked: int, rows: int) -> None:
        """Every row there is must have been looked at; else the check itself is what is wrong."""
        if looked != rows:
            self.differ(table, f"looked at {looked} of {rows} rows", looked=looked, rows=rows)


def of(tallies: list[Tally]) -> Report:
    """The report of several checks."""
    found: list[Difference] = []
    for tally in tallies:
        found += tally.differences
        if tally.unlisted:
            sentence = f"{tally.unlisted} more differences of this kind"
            found.append(Difference(check=tally.check, subject_id="", sentence=sentence, facts={}))
    by_check: dict[str, int] = {}
    for tally in tallies:
        by_check[tally.check] = by_check.get(tally.check, 0) + tally.looked
    return Report(checked=sum(by_check.values()), differences=tuple(found), by_check=by_check)


UNREADABLE = (ValueError, LookupError, TypeError, ArithmeticError, Refusal)
"""What reading a row raises that was altered beyond what it can be."""


def carry_out(check: Callable[..., None], name: str, session: Session, *arguments: Any) -> Tally:
    """Run one check. What it found before it met something that cannot be read at all is kept, and that too is a difference."""
    tally = Tally(check=name)
    try:
        check(session, tally, *arguments)
    except UNREADABLE as error:
        tally.differ(name, f"the check could not finish: {type(error).__name__}: {error}")
    return tally


def count(session: Session, statement: Select[Any]) -> int:
    """The single number that a statement gives."""
    return int(session.execute(statement).scalar_one())
