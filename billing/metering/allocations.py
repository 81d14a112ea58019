"""The life of a live allocation: opened, reconfigured, stopped, started, released. Each step is told once under its event id; a repeat changes nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.attribution import Attributor
from billing.accounts.tables import AccountHead
from billing.catalog.items import ON_DEMAND, SPOT
from billing.kernel import canonical, ids
from billing.kernel.clock import require_utc
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.metering import accrual, shapes, windows
from billing.metering.errors import AlreadyReleased, OtherContent, OutOfOrder
from billing.metering.files import storable
from billing.metering.shapes import Shape
from billing.metering.tables import Allocation, AllocationChange
from billing.storage.columns import micros

__all__ = ["AllocationResult", "Shape", "open_allocation", "reconfigure", "release", "start", "stop"]

MAX_AHEAD = timedelta(minutes=5)  # clocks of provisioners differ by seconds, not by more
_MAX_ID = 200
_MAX_NAME = 1000
_MAX_VARIANT = 64
_MAX_TAGS = 50


@dataclass(frozen=True, kw_only=True)
class AllocationResult:
    """What a step gives back. `is_duplicate`: the same step had been told before, and nothing was done."""

    allocation_id: str
    is_duplicate: bool
    usage_records: int = 0


def open_allocation(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    event_id: str,
    external_id: str,
    resource: str,
    name: str,
    shape: Shape,
    at: datetime,
    project_code: str | None = None,
    member_handle: str | None = None,
    correlation_id: str | None = None,
    variant: str = "",
    mode: str = ON_DEMAND,
    tags: Mapping[str, str] | None = None,
) -> AllocationResult:
    """Start an allocation of an account at `at`. Ids are the account's own: two accounts may use the same.

    `variant` is the model of its GPUs ("h100"), `mode` on_demand or spot, which holds for its GPUs, cores and memory.

    Raises OtherContent when the event or the id was used with other content, Invalid for hostile or too long text and for an
    instant more than five minutes ahead or ten years back. Locks the account's head.
    """
    at = _checked_at(at, now)
    for field, text, limit in (
        ("event_id", event_id, _MAX_ID),
        ("id", external_id, _MAX_ID),
        ("resource", resource, _MAX_ID),
    ):
        _check_text(field, text, limit)
    if len(name) > _MAX_NAME or storable(name) != name:
        raise Invalid(field="name", limit=_MAX_NAME, reason="bad_text")
    variant = variant.lower()
    if variant:
        _check_text("variant", variant, _MAX_VARIANT)
    if len(tags or {}) > _MAX_TAGS:
        raise Invalid(field="tags", limit=_MAX_TAGS, reason="too_many_tags")
    for key, value in (tags or {}).items():
        _check_text("tags", key, _MAX_ID)
        _check_text("tags", value or "-", _MAX_NAME)
    if mode not in (ON_DEMAND, SPOT):  # reserved and unused hours are found by matching, never told
        raise Invalid(field="mode", value=ascii(mode[:40]), reason="unknown_mode")
    head = heads.lock_one(session, account_id)
    more: tuple[Any, ...] = (variant, mode) if variant or mode != ON_DEMAND or tags else ()
    more += (dict(tags),) if tags else ()
    content_hash = canonical.digest(
        "allocation-opened/1",
        external_id,
        resource,
        name,
        shape.to_json(),
        micros(at),
        project_code,
        member_handle,
        *more,
    )
    found = _find(session, account_id, external_id)
    if found is not None:
        if found.content_hash == content_hash and _find_change(session, found, event_id) is not None:
            return AllocationResult(allocation_id=found.id, is_duplicate=True)
        raise OtherContent(id=external_id, event_id=event_id)
    attributor = Attributor(session, now=now)
    allocation = Allocation(
        id=ids.new_id("alc"),
        source=_source(account_id),
        source_id=external_id,
        content_hash=content_hash,
        billing_account_id=head.billing_account_id,
        project_id=attributor.project_id(account_id, project_code),
        member_id=attributor.member_id(account_id, member_handle),
        resource=resource,
        name=name,
        variant=variant,
        mode=mode,
        is_live=True,
        started_at=at,
        accrued_at=at,
        shape=shape.to_json(),
        tags=dict(tags or {}),
        correlation_id=correlation_id,
        recorded_at=now,
    )
    session.add(allocation)
    session.flush()
    _add_change(session, allocation, event_id, "opened", at, content_hash, now)
    return AllocationResult(allocation_id=allocation.id, is_duplicate=False)


def reconfigure(
    session: Session, *, now: datetime, account_id: str, event_id: str, external_id: str, shape: Shape, at: datetime
) -> AllocationResult:
    """Give the allocation another shape from `at` on; usage before it keeps the old one.

    Told late, usage accrued beyond `at` is taken back and the new shape accrues from there. Raises NotFound, OtherContent,
    AlreadyReleased, OutOfOrder (before the last change), Invalid. Locks the account's head.
    """
    return _reshape(
        session, now=now, account_id=account_id, event_id=event_id, external_id=external_id, at=at,
        kind="reconfigured", shape=shape,
    )  # fmt: skip


def stop(
    session: Session, *, now: datetime, account_id: str, event_id: str, external_id: str, at: datetime
) -> AllocationResult:
    """Stop the allocation at `at`: from then on only its storage is billed, until it is started again or released.

    Raises and locks as `reconfigure`; Conflict(reason="stopped") when it is stopped already.
    """
    return _reshape(
        session, now=now, account_id=account_id, event_id=event_id, external_id=external_id, at=at, kind="stopped"
    )


def start(
    session: Session, *, now: datetime, account_id: str, event_id: str, external_id: str, at: datetime
) -> AllocationResult:
    """Start a stopped allocation again at `at`, in the shape that it had. Raises and locks as `stop`; Conflict(reason="running")."""
    return _reshape(
        session, now=now, account_id=account_id, event_id=event_id, external_id=external_id, at=at, kind="started"
    )


def _reshape(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    event_id: str,
    external_id: str,
    at: datetime,
    kind: str,
    shape: Shape | None = None,
) -> AllocationResult:
    at = _checked_at(at, now)
    _check_text("event_id", event_id, _MAX_ID)
    head, allocation = _locked(session, account_id, external_id)
    said = [shape.to_json()] if shape is not None else []
    content_hash = canonical.digest(f"allocation-{kind}/1", external_id, *said, micros(at))
    if _is_repeat(session, allocation, event_id, content_hash):
        return AllocationResult(allocation_id=allocation.id, is_duplicate=True)
    _check_order(session, allocation, kind, at)
    new_shape = shape.to_json() if shape is not None else _other_shape(session, allocation, kind)
    if shape is not None and _last_change(session, allocation).kind == "stopped":
        raise Conflict(id=allocation.source_id, at=at.isoformat(), reason="stopped")
    made = _settle(session, head, allocation, at=at, now=now)
    allocation.shape = new_shape
    _add_change(session, allocation, event_id, kind, at, content_hash, now)
    return AllocationResult(allocation_id=allocation.id, is_duplicate=False, usage_records=made)


def _other_shape(session: Session, allocation: Allocation, kind: str) -> dict[str, str]:
    """The shape of a stopped allocation, or the one that a stopped one had. Raises Conflict where it is so already."""
    is_stopped = _last_change(session, allocation).kind == "stopped"
    if is_stopped == (kind == "stopped"):
        raise Conflict(id=allocation.source_id, reason="stopped" if is_stopped else "running")
    if kind == "stopped":
        return shapes.stopped(allocation.shape)
    running = _changes(allocation).where(AllocationChange.kind != "stopped").limit(1)
    return dict(session.scalars(running).one().shape)


def _last_change(session: Session, allocation: Allocation) -> AllocationChange:
    return session.scalars(_changes(allocation).limit(1)).one()


def _changes(allocation: Allocation) -> Select[AllocationChange]:
    """The changes of an allocation, the last one first."""
    return (
        select(AllocationChange)
        .where(AllocationChange.allocation_id == allocation.id)
        .order_by(AllocationChange.changed_at.desc(), AllocationChange.id.desc())
    )


def release(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    event_id: str,
    external_id: str,
    at: datetime,
    failed: bool = False,
) -> AllocationResult:
    """End the allocation at `at`, usage accrued up to it. `failed`: the provisioner could not free it cleanly; it ends all the same.

    Raises NotFound, OtherContent, AlreadyReleased (with another end), OutOfOrder, Invalid. Locks the account's head.
    """
    at = _checked_at(at, now)
    _check_text("event_id", event_id, _MAX_ID)
    head, allocation = _locked(session, account_id, external_id)
    kind = "release_failed" if failed else "released"
    content_hash = canonical.digest(f"allocation-{kind}/1", external_id, micros(at))
    # A release told again under a new event id is still the same release.
    if allocation.closing_hash == content_hash or _is_repeat(session, allocation, event_id, content_hash):
        return AllocationResult(allocation_id=allocation.id, is_duplicate=True)
    _check_order(session, allocation, kind, at)
    made = _settle(session, head, allocation, at=at, now=now)
    allocation.ended_at = at
    allocation.closing_hash = content_hash
    allocation.outcome = kind
    _add_change(session, allocation, event_id, kind, at, content_hash, now)
    return AllocationResult(allocation_id=allocation.id, is_duplicate=False, usage_records=made)


def _source(account_id: str) -> str:
    return f"allocations/{account_id}"


def _checked_at(at: datetime, now: datetime) -> datetime:
    """The instant in UTC, in whole milliseconds."""
    at = require_utc(at, "at")
    at = at.replace(microsecond=at.microsecond // 1000 * 1000)
    if at > now + MAX_AHEAD:
        raise Invalid(field="at", value=at.isoformat(), reason="in_the_future")
    if at < now - windows.MAX_WINDOW:
        raise Invalid(field="at", value=at.isoformat(), reason="window_too_long")
    return at


def _check_text(field: str, text: str, limit: int) -> None:
    if not text or len(text) > limit or storable(text) != text:
        raise Invalid(field=field, limit=limit, reason="bad_text")


def _find(session: Session, account_id: str, external_id: str) -> Allocation | None:
    query = select(Allocation).where(Allocation.source == _source(account_id), Allocation.source_id == external_id)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def _locked(session: Session, account_id: str, external_id: str) -> tuple[AccountHead, Allocation]:
    head = heads.lock_one(session, account_id)
    allocation = _find(session, account_id, external_id)
    if allocation is None:
        raise NotFound(kind="allocation", id=external_id[:_MAX_ID])
    return head, allocation


def _find_change(session: Session, allocation: Allocation, event_id: str) -> AllocationChange | None:
    query = select(AllocationChange).where(
        AllocationChange.allocation_id == allocation.id, AllocationChange.event_id == event_id
    )
    return session.scalars(query).one_or_none()


def _is_repeat(session: Session, allocation: Allocation, event_id: str, content_hash: str) -> bool:
    change = _find_change(session, allocation, event_id)
    if change is not None and change.content_hash != content_hash:
        raise OtherContent(id=allocation.source_id, event_id=event_id)
    return change is not None


def _check_order(session: Session, allocation: Allocation, kind: str, at: datetime) -> None:
    if allocation.ended_at is not None:
        raise AlreadyReleased(id=allocation.source_id, ended_at=allocation.ended_at.isoformat())
    last = _last_change(session, allocation)
    last_at, last_kind = last.changed_at, last.kind
    if at < last_at:
        reason = "end_before_start" if at < allocation.started_at else "out_of_order"
        raise OutOfOrder(id=allocation.source_id, at=at.isoformat(), last_at=last_at.isoformat(), reason=reason)
    if at == last_at and kind == last_kind:
        raise Conflict(id=allocation.source_id, at=at.isoformat(), reason="two_changes_at_once")


def _settle(session: Session, head: AccountHead, allocation: Allocation, *, at: datetime, now: datetime) -> int:
    """Bring the usage of the present shape to exactly `at`: onward, or back."""
    if allocation.accrued_at > at:
        return accrual.take_back(session, head, allocation, from_at=at, now=now)
    return accrual.extend(session, head, [allocation], through_at=at, now=now)


def _add_change(
    session: Session, allocation: Allocation, event_id: str, kind: str, at: datetime, content_hash: str, now: datetime
) -> None:
    session.add(
        AllocationChange(
            id=ids.new_id("alx"),
            allocation_id=allocation.id,
            event_id=event_id,
            kind=kind,
            changed_at=at,
            shape=allocation.shape,
            content_hash=content_hash,
            recorded_at=now,
        )
    )
    session.flush()
