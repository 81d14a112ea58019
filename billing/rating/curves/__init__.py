"""Price curves (Law 1): one file per price model, all alike: a frozen curve with `cost` and `parts`, and `read` that makes it.

Quantities are base units of the meter; costs are exact minor units of the price's currency.
"""

from collections.abc import Callable
from fractions import Fraction

from billing.kernel.errors import Invalid
from billing.rating.curves import allowance, flat, graduated, package, per_unit, percentage, volume
from billing.rating.curves.per_unit import PerUnit
from billing.rating.curves.percentage import Percentage
from billing.rating.curves.terms import Curve, Parameters, Terms

MODELS: dict[str, Callable[[Parameters, Terms], Curve]] = {
    "per_unit": per_unit.read,
    "flat": flat.read,
    "package": package.read,
    "graduated": graduated.read,
    "volume": volume.read,
    "allowance": allowance.read,
    "percentage": percentage.read,
}

# Models whose bounds or amounts hold for a whole period: a counter of a part of it has its share of them.
SCALED = frozenset({"flat", "graduated", "volume", "allowance"})


def of(model: str) -> Callable[[Parameters, Terms], Curve]:
    """The reader of a price model. Raises Invalid(field="model") for a name that is none."""
    try:
        return MODELS[model]
    except KeyError:
        raise Invalid(field="model", value=model[:40], reason="unknown_model") from None


def is_per_project(model: str) -> bool:
    """Whether charges of this model are split by project: only where a project's amount does not depend on the others'."""
    return model == "per_unit"


def per_base_of(curve: Curve) -> Fraction | None:
    """The slope of a straight line in minor units per base unit; None for a curve with bends or steps.

    A straight line also holds below zero, and an amount on it does not depend on where it began.
    """
    return curve.per_base if isinstance(curve, PerUnit | Percentage) else None
