"""Cost by step and group as CSV: the very figures of the page."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from billing.exports import csv
from billing.kernel import money
from billing.rating.spending import Spending


def cost_csv(found: Sequence[Spending], *, group_word: str) -> csv.Export:
    """A row for each bucket and group with a cost; its manifest sums minor units, which means something within one currency."""
    return csv.Export(
        columns=("period", group_word, "name", "currency", "amount", "amount_minor"),
        rows=_rows(found),
        sum_column="amount_minor",
    )


def _rows(found: Sequence[Spending]) -> Iterator[Sequence[csv.Cell]]:
    for one in found:
        digits = money.exponent(one.currency)
        for bucket, label in enumerate(one.labels):
            for group in one.groups:
                minor = group.by_bucket[bucket]
                if minor:
                    yield label, group.key, group.label, one.currency, Decimal(minor).scaleb(-digits), minor
