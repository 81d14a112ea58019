"""Daily storage snapshots as JSON: resource, mountpoint, user, pi (the tenant), dt, logical_usage in bytes; one file a day.

A snapshot stands for its UTC day. It is known by where and when it was taken, so a day counts once, whatever file tells it.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import BinaryIO
from zoneinfo import ZoneInfo

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from billing.metering import json_values
from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, EventLine, Parsed, Refused, Reject
from billing.metering.sources.storage_snapshots import DAY_S

NAME = "storage-json"


class Snapshot(Struct, frozen=True):
    """One snapshot; further fields (thresholds, numbers of files) are passed over."""

    resource: str
    mountpoint: str
    pi: str
    user: str
    dt: datetime
    logical_usage: int


_DECODER = Decoder(Snapshot)


class StorageJson:
    """Reads one file; times without offset are local to `zone`."""

    name = NAME

    def __init__(self, zone: ZoneInfo | None = None) -> None:
        self._zone = zone

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """Each snapshot as an event, or why not. Raises BrokenInput."""
        for number, raw in json_values.read(stream):
            if isinstance(raw, Reject):
                yield number, raw.raw, raw
                continue
            text = raw.decode("utf-8", "backslashreplace")
            try:
                yield number, text, self._line(_DECODER.decode(raw))
            except Refused as refused:
                yield number, text, Reject(number, refused.source_id or "", refused.reason, refused.detail, text)
            except (DecodeError, UnicodeDecodeError, RecursionError) as error:
                reason = "missing_attribute" if "missing required" in str(error) else "invalid_record"
                yield number, text, Reject(number, "", reason, str(error)[:300], text)

    def _line(self, snapshot: Snapshot) -> EventLine:
        at = snapshot.dt
        if at.tzinfo is None and self._zone is not None:
            at = at.replace(tzinfo=self._zone)
        start_at, end_at = reading.utc_day(at)
        volume = f"{snapshot.resource}:{snapshot.mountpoint}"
        facts = EventFacts(
            source=NAME,
            source_id=f"{volume}/{snapshot.pi}/{snapshot.user}/{start_at:%Y-%m-%d}",
            account_id="",
            meter_code="gib_hour",
            quantity_base=reading.whole("logical_usage", snapshot.logical_usage) * DAY_S,
            start_at=start_at,
            end_at=end_at,
            member_handle=snapshot.user or None,
            resource=volume,
        )
        return EventLine(snapshot.pi or None, facts)
