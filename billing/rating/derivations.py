"""How a line's amount came about: ordered steps that anyone can work again, and the hashes that hold them still (RT2).

A derivation follows from the line's two quantities and its price alone, so it is made anew whenever it is shown or replayed.
"""

import hashlib
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Protocol

from billing.kernel import canonical
from billing.kernel.rounding import half_up_fraction
from billing.rating import curves
from billing.rating.curves.terms import Curve, Parameters, Part, Scale, Terms, total

MICRO_PER_MINOR = 10**6


class PriceTerms(Protocol):
    """What a derivation needs of a price version; `catalog.prices.Price` has it."""

    @property
    def model(self) -> str: ...
    @property
    def parameters(self) -> Parameters: ...
    @property
    def currency(self) -> str: ...
    @property
    def base_per_unit(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step. All values are text: integers, or exact fractions such as `7/3`.

    `unit` is what `exact` and `result` count: `unit` (the meter's priced unit), `minor`, `micro` (millionths of a minor unit) or
    `share` (of the billing period). `operation` is quantity, stood_at, share_after, share_before, one of the curves' parts
    (per_unit, tier, volume_tier, free, package, flat, percentage), cost_after, cost_before or difference.
    """

    operation: str
    inputs: dict[str, str]
    unit: str
    exact: str
    rounding: str  # none, half_up, of_rounded
    result: str


@dataclass(frozen=True, kw_only=True)
class Derivation:
    """The steps from what was counted to `amount_micro`, in millionths of a minor unit of the price's currency."""

    steps: tuple[Step, ...]
    amount_micro: int

    @property
    def hash(self) -> str:
        """SHA-256 over the steps: two sides that worked the same way have the same hash."""
        return canonical.digest("derivation/1", [asdict(step) for step in self.steps], str(self.amount_micro))


def curve_of(price: PriceTerms, scale: Scale | None = None) -> Curve:
    """The cumulative curve of a price for a counter that covers `scale` of its period. Raises Invalid."""
    terms = Terms(currency=price.currency, base_per_unit=price.base_per_unit, scale=scale)
    return curves.of(price.model)(price.parameters, terms)


def cost_micro(curve: Curve, quantity_base: int) -> int:
    """The curve's cost in millionths of a minor unit, rounded half up: lines are differences of these (Law 1)."""
    return half_up_fraction(curve.cost(quantity_base) * MICRO_PER_MINOR)


def derive(price: PriceTerms, before_base: int, quantity_base: int, scale: Scale | None = None) -> Derivation:
    """Work out what `quantity_base` adds to a counter that stands at `before_base`.

    `amount_micro = R(cost(before + quantity)) - R(cost(before))` (Law 1).
    """
    curve = curve_of(price, scale)
    counted = [_quantity("quantity", quantity_base, price), _quantity("stood_at", before_base, price)]
    after, before = _side(curve, before_base + quantity_base, "after"), _side(curve, before_base, "before")
    return _difference(counted, after, before)


def derive_rescaling(price: PriceTerms, stood_at_base: int, old: Scale | None, new: Scale | None) -> Derivation:
    """Work out what a rescaling adds to a counter that stands there: its curve with the new share minus the one with the old.

    `amount_micro = R(new cost) - R(old cost)` (Law 1).
    """
    counted = [_quantity("quantity", 0, price), _quantity("stood_at", stood_at_base, price)]
    counted += [_share("share_after", new), _share("share_before", old)]
    after = _side(curve_of(price, new), stood_at_base, "after")
    before = _side(curve_of(price, old), stood_at_base, "before")
    return _difference(counted, after, before)


@dataclass(frozen=True, kw_only=True)
class _Side:
    """One of the two costs whose difference a line is."""

    steps: tuple[Step, ...]
    exact_minor: Fraction
    micro: int


def _side(curve: Curve, quantity_base: int, at: str) -> _Side:
    parts, micro = curve.parts(quantity_base), cost_micro(curve, quantity_base)
    steps = (*(_part(part, at) for part in parts), _cost(f"cost_{at}", parts, micro))
    return _Side(steps=steps, exact_minor=total(parts), micro=micro)


def _difference(counted: list[Step], after: _Side, before: _Side) -> Derivation:
    amount_micro = after.micro - before.micro
    last = Step(
        operation="difference",
        inputs={"cost_after_micro": str(after.micro), "cost_before_micro": str(before.micro)},
        unit="micro",
        exact=str((after.exact_minor - before.exact_minor) * MICRO_PER_MINOR),
        rounding="of_rounded",
        result=str(amount_micro),
    )
    return Derivation(steps=(*counted, *after.steps, *before.steps, last), amount_micro=amount_micro)


def _share(operation: str, scale: Scale | None) -> Step:
    """The part of the billing period by which bounds, allowances and flat amounts are cut."""
    part, of = (1, 1) if scale is None else (scale.lengths_ms[scale.index], sum(scale.lengths_ms))
    share = str(Fraction(part, of))
    inputs = {"segment_ms": str(part), "period_ms": str(of)} if scale is not None else {}
    return Step(operation=operation, inputs=inputs, unit="share", exact=share, rounding="none", result=share)


def _quantity(operation: str, quantity_base: int, price: PriceTerms) -> Step:
    units = str(Fraction(quantity_base, price.base_per_unit))
    inputs = {"quantity_base": str(quantity_base), "base_per_unit": str(price.base_per_unit)}
    return Step(operation=operation, inputs=inputs, unit="unit", exact=units, rounding="none", result=units)


def _part(part: Part, at: str) -> Step:
    inputs = {"at": at, "count": str(part.count), "price_minor": str(part.price_minor)}
    if part.from_base or part.up_to_base is not None:
        inputs["from_base"] = str(part.from_base)
    if part.up_to_base is not None:
        inputs["up_to_base"] = str(part.up_to_base)
    amount = str(part.amount_minor)
    return Step(operation=part.operation, inputs=inputs, unit="minor", exact=amount, rounding="none", result=amount)


def _cost(operation: str, parts: tuple[Part, ...], micro: int) -> Step:
    return Step(
        operation=operation,
        inputs={"parts": str(len(parts))},
        unit="micro",
        exact=str(total(parts) * MICRO_PER_MINOR),
        rounding="half_up",
        result=str(micro),
    )


LineFacts = tuple[str, str, int, str, str, int, str, str, int, int, int, str]
"""id, billing account, line_seq, usage record, counter, counter_seq, charge, price version, quantity_base, before_base,
amount_micro, currency: a rated line as it is stored, up to its time and its hash."""

_LAYOUT = '["rated-line/1","%s","%s",%d,"%s","%s",%d,"%s","%s","%s","%s","%s","%s",%d,"%s","%s"]'


def line_hash(facts: LineFacts, rated_at_micros: int, record_hash: str, price_hash: str) -> str:
    """SHA-256 of one rated line; it covers the usage row's and the price version's hashes, so the chain covers them (Law 4).

    The same bytes as `canonical.digest("rated-line/1", *fields)`, quantities as text. They are laid out by hand because a period
    has millions of lines; ids, hashes and currencies hold no character that JSON would escape.
    """
    text = _LAYOUT % (*facts, rated_at_micros, record_hash, price_hash)
    return hashlib.sha256(text.encode()).hexdigest()
