"""POST /metering/allocations: the life of a live allocation, one step a call, told once under its event id."""

from decimal import Decimal
from typing import Literal

from flask import Response

from billing.accounts.listing import AccountRow
from billing.kernel.errors import Invalid
from billing.metering import allocations as lifecycle
from billing.metering.allocations import AllocationResult, Shape
from billing.storage import correlation
from billing.storage.database import Session
from portal import services
from portal.api import answers, bodies, keys, schemas
from portal.api.schemas import AllocationAnswer, AllocationStep

Step = Literal["opened", "reconfigured", "stopped", "started", "released", "release_failed"]

_GIB = 2**30
_STEPS: dict[str, Step] = {
    "provisioning.active": "opened",
    "provisioning.reconfigured": "reconfigured",
    "reconfigured": "reconfigured",
    "provisioning.stopped": "stopped",
    "stopped": "stopped",
    "provisioning.started": "started",
    "started": "started",
    "provisioning.released": "released",
    "released": "released",
    "provisioning.release_failed": "release_failed",
    "release_failed": "release_failed",
}


@keys.needs("usage.write")
def tell_allocation() -> Response:
    """201 for a step that did something, 200 for one told before, 409 for one that contradicts what is known."""
    step = bodies.read(AllocationStep)
    with services.database().transaction() as session:
        account = keys.account_of(session, step.account)
        result = _take(session, account, step)
    answer = AllocationAnswer(
        id=result.allocation_id,
        allocation_id=step.allocation_id,
        account=account.code,
        status="duplicate" if result.is_duplicate else _STEPS[step.type],
        usage_records=result.usage_records,
    )
    return answers.of(answer, 200 if result.is_duplicate else 201)


def _take(session: Session, account: AccountRow, step: AllocationStep) -> AllocationResult:
    now, name = services.now(), _STEPS[step.type]
    if name == "opened":
        return lifecycle.open_allocation(
            session,
            now=now,
            account_id=account.id,
            event_id=step.event_id,
            external_id=step.allocation_id,
            resource=step.resource or "",
            name=step.name,
            shape=_shape(step.shape),
            at=step.time,
            project_code=step.project,
            member_handle=step.submitter,
            correlation_id=correlation.current(),
            variant=step.variant,
            mode=step.mode,
            tags=step.tags,
        )
    if name == "reconfigured":
        return lifecycle.reconfigure(
            session,
            now=now,
            account_id=account.id,
            event_id=step.event_id,
            external_id=step.allocation_id,
            shape=_shape(step.shape),
            at=step.time,
        )
    if name in ("stopped", "started"):
        act = lifecycle.stop if name == "stopped" else lifecycle.start
        return act(
            session,
            now=now,
            account_id=account.id,
            event_id=step.event_id,
            external_id=step.allocation_id,
            at=step.time,
        )
    return lifecycle.release(
        session,
        now=now,
        account_id=account.id,
        event_id=step.event_id,
        external_id=step.allocation_id,
        at=step.time,
        failed=name == "release_failed",
    )


def _shape(shape: schemas.Shape | None) -> Shape:
    """The shape in base units. Raises Invalid for memory or storage that is no whole number of bytes."""
    asked = shape or schemas.Shape()
    return Shape(
        gpus=asked.gpus,
        cpu_cores=asked.cpu_cores,
        memory_bytes=_bytes("memory_gib", asked.memory_gib),
        storage_bytes=_bytes("storage_gib", asked.storage_gib),
    )


def _bytes(field: str, gib: str) -> int:
    size = Decimal(gib) * _GIB
    if size != size.to_integral_value():
        raise Invalid(field=field, value=gib, reason="not_whole_bytes")
    return int(size)
