"""What a live allocation has, in base units per millisecond. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from billing.catalog.meters import GPU_SHARES
from billing.kernel import clock
from billing.kernel.errors import Invalid
from billing.metering import windows

_GPUS = re.compile(r"[0-9]{1,7}(\.[0-9]{1,6}|/[1-9][0-9]{0,3})?")
MAX_GPUS = 1_000_000
MAX_CPU_CORES = 10_000_000
MAX_MEMORY_BYTES = 2**60
MAX_STORAGE_BYTES = 2**62
STORAGE = "gib_hour"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """GPUs as plain text ("4", "0.5", "1/7": a share of one GPU counts as that share), whole CPU cores, memory and storage in bytes.

    Storage stays billed while the allocation is stopped.
    """

    gpus: str = "0"
    cpu_cores: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0

    def __post_init__(self) -> None:
        if not _GPUS.fullmatch(self.gpus):
            raise Invalid(field="gpus", value=self.gpus[:40], reason="not_a_gpu_count")
        for name, value, limit in (
            ("cpu_cores", self.cpu_cores, MAX_CPU_CORES),
            ("memory_bytes", self.memory_bytes, MAX_MEMORY_BYTES),
            ("storage_bytes", self.storage_bytes, MAX_STORAGE_BYTES),
            ("gpus", Fraction(self.gpus), MAX_GPUS),
        ):
            if value < 0:
                raise Invalid(field=name, value=str(value), reason="negative_quantity")
            if value > limit:
                raise Invalid(field=name, value=str(value)[:40], limit=limit, reason="quantity_too_large")
        if not self.rates():
            raise Invalid(field="shape", reason="empty_shape")

    def rates(self) -> dict[str, int]:
        """{meter: base units per millisecond, for storage bytes}, only what is not zero; see `quantity`.

        Raises Invalid for a share of a GPU that 1/21000 cannot express: thousandths, thirds, sevenths and eighths can.
        """
        gpu_units = Fraction(self.gpus) * GPU_SHARES
        if gpu_units.denominator != 1:
            raise Invalid(field="gpus", value=self.gpus, reason="gpu_share_not_exact")
        rates = {
            "cpu_hour": self.cpu_cores,
            "gpu_hour": int(gpu_units),
            "memory_gib_hour": self.memory_bytes,
            STORAGE: self.storage_bytes,
        }
        return {meter_code: rate for meter_code, rate in rates.items() if rate}

    def to_json(self) -> dict[str, str]:
        """As an allocation row holds it: decimal text per meter."""
        return {meter_code: str(rate) for meter_code, rate in self.rates().items()}


def quantity(meter_code: str, rate: int, start_at: datetime, end_at: datetime) -> int:
    """Base units of a meter over a window, from the rate that a shape holds.

    Storage counts byte-seconds: the difference of the floored totals since 1970, so that pieces of any tiling sum to the whole.
    """
    if meter_code != STORAGE:
        return windows.quantity(rate, start_at, end_at)
    return rate * clock.to_millis(end_at) // 1000 - rate * clock.to_millis(start_at) // 1000


def stopped(shape: dict[str, str]) -> dict[str, str]:
    """What a stopped allocation still holds: its storage."""
    return {meter_code: rate for meter_code, rate in shape.items() if meter_code == STORAGE}
