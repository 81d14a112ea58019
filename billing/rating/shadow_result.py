"""What a shadow rating found: sums of both sides, movers, distribution, and whether all of it lies inside the limits. Pure.

Amounts are millionths of a minor unit; in the stored result they are decimal text.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from billing.catalog.trials import Limits
from billing.kernel import canonical
from billing.kernel.clock import to_rfc3339
from billing.kernel.rounding import half_up
from billing.rating import usage

BANDS = (1, 5, 20, 50)
"""Percent of change at which the distribution's bars begin and end; beside them stands what did not change at all."""
_MIDDLE = len(BANDS) + 1
BAND_COUNT = 2 * _MIDDLE + 1
LINES_KEPT = 50
ACCOUNTS_KEPT = 5_000


@dataclass(slots=True, kw_only=True)
class Side:
    """Rows, and what they come to on both sides."""

    row_count: int = 0
    old_micro: int = 0
    new_micro: int = 0

    def add(self, row_count: int, old_micro: int, new_micro: int) -> None:
        """Take more rows in."""
        self.row_count += row_count
        self.old_micro += old_micro
        self.new_micro += new_micro

    @property
    def delta_micro(self) -> int:
        """New minus old."""
        return self.new_micro - self.old_micro

    @property
    def content(self) -> dict[str, Any]:
        """As it is stored."""
        return {"rows": self.row_count, "old_micro": str(self.old_micro), "new_micro": str(self.new_micro)}


@dataclass(frozen=True, kw_only=True)
class AccountSide:
    """One account's sums."""

    account_id: str
    code: str
    currency: str
    side: Side


def band_of(old_micro: int, new_micro: int) -> int:
    """Which bar of the distribution a change belongs to: `_MIDDLE` for none, above it what became dearer.

    A change of exactly one percent belongs to the bar that ends there; from nothing, every change is in the last bar.
    """
    delta = new_micro - old_micro
    if not delta:
        return _MIDDLE
    size, whole = 100 * abs(delta), abs(old_micro)
    place = 1
    for percent in BANDS:
        if size > percent * whole:
            place += 1
    return _MIDDLE + place if delta > 0 else _MIDDLE - place


def candidate_key(content_hash: str, usage_record_id: str) -> str:
    """The candidate rating key: the same for the same content and usage record in every run, on every machine."""
    return canonical.digest("candidate-line/1", content_hash, usage_record_id)


