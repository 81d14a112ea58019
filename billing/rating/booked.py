"""What the ledger holds of a range's charges, and how it is shared over what the cost is shown by: the parts sum to it (Law 2).

A pool is what one amount is shared over: the charges of a SKU in one billing period, those of one project where cost is shown by
project and the price is charged by project.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, Project
from billing.kernel import periods
from billing.kernel.rounding import half_up
from billing.rating import amounts as charge_amounts
from billing.rating import dimensions, price_facts, scales
from billing.rating.cells import Cell, Question
from billing.rating.derivations import MICRO_PER_MINOR, curve_of
from billing.rating.tables import BillingPeriod, Charge, Counter, RatedLine

Pool = tuple[str, str, str, str]
"""Currency, billing period ("" where buckets do not tell it), SKU, and project id, "" for none, or ALL."""
Parts = dict[tuple[str, int], int]  # (group, bucket) -> millionths of a minor unit

ALL = "*"


@dataclass(frozen=True, kw_only=True)
class Amounts:
    """The charges of whole billing periods: {(currency, period, SKU, project key): (minor units, how many charges)}.

    `project_id` is the one project that the question is narrowed to.
    """

    by_project: dict[Pool, tuple[int, int]]
    project_id: str | None

    def of(self, pool: Pool) -> tuple[int, int] | None:
        """What a pool holds, None where the ledger says nothing of it."""
        if pool[3] != ALL:
            return self.by_project.get(pool)
        found = [held for key, held in self.by_project.items() if key[:3] == pool[:3]]
        return (sum(minor for minor, _ in found), sum(count for _, count in found)) if found else None


def amounts(session: Session, asked: Question) -> Amounts | None:
    """What the ledger holds, or will hold after the next posting, of the charges in the range.

    None where the range cuts a billing period, a period is not a month of the question's zone, or the filter cuts charges.
    """
    wanted = asked.wanted
    if not wanted.keeps_charges_whole or wanted.project_code == "":
        return None
    labels = _whole_periods(session, asked)
    if labels is None:
        return None
    project_id = None
    if wanted.project_code is not None:
        is_it = (Project.billing_account_id == asked.account_id) & (Project.code == wanted.project_code)
        project_id = session.scalar(select(Project.id).where(is_it))
    held: dict[Pool, tuple[int, int]] = {}
    for currency, period_id, sku_code, project_key, minor, count in _posted(session, asked, list(labels)):
        pool = (currency, _month(asked, labels[period_id]), sku_code, project_key)
        before = held.get(pool, (0, 0))
        held[pool] = (before[0] + int(minor), before[1] + int(count))
    for pool, minor in _pending(session, asked, labels):
        before = held.get(pool, (0, 0))
        held[pool] = (before[0] + minor, before[1])
    return Amounts(by_project=held, project_id=project_id)


def pool_of(asked: Question, cell: Cell, found: Amounts | None) -> Pool:
    """The pool that a cell's cost is part of."""
    month = _month(asked, asked.calendar.labels[cell.bucket]) if found is not None else ""
    project = found.project_id if found is not None else None
    if asked.group == dimensions.PROJECT:
        project = cell.value or ""
        if found is not None and (cell.currency, month, cell.sku_code, project) not in found.by_project:
            project = ""  # its price is charged for all projects together
    return (cell.currency, month, cell.sku_code, ALL if project is None else project)


def shared(parts: dict[Pool, Parts], found: Amounts | None) -> Iterator[tuple[tuple[str, int], int]]:
    """Each pool's amount in whole minor units over its parts: ((group, bucket), minor units).

    Where a SKU's price was charged by project for a part of the period only, its projects make one pool.
    """
    by_sku: dict[tuple[str, str, str], dict[Pool, Parts]] = {}
    for pool, cut in parts.items():
        by_sku.setdefault(pool[:3], {})[pool] = cut
    for sku, pools in by_sku.items():
        if found is not None and found.project_id is None and not _agree(sku, pools, found):
            merged: Parts = {}
            for cut in pools.values():
                for place, micro in cut.items():
                    merged[place] = merged.get(place, 0) + micro
            pools = {(*sku, ALL): merged}
        for pool, cut in pools.items():
            held = found.of(pool) if found is not None else None
            total = half_up(sum(cut.values()), MICRO_PER_MINOR) if held is None else held[0]
            yield from zip(cut, spread(total, list(cut.values())), strict=True)


