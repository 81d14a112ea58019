"""The shapes of reconciliation and of the statement in the API."""

from typing import Any

from portal.api.values import In, Instant, Money, Out


class ReconciliationRequest(In):
    """What to compare: the billing periods of one month, such as 2026-10, or everything."""

    period: str | None = None


class ReconciliationRun(Out):
    """One comparison: how many rows it looked at, how many differences it saw, how many of them were new; `stages` by name."""

    id: str
    period: str | None
    started_at: Instant
    ended_at: Instant
    checked: int
    differences: int
    new: int
    stages: dict[str, dict[str, int]]


class Difference(Out):
    """One difference between two stages: the row it is about, the figures, since when it is seen, who looks after it, why it is there."""

    id: str
    stage: str
    account: str | None
    currency: str | None
    period: str | None
    subject_type: str
    subject_id: str
    sentence: str
    facts: dict[str, Any]
    state: str
    owner: str | None
    explanation: str | None
    first_seen_at: Instant
    last_seen_at: Instant


class ReconciliationPage(Out):
    """The last runs, newest first, and differences, oldest first."""

    runs: list[ReconciliationRun]
    data: list[Difference]
    next_cursor: str | None


class ReconciliationAnswer(Out):
    """A run that was just made: `checked` is what was really looked at."""

    run: ReconciliationRun
    checked: int
    differences: list[Difference]


class Movement(Out):
    """One ledger transaction as the account sees it: what it did to the balance, by entry kind, and the balance after it."""

    transaction: str
    sequence: int
    type: str
    source_type: str
    source_id: str
    recorded_at: Instant
    effective_at: Instant
    memo: str
    amount: Money
    balance: Money
    by_kind: dict[str, int]
    references: dict[str, list[str]]


class StatementPage(Out):
    """Why the balance went from `opening` to `closing`: opening + the sum of `by_kind` = closing. Movements come newest first."""

    account: str
    currency: str
    opening: Money
    by_kind: dict[str, Money]
    closing: Money
    data: list[Movement]
    next_cursor: str | None
