"""The list of tiers that graduated and volume prices share.

`{"tiers": [{"up_to": "100", "unit_price": "0.015"}, {"unit_price": "0.010"}]}`: bounds in priced units, rising, each belonging
to its own tier; the last tier has none.
"""

from dataclasses import dataclass
from fractions import Fraction

from billing.kernel.errors import Invalid
from billing.rating.curves.terms import Parameters, Terms


@dataclass(frozen=True, kw_only=True)
class Tier:
    """Quantities in (from_base, up_to_base], and what a priced unit costs there."""

    from_base: int
    up_to_base: int | None
    price_minor: Fraction


def read(parameters: Parameters, terms: Terms) -> tuple[Tier, ...]:
    """The tiers, bounds scaled to the counter. Raises Invalid unless bounds rise and the last tier alone is open."""
    rows = parameters.get("tiers")
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Invalid(field="tiers", value=str(rows)[:40], reason="not_a_list_of_tiers")
    tiers: list[Tier] = []
    whole_before = Fraction(0)
    for place, row in enumerate(rows, start=1):
        is_last = place == len(rows)
        if is_last != (row.get("up_to") is None):
            raise Invalid(field="up_to", tier=place, reason="only_the_last_tier_is_open")
        before = tiers[-1].up_to_base if tiers else 0
        assert before is not None  # noqa: S101  only the last tier is open
        bound = None if is_last else terms.bound_base(row, "up_to")
        if bound is not None:
            if Fraction(row["up_to"]) <= whole_before:
                raise Invalid(field="up_to", value=row["up_to"], tier=place, reason="bounds_must_rise")
            whole_before = Fraction(row["up_to"])
            bound = max(bound, before)  # bounds of a few base units may change places when they are scaled
        tiers.append(Tier(from_base=before, up_to_base=bound, price_minor=terms.minor(row, "unit_price")))
    return tuple(tiers)
