"""The meters: what is counted, as integers of a base unit, and the exact divisor to the unit that is priced and shown.

A meter's divisor never changes: quantities at rest would mean something else. Data only; `bootstrap` installs it.
Fees and closing charges are counted too, by meters of their own kind, so that each of their lines stands on a usage record.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.kernel.errors import Invalid

_HOUR_MS = 3_600_000
_HOUR_S = 3_600
_GIB = 2**30
# A GPU is 21,000 shares, so that thousandths, thirds, sevenths and eighths of one are whole.
GPU_SHARES = 21_000
# Who counts: `opening` records fees as a period opens, `closing` what a period's other charges lead to.
USAGE, FEE, CLOSING = "usage", "fee", "closing"
# Amounts are counted in millionths of a minor unit of the account's currency, so that shares of them stay exact.
_MICRO = 1_000_000


@dataclass(frozen=True, kw_only=True)
class MeterFacts:
    """One meter. `base_per_unit` base units are one priced unit. `kind` says who counts: tenants' usage, or the system's own
    recurring fees and closing charges.
    """

    code: str
    unit: str
    base_unit: str
    base_per_unit: int
    description: str
    kind: str = USAGE

    @property
    def is_amount(self) -> bool:
        """Whether what it counts is money, of which a percentage can be taken."""
        return self.kind == CLOSING

    def to_units(self, quantity_base: int) -> Fraction:
        """A quantity in priced units, exact."""
        return Fraction(quantity_base, self.base_per_unit)


_ALL = (
    MeterFacts(
        code="cpu_hour",
        unit="core-hour",
        base_unit="core x millisecond",
        base_per_unit=_HOUR_MS,
        description="Processor cores held, by time",
    ),
    MeterFacts(
        code="gpu_hour",
        unit="GPU-hour",
        base_unit="1/21000 GPU x millisecond",
        base_per_unit=GPU_SHARES * _HOUR_MS,
        description="GPUs or shares of one held, by time",
    ),
    MeterFacts(
        code="memory_gib_hour",
        unit="GiB-hour",
        base_unit="byte x millisecond",
        base_per_unit=_GIB * _HOUR_MS,
        description="Memory held, by time",
    ),
    MeterFacts(
        code="gib_hour",
        unit="GiB-hour",
        base_unit="byte x second",
        base_per_unit=_GIB * _HOUR_S,
        description="Storage held, by time",
    ),
    MeterFacts(
        code="token_input", unit="token", base_unit="token", base_per_unit=1, description="Tokens read by a model"
    ),
    MeterFacts(
        code="token_output", unit="token", base_unit="token", base_per_unit=1, description="Tokens written by a model"
    ),
    MeterFacts(code="wpk_upload", unit="upload", base_unit="upload", base_per_unit=1, description="Packages uploaded"),
    MeterFacts(code="wpk_review", unit="review", base_unit="review", base_per_unit=1, description="Packages reviewed"),
    MeterFacts(code="query", unit="query", base_unit="query", base_per_unit=1, description="Analytics queries run"),
    MeterFacts(code="report", unit="report", base_unit="report", base_per_unit=1, description="Analytics reports made"),
    MeterFacts(
        code="egress_gib", unit="GiB", base_unit="byte", base_per_unit=_GIB, description="Data sent out of the network"
    ),
    MeterFacts(
        code="ingress_gib", unit="GiB", base_unit="byte", base_per_unit=_GIB, description="Data through managed routes"
    ),
    MeterFacts(
        code="ingress_request",
        unit="request",
        base_unit="request",
        base_per_unit=1,
        description="Requests through managed routes",
    ),
    MeterFacts(
        code="app_instance_hour",
        unit="instance-hour",
        base_unit="instance x millisecond",
        base_per_unit=_HOUR_MS,
        description="App instances running, by time",
    ),
    MeterFacts(
        code="plan_fee",
        unit="period",
        base_unit="period",
        base_per_unit=1,
        description="Recurring fees of a plan, by name",
        kind=FEE,
    ),
    MeterFacts(
        code="closing_amount",
        unit="minor unit",
        base_unit="millionth of a minor unit",
        base_per_unit=_MICRO,
        description="What a period's other charges lead to: what is lacking to a minimum, a percentage of them",
        kind=CLOSING,
    ),
)

METERS: dict[str, MeterFacts] = {meter.code: meter for meter in _ALL}


def get_meter(code: str) -> MeterFacts:
    """The meter of that code. Raises Invalid(field="meter", reason="unknown_meter")."""
    try:
        return METERS[code]
    except KeyError:
        raise Invalid(field="meter", value=ascii(code[:40]), reason="unknown_meter") from None


def kind_of(code: str) -> str:
    """What a meter counts: USAGE, FEE or CLOSING. A stored meter that this code does not know counts usage."""
    facts = METERS.get(code)
    return USAGE if facts is None else facts.kind
