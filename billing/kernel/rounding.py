"""Exact rounding and splitting. Every division of money in Plumbline goes through this file."""

from collections.abc import Sequence
from fractions import Fraction


def half_up(numerator: int, denominator: int = 1) -> int:
    """R of money.md: the nearest integer to numerator / denominator, halves away from zero.

    Python's round() is half to even and would turn 2.5 into 2.
    """
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((-2 * numerator + denominator) // (2 * denominator))


def half_up_fraction(value: Fraction) -> int:
    """The nearest integer to an exact value, halves away from zero."""
    return half_up(value.numerator, value.denominator)


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    """Split `total` in proportion to non-negative `weights` so that the parts sum to it exactly.

    Each part is floored, the units left over go to the largest remainders, ties to the earlier part. With weights that are
    all zero the whole goes to the first part. Raises ValueError without weights or with a negative one.
    """
    if not weights or min(weights) < 0:
        raise ValueError("weights must be given and not be negative")
    whole = sum(weights)
    if whole == 0:
        return [total] + [0] * (len(weights) - 1)
    sign, magnitude = (-1, -total) if total < 0 else (1, total)
    parts = [magnitude * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda i: (-(magnitude * weights[i] % whole), i))
    for i in by_remainder[: magnitude - sum(parts)]:
        parts[i] += 1
    return [sign * part for part in parts]


def split_fractions(total: int, parts: Sequence[Fraction]) -> list[int]:
    """Whole numbers near exact `parts` that sum to `total`, which is the parts' own sum rounded to a whole number.

    Each part is floored, the units left over go to the largest remainders, ties to the earlier part. Parts may be negative.
    Raises ValueError when no such numbers lie within one of each part.
    """
    floors = [part.numerator // part.denominator for part in parts]
    rest = total - sum(floors)
    if not 0 <= rest <= len(parts):
        raise ValueError("the total is not the parts' sum rounded")
    by_remainder = sorted(range(len(parts)), key=lambda i: (floors[i] - parts[i], i))
    for i in by_remainder[:rest]:
        floors[i] += 1
    return floors
