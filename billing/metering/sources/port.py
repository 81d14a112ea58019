"""What every source declares and gives: facts of one job or one event, or the reason why there are none.

Facts are named tuples: an import makes a million of them. A source of events is one file that names itself, the meters it makes,
the types of CloudEvents it understands, the attributes it needs (`data`, a msgspec struct: what has no default is required, what
it does not name is refused), and turns one event into facts.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, BinaryIO, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import fields

from billing.catalog.items import ON_DEMAND


class JobFacts(NamedTuple):
    """One job as a scheduler's log tells it. `end_at` is None while it runs.

    `opening_hash` covers what a job may not change while it runs, `closing_hash` all that was said at its end.
    `rates` are base units per millisecond and meter, `shape_json` the same as canonical JSON of decimal text; `variant` is the
    model of its GPUs where it has only one.
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
    variant: str = ""


class EventFacts(NamedTuple):
    """One counted event (`start_at` = `end_at`) or one window. `source` and `source_id` name it for ever.

    `also` are further meters that it counted: (meter, base units). `corrects` is the id of the earlier event of the same source
    whose item and window it changes by its quantity, which may then be negative. With `series` the quantity is a reading of that
    counter, and usage is what it rose by.
    """

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
    variant: str = ""
    mode: str = ON_DEMAND
    route: str | None = None
    route_kind: str | None = None
    also: tuple[tuple[str, int], ...] = ()
    corrects: str | None = None
    series: str | None = None


class EventLine(NamedTuple):
    """One line of a file of events. Its facts get their account, and the account's part of their source, when it is looked up.

    `account_code` is None where the file names none. An open line says that the usage has not ended: it is told again later.
    """

    account_code: str | None
    facts: EventFacts
    is_open: bool = False


class Reject(NamedTuple):
    """A line or event that was refused: a stable reason code, the fact behind it, and the line itself."""

    line_number: int | None
    source_id: str
    reason: str
    detail: str
    raw: str


class Refused(Exception):
    """Why an event gives no facts: a stable reason and the fact behind it. Becomes a rejected result at the door."""

    def __init__(self, reason: str, detail: str, source_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.detail, self.source_id = reason, detail, source_id


class Told(NamedTuple):
    """What stands around an event's data. `at` is the event's own time or None; `zone` holds for times without their own."""

    source: str
    id: str
    account_id: str
    at: datetime | None
    correlation_id: str | None
    zone: ZoneInfo | None = None


class Attribution(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What the data of every event may say about whose work it was. The submitter is an opaque handle, no person's name."""

    project: str | None = None
    submitter: str | None = None
    resource: str = ""
    tags: dict[str, str] = {}


class Windowed(Attribution, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Data that may cover a window, both ends with their zone; without one the event's time is the instant."""

    start: datetime | None = None
    end: datetime | None = None


class EventSource(Protocol):
    """A source of events: what it declares, and how one event becomes usage."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def meters(self) -> tuple[str, ...]:
        """The meters that it makes, in whose base units it tells."""
        ...

    @property
    def event_types(self) -> tuple[str, ...]:
        """The types of CloudEvents that it understands."""
        ...

    @property
    def data(self) -> type[Attribution]:
        """The attributes of its events' data."""
        ...

    @property
    def is_deferred(self) -> bool:
        """Whether its events wait in the inbox until a job takes them."""
        ...

    def facts(self, told: Told, data: Any) -> EventFacts:
        """The facts of one event whose data has the shape of `data`. Raises Refused."""
        ...


Parsed = tuple[int, str, JobFacts | EventLine | Reject]


class FileSource(Protocol):
    """A source that is read from a file, plain or gzip."""

    name: str

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """(number of the line from 1, its text, what it says), one after the other, in memory that does not grow.

        Never raises for a bad line: it is told as a Reject. Raises BrokenInput where the file itself breaks off.
        """
        ...


def required(source: EventSource) -> tuple[str, ...]:
    """The attributes that the data of a source's events must have."""
    return tuple(field.name for field in fields(source.data) if field.required)