def spread(total: int, micros: list[int]) -> list[int]:
    """Whole minor units near `micros` (millionths) that sum to `total`: floors, and what is left to the largest remainders."""
    floors = [micro // MICRO_PER_MINOR for micro in micros]
    each, rest = divmod(total - sum(floors), len(floors))
    if each == 1 and rest == 0:
        each, rest = 0, len(floors)
    by_remainder = sorted(range(len(floors)), key=lambda i: (-(micros[i] % MICRO_PER_MINOR), i))
    for place, i in enumerate(by_remainder):
        floors[i] += each + (place < rest)
    return floors


def _agree(sku: tuple[str, str, str], pools: dict[Pool, Parts], found: Amounts) -> bool:
    """Whether each amount of the SKU has its parts, and is their sum but for the rounding of its charges."""
    if all(pool[3] == ALL for pool in pools):
        return True
    for pool, (minor, count) in found.by_project.items():
        if pool[:3] == sku:
            micro = sum(pools.get(pool, {}).values())
            if abs(minor * MICRO_PER_MINOR - micro) > (count + 1) * MICRO_PER_MINOR:
                return False
    return True


def _month(asked: Question, label: str) -> str:
    return label[:7] if asked.by in ("day", "month") else ""


def _whole_periods(session: Session, asked: Question) -> dict[str, str] | None:
    """{id: label} of the account's billing periods in the range; None where one is cut by it or is no calendar month of its zone."""
    period = BillingPeriod
    rows = session.execute(
        select(period.id, period.label, period.start_at, period.end_at).where(
            period.billing_account_id == asked.account_id,
            period.start_at < asked.end_at,
            period.end_at > asked.start_at,
        )
    ).all()
    for _, label, start_at, end_at in rows:
        month = periods.month(label, asked.zone)
        if start_at < asked.start_at or end_at > asked.end_at or (month.start_at, month.end_at) != (start_at, end_at):
            return None
    return {period_id: label for period_id, label, _, _ in rows}


def _posted(session: Session, asked: Question, period_ids: list[str]) -> Iterator[tuple[str, str, str, str, int, int]]:
    """Rows of (currency, period id, SKU, project key, minor units, charges)."""
    keys = (Charge.currency, Charge.billing_period_id, Charge.sku_code, Charge.project_key)
    query = (
        select(*keys, func.sum(Charge.posted_minor), func.count())
        .where(Charge.billing_account_id == asked.account_id, Charge.billing_period_id.in_(period_ids))
        .group_by(*keys)
    )
    yield from session.connection().execute(query)


def _pending(session: Session, asked: Question, labels: dict[str, str]) -> Iterator[tuple[Pool, int]]:
    """What the next posting adds to charges with lines that are not posted yet."""
    head = session.get_one(AccountHead, asked.account_id)
    if head.posted_line_seq >= head.line_seq:
        return
    waiting = select(RatedLine.charge_id).where(
        RatedLine.billing_account_id == asked.account_id, RatedLine.line_seq > head.posted_line_seq
    )
    rows = session.execute(
        select(Charge, Counter.price_version_id, Counter.scale)
        .join(Counter, Counter.id == Charge.counter_id)
        .where(Charge.id.in_(waiting), Charge.billing_period_id.in_(list(labels)))
    ).all()
    prices = price_facts.load(session, {price_id for _, price_id, _ in rows})
    histories = scales.rescaled(session, counter_ids={charge.counter_id for charge, _, _ in rows})
    for charge, price_id, scale in rows:
        history = histories.get(charge.counter_id)
        curve = curve_of(prices[price_id], history.last if history else scales.read_scale(scale))
        settled = charge_amounts.rounded_minor(curve, charge.before_base, charge.quantity_base)
        month = _month(asked, labels[charge.billing_period_id])
        yield (charge.currency, month, charge.sku_code, charge.project_key), settled - charge.posted_minor
