"""Closing charges: minimum spend and percentages of other charges, curves over what a billing period came to (Law 1, PR2).

They are worked out when a period has ended and before it is drafted, and again whenever late usage has moved its sum. What they come
to is booked as usage records of the meter `closing_amount`, each the difference to what was booked before: additive, so that what was
invoiced stays. A minimum is at least what the charges come to: `max(minimum, sum)`; percentages count to that sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import heads
from billing.accounts.tables import BillingAccount
from billing.catalog import closing_prices
from billing.catalog.meters import CLOSING, kind_of
from billing.catalog.tables import Sku
from billing.catalog.terms import PlanTerms
from billing.kernel import canonical
from billing.kernel.money import Money
from billing.kernel.rounding import half_up_fraction
from billing.metering import records
from billing.metering.records import Origin, Piece
from billing.metering.tables import UsageRecord
from billing.rating import plan_periods
from billing.rating.errors import UnpostedLines
from billing.rating.plan_periods import Part
from billing.rating.tables import BillingPeriod, Charge, RatedLine

SOURCE = "closing/"
MICRO = 1_000_000
_LAST_INSTANT = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True)
class Due:
    """What a period must have been charged by one kind of closing charge, in minor units, and why in words."""

    variant: str
    name: str
    amount_minor: int
    words: str


def close_periods(session: Session, *, now: datetime, account_id: str) -> int:
    """Book what the account's ended periods lack of their closing charges, or have too much of; how many records were added.

    A minimum and a percentage are of the account's currency, the one in which it is rated and its plan must name them
    (`subscriptions.subscribe`): charges in it count, as the ledger holds them. A charge in another currency, posted by hand or before
    a minimum was asked for, is invoiced in its own and counts to no minimum. Locks the account's head. Running it again adds nothing.
    Raises UnpostedLines while the ledger does not hold all that was rated.
    """
    head = heads.lock_one(session, account_id)
    account = session.get_one(BillingAccount, account_id)
    stretches = plan_periods.stretches_of(session, account)
    if not any(_closes(one.plan.terms) for one in stretches):
        return 0
    if head.posted_line_seq != head.line_seq:
        raise UnpostedLines(billing_account_id=account_id, line_seq=head.line_seq, posted_line_seq=head.posted_line_seq)
    begun = plan_periods.since(session, account, stretches, _closes, now=now)
    pieces: list[Piece] = []
    for period in begun:
        if period.end_at <= now and (period.invoiced_at is None or _has_open_charges(session, period)):
            pieces += _pieces(session, account, period, plan_periods.parts(stretches, period), now)
    if pieces:
        records.insert(session, records.rows(head, pieces, now=now))
        session.flush()  # rating reads the head's count
    return len(pieces)


def due(parts: Sequence[Part], charged_minor: Mapping[str, int], *, currency: str) -> list[Due]:
    """What a period's terms ask for beside its charges, by family in minor units of the account's currency. Pure.

    Where the plan begins or changes inside the period, or the account is opened in it, each part's minimum counts by its share of
    the period's seconds; a percentage by its share of the time on any plan, for only that time has charges.
    """
    found = _percentages(parts, charged_minor, currency)
    sum_minor = sum(charged_minor.values()) + sum(one.amount_minor for one in found)
    asked = 0
    for part in parts:
        minimum = part.terms.minimum_in(currency)
        asked += part.scale.bound(minimum.minor) if minimum is not None else 0
    if asked:
        words = f"Minimum {_plain(asked, currency)}, charged {_plain(sum_minor, currency)}"
        found.append(
            Due(
                variant=closing_prices.MINIMUM,
                name="Minimum spend",
                amount_minor=max(0, asked - sum_minor),
                words=words,
            )
        )
    return found


def words_of(session: Session, charge_ids: Sequence[str]) -> dict[str, str]:
    """{charge: its newest closing record in words} of those of the charges that are closing charges."""
    rows = session.execute(
        select(RatedLine.charge_id, UsageRecord.resource)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .where(RatedLine.charge_id.in_(charge_ids), UsageRecord.meter_code == closing_prices.METER)
        .order_by(RatedLine.line_seq)
    )
    return dict(rows.all())


def instant_of(period: BillingPeriod) -> datetime:
    """The instant at which a period's closing charges are counted: its last."""
    return period.end_at - _LAST_INSTANT


