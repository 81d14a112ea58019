"""What every source gives: facts of one job or one event, or the reason why there are none.

Facts are named tuples: an import makes a million of them.
"""

from datetime import datetime
from typing import NamedTuple, Protocol


class JobFacts(NamedTuple):
    """One job as a scheduler's log tells it. `end_at` is None while it runs.

    `opening_hash` covers what a job may not change while it runs, `closing_hash` all that was said at its end.
    `rates` are base units per millisecond and meter, `shape_json` the same as canonical JSON of decimal text.
    """

    source_id: str
    account_code: str
    member_handle: str | None
    resource: str
    name: str
    start_at: datetime
    end_at: datetime | None
    rates: tuple[tuple[str, int], ...]
    shape_json: str
    node_count: int
    outcome: str
    tags_json: str
    opening_hash: str
    closing_hash: str | None


class EventFacts(NamedTuple):
    """One counted event (`start_at` = `end_at`) or one window of one meter. `source` and `source_id` name it for ever."""

    source: str
    source_id: str
    account_id: str
    meter_code: str
    quantity_base: int
    start_at: datetime
    end_at: datetime
    project_code: str | None = None
    member_handle: str | None = None
    resource: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    correlation_id: str | None = None


class Reject(NamedTuple):
    """A line or event that was refused: a stable reason code, the fact behind it, and the line itself."""

    line_number: int | None
    source_id: str
    reason: str
    detail: str
    raw: str


class Source(Protocol):
    """A log of jobs, read line by line."""

    name: str

    def is_header(self, line: str) -> bool:
        """Whether the line only names the fields."""
        ...

    def parse(self, line_number: int, line: str) -> JobFacts | Reject:
        """The facts of one line without its line end. Never raises for bad content: it is told as a Reject."""
        ...
