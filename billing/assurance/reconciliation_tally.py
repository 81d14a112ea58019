"""What one stage of a reconciliation looked at and found, while it runs and afterwards."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from billing.kernel import canonical
from billing.kernel.money import Money

KEPT_MAX = 5_000
"""Differences of one stage that are kept one by one; of the rest only the number."""

UNDER_WAY = timedelta(minutes=15)
"""Usage and rated lines younger than this are under way to their next stage, not missing from it."""


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What is compared: everything, or what belongs to the billing periods of one month; `now` tells what is late."""

    now: datetime
    period_label: str | None = None

    def covers(self, period_label: str | None) -> bool:
        """Whether a row of that billing period is looked at."""
        return self.period_label in (None, period_label)

    @property
    def late_before(self) -> datetime:
        """What was recorded before this instant should have reached the next stage."""
        return self.now - UNDER_WAY


@dataclass(frozen=True, kw_only=True)
class Found:
    """One difference between two stages. `subject_id` names the row; `facts` hold ids, codes, instants as text, and integers."""

    stage: str
    billing_account_id: str | None
    currency: str | None
    period_label: str | None
    subject_type: str
    subject_id: str
    sentence: str
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The name of the difference itself: the same however often it is seen."""
        return canonical.digest(
            "reconciliation-finding/1",
            self.stage,
            self.billing_account_id,
            self.currency,
            self.period_label,
            self.subject_type,
            self.subject_id,
        )


@dataclass(kw_only=True)
class Stage:
    """One comparison while it runs. `sums` are what both sides add up to: {currency: {what: minor units}}."""

    name: str
    looked: int = 0
    under_way: int = 0
    found: list[Found] = field(default_factory=list)
    unlisted: int = 0
    sums: dict[str, dict[str, int]] = field(default_factory=dict)

    def look(self, rows: int = 1) -> None:
        """Count rows that were really compared."""
        self.looked += rows

    def add(self, currency: str, **minor: int) -> None:
        """Add to what the sides of this stage come to."""
        own = self.sums.setdefault(currency, {})
        for what, amount in minor.items():
            own[what] = own.get(what, 0) + amount

    def differ(
        self,
        subject: tuple[str, str],
        sentence: str,
        *,
        account: str | None,
        currency: str | None = None,
        period: str | None = None,
        **facts: Any,
    ) -> None:
        """Note a difference about the row `subject` = (type, id)."""
        if len(self.found) >= KEPT_MAX:
            self.unlisted += 1
            return
        self.found.append(
            Found(
                stage=self.name,
                billing_account_id=account,
                currency=currency,
                period_label=period,
                subject_type=subject[0],
                subject_id=subject[1],
                sentence=sentence,
                facts=facts,
            )
        )

    @property
    def difference_count(self) -> int:
        """How many differences there are, kept or not."""
        return len(self.found) + self.unlisted

    def to_facts(self) -> dict[str, Any]:
        """What a run keeps of it."""
        return {
            "looked": self.looked,
            "differences": self.difference_count,
            "under_way": self.under_way,
            "sums": self.sums,
        }


def shown(minor: int, currency: str) -> str:
    """An amount in a sentence: "12.34 USD"."""
    money = Money(minor=minor, currency=currency)
    return f"{money.to_decimal()} {currency}"
