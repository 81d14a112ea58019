"""Which documents of a run ask for a look, and which for a reason."""

import pytest

from billing.invoicing import findings


@pytest.mark.parametrize(
    ("net_minor", "before_minor", "found"),
    [
        (100_000, 100_000, None),
        (130_000, 100_000, None),
        (130_001, 100_000, ("look", "risen")),
        (70_000, 100_000, None),
        (69_999, 100_000, ("look", "fallen")),
        (300_000, 100_000, ("look", "risen")),
        (300_001, 100_000, ("outlier", "risen")),
        (33_334, 100_000, ("look", "fallen")),
        (33_333, 100_000, ("outlier", "fallen")),
        (4_999, 1, None),  # less than 50.00 apart
        (5_001, 1, ("outlier", "risen")),
        (5_000, None, None),
        (5_000, 0, ("outlier", "risen")),
        (5_000, -5_000, ("outlier", "risen")),
        (0, 100_000, ("look", "nothing")),
        (-1, None, ("look", "below_zero")),
    ],
)
def test_thirty_percent_is_worth_a_look_and_three_times_asks_for_a_reason(
    net_minor: int, before_minor: int | None, found: tuple[str, str] | None
) -> None:
    made = findings.of(net_minor, before_minor, "USD")
    assert ((made.level, made.change) if made else None) == found


def test_fifty_major_units_are_counted_in_the_documents_currency() -> None:
    assert findings.of(150, 100, "JPY") is not None
    assert findings.of(150, 100, "USD") is None
