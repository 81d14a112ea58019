"""Which thresholds a sum has reached. Pure."""

import re
from collections.abc import Iterable

from billing.kernel.errors import Invalid

MAX_THRESHOLDS = 10
_PERCENTS = re.compile(r"[0-9]{1,4}")


def parse(text: str) -> list[int]:
    """Read "50, 80, 100" as rising percentages. Raises Invalid(field="thresholds") as `checked` does."""
    parts = [part.strip().rstrip("%").strip() for part in text.split(",")]
    if not all(_PERCENTS.fullmatch(part) for part in parts):
        raise Invalid(field="thresholds", value=text[:60], reason="not_percentages")
    return checked(int(part) for part in parts)


def checked(percents: Iterable[int]) -> list[int]:
    """Rising percentages without repeats. Raises Invalid unless there are 1 to 10, each from 1 to 1000."""
    found = sorted(set(percents))
    if not 1 <= len(found) <= MAX_THRESHOLDS or not all(1 <= percent <= 1000 for percent in found):
        raise Invalid(field="thresholds", limit=MAX_THRESHOLDS, reason="not_percentages")
    return found


def reached(spent_minor: int, amount_minor: int, percents: Iterable[int]) -> list[int]:
    """The percentages of `amount_minor` that `spent_minor` has reached; 80 % of 1,000 is reached at 800 exactly."""
    return [percent for percent in percents if spent_minor * 100 >= amount_minor * percent]


def least_minor(amount_minor: int, percent: int) -> int:
    """The smallest sum (minor units) that has reached a percentage of `amount_minor`."""
    return -(-amount_minor * percent // 100)
