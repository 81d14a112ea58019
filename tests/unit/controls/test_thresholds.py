"""Thresholds, by hand."""

import pytest

from billing.controls import thresholds
from billing.kernel.errors import Invalid


def test_a_threshold_is_reached_at_its_very_cent() -> None:
    assert thresholds.reached(79_999, 100_000, [50, 80, 100]) == [50]
    assert thresholds.reached(80_000, 100_000, [50, 80, 100]) == [50, 80]
    assert thresholds.reached(100_001, 100_000, [50, 80, 100, 120]) == [50, 80, 100]
    assert thresholds.reached(-5, 100_000, [50]) == []


def test_percentages_are_read_sorted_and_once() -> None:
    assert thresholds.parse("100, 50,80 %, 50") == [50, 80, 100]


@pytest.mark.parametrize("text", ["", "50,,80", "0", "1001", "5.5", "-5", "٥٠", "1,2,3,4,5,6,7,8,9,10,11", "fifty"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        thresholds.parse(text)
