"""Shapes of usage as it is read: records, and sums by bucket and dimension."""

from portal.api.values import Instant, Out


class UsageRecordRow(Out):
    """One usage record as it was taken in. `quantity` is exact in `unit`; `corrects` names the record that it corrects."""

    id: str
    sequence: int
    source: str
    source_id: str
    meter: str
    variant: str
    mode: str
    unit: str
    quantity: str
    start: Instant
    end: Instant
    project: str | None
    submitter: str | None
    allocation: str | None
    resource: str
    route: str | None
    tags: dict[str, str]
    record_hash: str


class UsageRecordPage(Out):
    """Records in the order in which they were taken in; `next_cursor` is null at the present end."""

    data: list[UsageRecordRow]
    next_cursor: str | None


class UsageBucket(Out):
    """One sum. `period` is such as 2026-11, 2026-11-21 or 2026-11-21T05:00Z; `group` is "" for usage without one."""

    period: str
    meter: str
    group: str | None
    unit: str
    quantity: str


class UsageSummary(Out):
    """Sums of one account; windows are split at the borders of buckets. Fees, minimums and unused reservations are not usage."""

    account: str
    by: str
    group_by: str | None
    zone: str
    rows: list[UsageBucket]
