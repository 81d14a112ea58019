"""A counter while a batch is rated: its curve, where it stands, its charges. Plain integers, no session."""

from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from billing.catalog.prices import Price
from billing.kernel.ids import new_id
from billing.rating import curves
from billing.rating.curves.terms import Curve, Scale
from billing.rating.derivations import MICRO_PER_MINOR, curve_of


@dataclass(slots=True, kw_only=True)
class OpenCharge:
    """A charge that may take lines, and what it counts so far."""

    id: str
    project_key: str
    generation: int
    before_base: int
    quantity_base: int
    is_new: bool
    is_touched: bool = False


@dataclass(slots=True, kw_only=True)
class OpenCounter:
    """A counter, its curve, and where it stands. `rate_*` is the slope of a straight line, in micro per base unit."""

    id: str
    period_id: str
    segment_start_at: datetime
    price: Price
    scale: Scale | None
    curve: Curve
    quantity_base: int
    counter_seq: int
    is_new: bool
    is_per_project: bool
    charges: dict[str, OpenCharge] = field(default_factory=dict)  # the newest generation of each project key
    closed: set[str] = field(default_factory=set)  # ids of charges among them that a draft has closed
    cost_micro: int = 0
    rate_numerator: int = 0
    rate_denominator: int = 0  # 0: not a straight line
    is_touched: bool = False
    is_rescaled: bool = False

    def rescale(self, scale: Scale | None) -> None:
        """Give it another share of its period; `cost_micro` stays what its lines made, until the rescaling line adds the rest."""
        self.scale, self.curve = scale, self.curve_with(scale)
        self.is_touched = self.is_rescaled = True

    def curve_with(self, scale: Scale | None) -> Curve:
        """Its curve for another share of its period."""
        return curve_of(self.price, scale)

    def charge_of(self, project_id: str | None) -> OpenCharge:
        """The charge that takes the next line of a project: a new generation where a draft has closed the last one."""
        key = (project_id or "") if self.is_per_project else ""
        charge = self.charges.get(key)
        if charge is not None and charge.id not in self.closed:
            return charge
        generation, before_base = 0, 0
        if charge is not None:
            generation, before_base = charge.generation + 1, charge.before_base + charge.quantity_base
        opened = OpenCharge(
            id=new_id("chg"),
            project_key=key,
            generation=generation,
            before_base=before_base,
            quantity_base=0,
            is_new=True,
        )
        self.charges[key] = opened
        return opened


@dataclass(slots=True, kw_only=True)
class Slot:
    """The stretch of time in which one item's usage goes to one counter, or to none for the reason given."""

    start_micros: int
    end_micros: int
    counter: OpenCounter | None
    reason: str = ""


def open_counter(price: Price, scale: Scale | None, counter_id: str, period_id: str, start_at: datetime) -> OpenCounter:
    """A counter that stands at nothing."""
    curve = curve_of(price, scale)
    per_base = curves.per_base_of(curve)
    rate = (per_base or Fraction(0)) * MICRO_PER_MINOR
    return OpenCounter(
        id=counter_id,
        period_id=period_id,
        segment_start_at=start_at,
        price=price,
        scale=scale,
        curve=curve,
        quantity_base=0,
        counter_seq=0,
        is_new=True,
        is_per_project=curves.is_per_project(price.model),
        rate_numerator=rate.numerator,
        rate_denominator=0 if per_base is None else rate.denominator,
    )
