"""What happens in the demo cloud, in the order of time: a fixed seed makes the same cloud every day of a month."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from billing.demo.tenants import Machine, Tenant
from billing.kernel import periods
from billing.kernel.periods import Period
from billing.metering.shapes import Shape

_GIB = 2**30


@dataclass(frozen=True, kw_only=True)
class Run:
    """One allocation: opened, perhaps given another shape on the way, released (None: it still runs)."""

    external_id: str
    machine: Machine
    member: str
    opened_at: datetime
    changed_at: datetime | None
    released_at: datetime | None


def months_until(now: datetime, count: int) -> list[Period]:
    """The `count` whole UTC months before the present one, then the present one."""
    months = [periods.month_of(now, "UTC")]
    for _ in range(count):
        months.insert(0, periods.month_of(months[0].start_at - timedelta(days=1), "UTC"))
    return months


def runs(tenant: Tenant, month: Period, number: int) -> Iterator[Run]:
    """The tenant's allocations that open in a month; `number` is the month's place, part of every id and of the seed."""
    dice = random.Random(f"plumbline/{tenant.code}/{number}")
    length_h = month.seconds // 3600
    for kind, machine in enumerate(tenant.machines):
        for turn in range(machine.runs_a_month):
            opened_at = month.start_at + timedelta(hours=dice.randrange(length_h), minutes=dice.randrange(60))
            length = timedelta(hours=dice.randint(machine.shortest_h, machine.longest_h), minutes=dice.randrange(1, 60))
            changed_at = opened_at + length / 2 if machine.gpus == "8" and dice.random() < 0.25 else None
            yield Run(
                external_id=f"{tenant.code}-{number}-{kind}-{turn}",
                machine=machine,
                member=dice.choice(machine.members),
                opened_at=opened_at,
                changed_at=changed_at.replace(microsecond=0) if changed_at else None,
                released_at=(opened_at + length).replace(microsecond=0),
            )
    if number == 0:
        for kind, machine in enumerate(tenant.always_on):
            yield Run(
                external_id=f"{tenant.code}-on-{kind}",
                machine=machine,
                member=machine.members[0],
                opened_at=month.start_at + timedelta(days=2, hours=9),
                changed_at=None,
                released_at=None,
            )


def shape_of(machine: Machine) -> Shape:
    """The machine as an allocation has it."""
    return Shape(gpus=machine.gpus, cpu_cores=machine.cpu_cores, memory_bytes=machine.memory_gib * _GIB)


def half_shape_of(machine: Machine) -> Shape:
    """Half of an eight-GPU machine: what a run is shrunk to."""
    return Shape(gpus="4", cpu_cores=machine.cpu_cores // 2, memory_bytes=machine.memory_gib * _GIB // 2)


def stored_gib_on(tenant: Tenant, day: int) -> int:
    """GiB stored on the n-th day of the demo: it grows by half a per cent a day."""
    return tenant.stored_gib + tenant.stored_gib * day // 200
