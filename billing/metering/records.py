"""Usage records as rows: one shape for imports, accrual and events, with the hash that everything later builds on. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.catalog.items import ON_DEMAND, Item
from billing.kernel import canonical, ids
from billing.metering.tables import UsageRecord
from billing.metering.windows import Window
from billing.storage import bulk
from billing.storage.columns import micros

COLUMNS = [
    "id",
    "billing_account_id",
    "usage_seq",
    "source",
    "source_id",
    "meter_code",
    "variant",
    "mode",
    "start_at",
    "end_at",
    "quantity_base",
    "allocation_id",
    "project_id",
    "member_id",
    "resource",
    "route",
    "route_kind",
    "reseller_id",
    "corrects_id",
    "tags",
    "correlation_id",
    "content_hash",
    "record_hash",
    "import_id",
    "recorded_at",
]

_NOWHERE = (None, None, None, None)
PLAIN: tuple[str | None, ...] = ("", ON_DEMAND, *_NOWHERE)


class Origin(NamedTuple):
    """Whose usage it is and what it comes from: all that the records of one job, allocation or event share."""

    source: str
    source_id: str
    allocation_id: str | None
    project_id: str | None
    member_id: str | None
    resource: str
    tags_json: str
    correlation_id: str | None
    content_hash: str
    import_id: str | None
    route: str | None = None
    route_kind: str | None = None
    reseller_id: str | None = None
    corrects_id: str | None = None


class Piece(NamedTuple):
    """One record to be: an item's quantity in one window."""

    origin: Origin
    item: Item
    window: Window
    quantity_base: int


def record_hash(
    record_id: str,
    billing_account_id: str,
    usage_seq: int,
    source: str,
    source_id: str,
    meter_code: str,
    start_micros: int,
    end_micros: int,
    quantity_base: int,
    allocation_id: str | None,
    project_id: str | None,
    member_id: str | None,
    resource: str,
    tags_json: str,
    *attribution: str | None,
) -> str:
    """The hash of a usage record, over its stored fields; tags as their canonical JSON text.

    `attribution` are variant, mode, route, route kind, reseller and the corrected record. Records without any of them are hashed
    as before there were such fields.
    """
    more = () if attribution in ((), PLAIN) else attribution
    return canonical.digest(
        "usage-record/2" if more else "usage-record/1",
        record_id,
        billing_account_id,
        usage_seq,
        source,
        source_id,
        meter_code,
        start_micros,
        end_micros,
        str(quantity_base),
        allocation_id,
        project_id,
        member_id,
        resource,
        tags_json,
        *more,
    )


def hash_of(record: UsageRecord) -> str:
    """The hash that a stored record must have: for checks and replay."""
    return record_hash(
        record.id,
        record.billing_account_id,
        record.usage_seq,
        record.source,
        record.source_id,
        record.meter_code,
        micros(record.start_at),
        micros(record.end_at),
        record.quantity_base,
        record.allocation_id,
        record.project_id,
        record.member_id,
        record.resource,
        canonical.dumps(record.tags),
        record.variant,
        record.mode,
        record.route,
        record.route_kind,
        record.reseller_id,
        record.corrects_id,
    )


def rows(head: AccountHead, pieces: Sequence[Piece], *, now: datetime) -> list[tuple[Any, ...]]:
    """Rows in the order of COLUMNS, numbered on from the head's `usage_seq`, which rises by their count. The head is locked."""
    account_id, seq = head.billing_account_id, head.usage_seq
    made = []
    told: Origin | None = None
    before = after = ""
    for record_id, (origin, item, (start_at, end_at), quantity_base) in zip(
        ids.new_ids("usg", len(pieces)), pieces, strict=True
    ):
        seq += 1
        meter_code, variant, mode = item
        if origin is not told:  # the records of one job follow each other
            told, before, after = origin, *_hashed_text(origin)
        version, more = 1, ""
        if variant or mode != ON_DEMAND or origin[10:] != _NOWHERE:
            version, more = 2, _text_of(variant, mode, *origin[10:])
        # The bytes of `record_hash`, without building a list for an encoder: ids, codes and numbers need no escapes.
        start_micros = micros(start_at)
        end_micros = start_micros if end_at is start_at else micros(end_at)
        text = (
            f'["usage-record/{version}","{record_id}","{account_id}",{seq},{before},"{meter_code}"'
            f',{start_micros},{end_micros},"{quantity_base}",{after}{more}]'
        )
        made.append(
            (
                record_id,
                account_id,
                seq,
                origin.source,
                origin.source_id,
                meter_code,
                variant,
                mode,
                start_at,
                end_at,
                quantity_base,
                origin.allocation_id,
                origin.project_id,
                origin.member_id,
                origin.resource,
                origin.route,
                origin.route_kind,
                origin.reseller_id,
                origin.corrects_id,
                origin.tags_json,
                origin.correlation_id,
                origin.content_hash,
                sha256(text.encode()).hexdigest(),
                origin.import_id,
                now,
            )
        )
    head.usage_seq = seq
    return made


def _hashed_text(origin: Origin) -> tuple[str, str]:
    quoted = encode_basestring
    _, _, allocation_id, project_id, member_id, resource, tags_json, *_ = origin
    return (
        f"{quoted(origin.source)},{quoted(origin.source_id)}",
        f"{_text(allocation_id)},{_text(project_id)},{_text(member_id)},{quoted(resource)},{quoted(tags_json)}",
    )


def _text(part: str | None) -> str:
    return "null" if part is None else encode_basestring(part)


def _text_of(*parts: str | None) -> str:
    """Each part as canonical JSON, with a comma before it."""
    return "".join("," + ("null" if part is None else encode_basestring(part)) for part in parts)


def insert(session: Session, made: Iterable[Sequence[Any]]) -> int:
    """Store rows made by `rows`; how many. Raises IntegrityError when another transaction stored one of them first."""
    return bulk.insert_rows(session, UsageRecord.__table__, COLUMNS, made)  # type: ignore[arg-type]
