"""Records of the older simple service: {tenant_id, service, usage_type, quantity, timestamp}, one report or a file of them.

Service and usage type together name what is sold ("marketplace/wpk_upload"); its meter is counted. `timestamp` is in whole seconds
since 1970. A record may bring its id; without one it is known by its content, so that a file can be taken in again.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import BinaryIO

from msgspec import DecodeError, Struct
from msgspec.json import Decoder

from billing.catalog.skus import SKUS
from billing.kernel import canonical, ids
from billing.metering import json_values
from billing.metering.sources import reading
from billing.metering.sources.port import EventFacts, EventLine, Parsed, Refused, Reject

NAME = "legacy-json"
_LAST_S = 221_845_392_000  # 9000-01-01


class Record(Struct, frozen=True):
    """One record as the older service kept it; further fields (its rate, its status) are passed over."""

    tenant_id: str
    service: str
    usage_type: str
    quantity: int | Decimal
    timestamp: int
    id: str | None = None


_DECODER = Decoder(Record)


class LegacyJson:
    """A file of records, as a JSON array or one a line."""

    name = NAME

    def read(self, stream: BinaryIO) -> Iterator[Parsed]:
        """Each record as an event, or why not. Raises BrokenInput."""
        for number, raw in json_values.read(stream):
            if isinstance(raw, Reject):
                yield number, raw.raw, raw
                continue
            text = raw.decode("utf-8", "backslashreplace")
            try:
                yield number, text, _line(_DECODER.decode(raw))
            except Refused as refused:
                yield number, text, Reject(number, refused.source_id or "", refused.reason, refused.detail, text)
            except (DecodeError, UnicodeDecodeError, RecursionError) as error:
                reason = "missing_attribute" if "missing required" in str(error) else "invalid_record"
                yield number, text, Reject(number, "", reason, str(error)[:300], text)


def facts_of(
    *,
    source: str,
    account_id: str,
    service: str,
    usage_type: str,
    quantity: int | Decimal,
    timestamp: int,
    record_id: str | None = None,
    correlation_id: str | None = None,
) -> EventFacts:
    """The facts of one record; without an id of its own each is new. Raises Refused."""
    sku = SKUS.get(f"{service}/{usage_type}")
    if sku is None:
        raise Refused("unknown_meter", f"Nothing is sold as {service[:60]!a}/{usage_type[:60]!a}.")
    if not 0 <= timestamp < _LAST_S:
        raise Refused("bad_time", "The timestamp is in seconds since 1970.")
    at = datetime.fromtimestamp(timestamp, UTC)
    return EventFacts(
        source=source,
        source_id=record_id if record_id is not None else ids.new_id("use"),
        account_id=account_id,
        meter_code=sku.meter_code,
        quantity_base=reading.base(quantity, sku.meter_code),
        start_at=at,
        end_at=at,
        resource=sku.code,
        correlation_id=correlation_id,
        variant=sku.variant,
        mode=sku.mode,
    )


def _line(record: Record) -> EventLine:
    facts = facts_of(
        source=NAME,
        account_id="",
        service=record.service,
        usage_type=record.usage_type,
        quantity=record.quantity,
        timestamp=record.timestamp,
        record_id=record.id if record.id is not None else _known_by(record),
    )
    return EventLine(record.tenant_id, facts)


def _known_by(record: Record) -> str:
    said = [record.tenant_id, record.service, record.usage_type, str(record.quantity), record.timestamp]
    return "row:" + canonical.digest("legacy-record/1", *said)[:40]
