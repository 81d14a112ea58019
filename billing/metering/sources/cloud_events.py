"""CloudEvents 1.0 in JSON: the envelope, and the data by the source that understands the event's type.

Numbers are exact: msgspec reads a JSON number with a point as a Decimal from its digits. Extension attributes of the envelope are
passed over, as the specification asks; unknown attributes of the data are refused.
"""

import re
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from msgspec import DecodeError, Meta, Raw, Struct, ValidationError
from msgspec.json import Decoder

from billing.metering.sources.port import EventFacts, EventSource, Refused, Told
from billing.metering.sources.registry import BY_TYPE


class Envelope(Struct, frozen=True):
    """One event; `subject` is the code of the billing account, where it is not clear from who sends it."""

    specversion: Literal["1.0"]
    id: Annotated[str, Meta(min_length=1, max_length=200)]
    source: Annotated[str, Meta(min_length=1, max_length=150)]
    type: str
    data: Raw
    subject: str | None = None
    time: datetime | None = None
    correlationid: Annotated[str, Meta(max_length=200)] | None = None


_MANY = Decoder(list[Envelope])
_PARTS = Decoder(list[Raw])
_ONE = Decoder(Envelope)


class NotEvents(Exception):
    """The text is no JSON at all; the message says where."""


def read_batch(raw: bytes) -> list[Envelope | Refused]:
    """The events of a JSON array, each read or refused by itself. Raises NotEvents."""
    try:
        return list(_MANY.decode(raw))
    except (DecodeError, UnicodeDecodeError, RecursionError):
        pass  # one of them, or all: look at each
    try:
        parts = _PARTS.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotEvents(str(error)[:200]) from None
    return [_read_part(bytes(part)) for part in parts]


def read_one(raw: bytes) -> Envelope:
    """One event. Raises Refused."""
    try:
        return _ONE.decode(raw)
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused(error, "") from None


def facts_of(
    event: Envelope, *, account_id: str, source: str, correlation_id: str | None = None, zone: ZoneInfo | None = None
) -> tuple[EventSource, EventFacts]:
    """Whose event it is, and its facts under the name `source`. Raises Refused with reason unknown_type, missing_attribute,
    unknown_attribute, invalid_event, or what the source gives. Times without offset are read in `zone`.
    """
    told = Told(source, event.id, account_id, event.time, event.correlationid or correlation_id, zone)
    sources = BY_TYPE.get(event.type)
    if sources is None:
        raise Refused("unknown_type", f"/type: {event.type[:80]!a} is no type of usage.")
    raw = bytes(event.data)
    fault: Exception | None = None
    for found in sources:
        try:
            data = _decoder(found.data).decode(raw)
        except (DecodeError, UnicodeDecodeError, RecursionError) as error:
            if fault is None or (b'"route"' in raw and b'"meter"' not in raw):
                fault = error
            continue
        return found, found.facts(told, data)
    raise _refused(fault or ValueError("unreadable"), "/data")


def id_of(raw: bytes) -> str | None:
    """The id that a refused event may have had, for its answer."""
    try:
        found = _decoder(dict[str, Any]).decode(raw).get("id")
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found[:200] if isinstance(found, str) else None


def _read_part(raw: bytes) -> Envelope | Refused:
    try:
        return read_one(raw)
    except Refused as refused:
        refused.source_id = id_of(raw)
        return refused


@cache
def _decoder(shape: Any) -> Decoder[Any]:
    return Decoder(shape)


def _refused(error: Exception, place: str) -> Refused:
    """What msgspec says, as a reason and a sentence with a JSON pointer."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return Refused("invalid_event", f"{place or '/'}: it is not UTF-8.")
    message, _, path = text.partition(" - at `$")
    pointer = place + re.sub(r"\[(\.\.\.|\d+)\]", r"/\1", path.rstrip("`").replace(".", "/"))
    reason = "invalid_event"
    if isinstance(error, ValidationError):
        if message.startswith("Object contains unknown field"):
            reason = "unknown_attribute"
        elif message.startswith("Object missing required field"):
            reason = "missing_attribute"
    return Refused(reason, f"{pointer or '/'}: {message}"[:300].encode("ascii", "backslashreplace").decode())