class Movers:
    """The lines with the largest change, however many lines there are."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, str, dict[str, Any]]] = []
        self.floor = 0
        """A change must be larger than this to be kept."""

    def keep(self, size: int, usage_record_id: str, facts: dict[str, Any]) -> None:
        """Keep a line whose change is that large, in place of the smallest where there are enough."""
        entry = (size, usage_record_id, facts)
        if len(self._kept) < LINES_KEPT:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heappushpop(self._kept, entry)
        if len(self._kept) == LINES_KEPT:
            self.floor = self._kept[0][0]

    @property
    def largest_first(self) -> list[dict[str, Any]]:
        """What was kept."""
        return [facts for _, _, facts in sorted(self._kept, key=lambda kept: (-kept[0], kept[1]))]


@dataclass(kw_only=True)
class Found:
    """Everything that is gathered while rows go by; its size does not depend on their number."""

    accounts: list[AccountSide] = field(default_factory=list)
    skus: dict[tuple[str, str], Side] = field(default_factory=dict)  # (SKU or item, currency)
    bands: list[int] = field(default_factory=lambda: [0] * BAND_COUNT)
    movers: Movers = field(default_factory=Movers)
    unpriced: dict[tuple[str, str, str], Side] = field(default_factory=dict)  # (item, reason, currency)
    waiting: dict[tuple[str, str], Side] = field(default_factory=dict)  # (SKU, currency): waits now, would have a price

    @property
    def totals(self) -> dict[str, Side]:
        """By currency."""
        sums: dict[str, Side] = {}
        for account in self.accounts:
            each = account.side
            sums.setdefault(account.currency, Side()).add(each.row_count, each.old_micro, each.new_micro)
        return dict(sorted(sums.items()))


def is_inside(found: Found, limits: Limits) -> bool:
    """Whether every total and every account moved by no more than the limits, and nothing that is charged lost its price."""
    return (
        not found.unpriced
        and all(limits.is_total_inside(total.old_micro, total.new_micro) for total in found.totals.values())
        and all(limits.is_account_inside(each.side.old_micro, each.side.new_micro) for each in found.accounts)
    )


def content(found: Found, limits: Limits) -> dict[str, Any]:
    """The result as a trial keeps it: totals, accounts and SKUs (largest change first), movers, distribution, what has no price."""
    accounts = sorted(found.accounts, key=lambda each: (-abs(each.side.delta_micro), each.account_id))
    by_band = [0] * BAND_COUNT
    for each in found.accounts:
        by_band[band_of(each.side.old_micro, each.side.new_micro)] += 1
    outside = [
        each for each in found.accounts if not limits.is_account_inside(each.side.old_micro, each.side.new_micro)
    ]
    return {
        "totals": [
            {
                "currency": currency,
                **total.content,
                "is_inside": limits.is_total_inside(total.old_micro, total.new_micro),
            }
            for currency, total in found.totals.items()
        ],
        "account_count": len(found.accounts),
        "outside_count": len(outside),
        "accounts": [_account(each, limits) for each in accounts[:ACCOUNTS_KEPT]],
        "skus": _named(found.skus, ("sku", "currency")),
        "movers": found.movers.largest_first,
        "distribution": [
            {"from": lower, "to": upper, "lines": found.bands[place], "accounts": by_band[place]}
            for place, (lower, upper) in enumerate(_borders())
        ],
        "unpriced": _named(found.unpriced, ("item", "reason", "currency")),
        "waiting": _named(found.waiting, ("sku", "currency")),
    }


def mover(
    *, content_hash: str, account_id: str, usage_record_id: str, start_micros: int, quantity_base: int, sku_code: str,
    currency: str, old_micro: int, new_micro: int,
) -> dict[str, Any]:  # fmt: skip
    """One line as the result keeps it."""
    return {
        "key": candidate_key(content_hash, usage_record_id),
        "line_id": "rtl" + usage_record_id[3:],
        "account_id": account_id,
        "sku": sku_code,
        "currency": currency,
        "start_at": to_rfc3339(usage.instant(start_micros)),
        "quantity_base": str(quantity_base),
        "old_micro": str(old_micro),
        "new_micro": str(new_micro),
    }


def _account(each: AccountSide, limits: Limits) -> dict[str, Any]:
    return {
        "account_id": each.account_id,
        "code": each.code,
        "currency": each.currency,
        **each.side.content,
        "is_inside": limits.is_account_inside(each.side.old_micro, each.side.new_micro),
    }


def _named(sides: dict[Any, Side], names: Sequence[str]) -> list[dict[str, Any]]:
    """Sides under the parts of their keys, the largest change first."""
    ordered = sorted(sides.items(), key=lambda entry: (-abs(entry[1].delta_micro), entry[0]))
    return [{**dict(zip(names, key, strict=True)), **side.content} for key, side in ordered]


def _borders() -> list[tuple[str | None, str | None]]:
    """The bars' borders in percent, falling changes first; None where there is no border."""
    rising: list[tuple[str | None, str | None]] = [
        (str(lower), None if upper is None else str(upper))
        for lower, upper in zip((0, *BANDS), (*BANDS, None), strict=True)
    ]
    falling = [
        (None if upper is None else f"-{upper}", "0" if lower == "0" else f"-{lower}") for lower, upper in rising
    ]
    return [*reversed(falling), ("0", "0"), *rising]


def percent(old_micro: int, new_micro: int) -> str | None:
    """The change in percent of what it was, two decimals, half up: "-3.33"; None where it was nothing."""
    if not old_micro:
        return None if new_micro else "0.00"
    hundredths = half_up((new_micro - old_micro) * 10_000, abs(old_micro))
    whole, rest = divmod(abs(hundredths), 100)
    return f"{'-' if hundredths < 0 else ''}{whole}.{rest:02d}"


def exact_minor(amount_micro: int) -> str:
    """Minor units with six decimals: 688333333 is "688.333333"."""
    whole, rest = divmod(abs(amount_micro), 10**6)
    return f"{'-' if amount_micro < 0 else ''}{whole}.{rest:06d}"
