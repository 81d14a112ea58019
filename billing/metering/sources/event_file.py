"""A file of CloudEvents 1.0: one event a line, or a JSON array of them. Each goes the way it would go by the API."""

from collections.abc import Iterator
from typing import BinaryIO
from zoneinfo import ZoneInfo

from billing.metering import json_values
from billing.metering.sources import cloud_events
from billing.metering.sources.port import EventLine, Parsed, Refused, Reject

NAME = "cloudevents"


class EventFile:
    """Reads one file; times without offset are local to `zone`. An event's subject is the code of its billing account."""

    name = NAME

    def __init__(self, zone: ZoneInfo | None = None) -> None:
        self._zone = zone

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """Each event, or why not. Raises BrokenInput."""
        for number, raw in json_values.read(stream):
            if isinstance(raw, Reject):
                yield number, raw.raw, raw
                continue
            text = raw.decode("utf-8", "backslashreplace")
            try:
                event = cloud_events.read_one(raw)
                _, facts = cloud_events.facts_of(event, account_id="", source=event.source, zone=self._zone)
                yield number, text, EventLine(event.subject, facts)
            except Refused as refused:
                told = refused.source_id or cloud_events.id_of(raw) or ""
                yield number, text, Reject(number, told, refused.reason, refused.detail, text)