def booked(session: Session, account_id: str, period: BillingPeriod) -> dict[str, tuple[int, int, str]]:
    """{variant: (minor units booked, records, id of the first)} of a period's closing records."""
    rows = session.execute(
        select(UsageRecord.variant, UsageRecord.quantity_base, UsageRecord.id)
        .where(
            UsageRecord.billing_account_id == account_id,
            UsageRecord.start_at == instant_of(period),
            UsageRecord.meter_code == closing_prices.METER,
        )
        .order_by(UsageRecord.usage_seq)
    )
    found: dict[str, tuple[int, int, str]] = {}
    for variant, quantity_base, record_id in rows:
        minor, count, first = found.get(variant, (0, 0, record_id))
        found[variant] = (minor + quantity_base // MICRO, count + 1, first)
    return found


def charged(session: Session, period: BillingPeriod, currency: str) -> dict[str, int]:
    """{family: minor units} of a period's charges but its closing ones, as the ledger holds them."""
    rows = session.execute(
        select(Sku.family, Sku.meter_code, func.sum(Charge.posted_minor))
        .join(Charge, Charge.sku_code == Sku.code)
        .where(Charge.billing_period_id == period.id, Charge.currency == currency)
        .group_by(Sku.family, Sku.meter_code)
    )
    sums: dict[str, int] = {}
    for family, meter_code, minor in rows:
        if kind_of(meter_code) != CLOSING:
            sums[family] = sums.get(family, 0) + int(minor)
    return sums


def _pieces(
    session: Session, account: BillingAccount, period: BillingPeriod, parts: Sequence[Part], now: datetime
) -> list[Piece]:
    before = booked(session, account.id, period)
    wanted = {
        one.variant: one for one in due(parts, charged(session, period, account.currency), currency=account.currency)
    }
    for variant in before:  # a percentage that the terms ask for no more
        wanted.setdefault(variant, Due(variant=variant, name=variant, amount_minor=0, words="Not asked for any more"))
    made = []
    for variant, one in sorted(wanted.items()):
        minor, count, first_id = before.get(variant, (0, 0, None))
        if one.amount_minor == minor:
            continue
        item = closing_prices.ensure(session, now=now, variant=variant, name=one.name, currency=account.currency)
        source_id = f"{account.id}/{period.label}/{count}"
        origin = Origin(
            source=f"{SOURCE}{variant}",
            source_id=source_id,
            allocation_id=None,
            project_id=None,
            member_id=None,
            resource=one.words,
            tags_json="{}",
            correlation_id=None,
            content_hash=canonical.digest("closing/1", source_id, variant, one.amount_minor),
            import_id=None,
            corrects_id=first_id,
        )
        last = instant_of(period)
        made.append(Piece(origin, item, (last, last), (one.amount_minor - minor) * MICRO))
    return made


def _percentages(parts: Sequence[Part], charged_minor: Mapping[str, int], currency: str) -> list[Due]:
    sums: dict[str, Fraction] = {}
    words: dict[str, str] = {}
    planned = sum((part.scale.share for part in parts if part.is_planned), Fraction(0))
    for part in parts:
        for one in part.terms.percentages:
            of_minor = sum(
                minor for family, minor in charged_minor.items() if not one.families or family in one.families
            )
            sums[one.code] = sums.get(one.code, Fraction(0)) + part.scale.share / planned * one.share * of_minor
            what = ", ".join(one.families) or "all charges"
            words[one.code] = f"{one.percent} % of {what}, {_plain(of_minor, currency)}"
    return [
        Due(
            variant=closing_prices.share_variant(code),
            name=code[:1].upper() + code[1:],
            amount_minor=max(0, half_up_fraction(exact)),
            words=words[code],
        )
        for code, exact in sorted(sums.items())
    ]


def _closes(terms: PlanTerms) -> bool:
    return bool(terms.minimums or terms.percentages)


def _has_open_charges(session: Session, period: BillingPeriod) -> bool:
    is_open = select(Charge.id).where(Charge.billing_period_id == period.id, Charge.draft_id.is_(None))
    return session.scalars(is_open.limit(1)).first() is not None


def _plain(minor: int, currency: str) -> str:
    return f"{Money(minor=minor, currency=currency).to_decimal():f} {currency}"
