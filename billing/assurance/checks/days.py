"""What pages sum by day is what the rated lines say: each day's row worked again from the lines, and none beside them."""

from typing import cast

from sqlalchemy import Table, Text, func, select, type_coerce
from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead
from billing.assurance import streams
from billing.assurance.report import Tally, count
from billing.kernel.errors import Invalid
from billing.rating import days
from billing.rating.tables import RatedDay, RatedDayMark

NAME = "rated_day"

_DAYS = cast(Table, RatedDay.__table__)


def check(session: Session, tally: Tally, account_id: str | None = None) -> None:
    """Look at every row of `rated_days` and every line that the days hold, of one account or of all."""
    marks = {
        mark.billing_account_id: mark
        for mark in session.execute(
            select(
                RatedDayMark.billing_account_id,
                RatedDayMark.line_seq,
                RatedDayMark.zone,
                AccountHead.line_seq.label("head_seq"),
            ).outerjoin(AccountHead, AccountHead.billing_account_id == RatedDayMark.billing_account_id)
        )
    }
    looked = tally.looked
    for each in streams.account_ids(session, account_id):
        mark = marks.get(each)
        if mark is not None and not 0 <= mark.line_seq <= (mark.head_seq or 0):
            tally.differ(each, f"its days hold lines up to number {mark.line_seq}, there are {mark.head_seq or 0}")
        try:
            worked = _worked(session, each, mark.zone, mark.line_seq) if mark is not None and mark.line_seq else {}
        except Invalid as refusal:
            tally.differ(each, f"its days cannot be summed again: {refusal}")
            continue
        _compare(session, tally, each, worked)
    there = select(func.count()).select_from(RatedDay)
    if account_id is not None:
        there = there.where(RatedDay.billing_account_id == account_id)
    tally.expect("rated_days", tally.looked - looked, count(session, there))


def _worked(
    session: Session, account_id: str, zone: str, through_seq: int
) -> dict[tuple[object, str], tuple[object, ...]]:
    """The rows that there must be: {(day, key): (what it was used for, quantity, amount, lines)}."""
    whole, place = days.Taken(), 0
    while place < through_seq:
        some = days.take(session, account_id, zone=zone, after_seq=place, through_seq=through_seq)
        if not some.count:
            break
        for at, found in some.sums.items():
            held = whole.sums.setdefault(at, days.DaySum())
            held.quantity_base += found.quantity_base
            held.amount_micro += found.amount_micro
            held.line_count += found.line_count
        place = some.through_seq
    return {
        (day, used.key): (*used, found.quantity_base, found.amount_micro, found.line_count)
        for (day, used), found in whole.sums.items()
    }


def _compare(
    session: Session, tally: Tally, account_id: str, worked: dict[tuple[object, str], tuple[object, ...]]
) -> None:
    rows = streams.stream(
        session,
        select(
            *(_DAYS.c.day, _DAYS.c.key, _DAYS.c.currency, _DAYS.c.sku_code, _DAYS.c.project_id, _DAYS.c.resource),
            *(
                _DAYS.c.route,
                _DAYS.c.member_id,
                type_coerce(_DAYS.c.tags, Text),
                _DAYS.c.quantity_base,
                _DAYS.c.amount_micro,
                _DAYS.c.line_count,
            ),
        ).where(_DAYS.c.billing_account_id == account_id),
    )
    for day, key, *facts in rows:
        tally.look()
        expected = worked.pop((day, key), None)
        if expected is None:
            tally.differ(f"{account_id} {day} {key}", "is a day's sum that no rated line makes", account=account_id)
        elif tuple(facts) != expected:
            quantity, amount, lines = facts[-3:]
            sentence = f"says {quantity} and {amount} from {lines} lines, the lines make {expected[-3]}, {expected[-2]} and {expected[-1]}"
            tally.differ(f"{account_id} {day} {key}", sentence, account=account_id)
    for day, key in worked:
        tally.differ(
            f"{account_id} {day} {key}", "is missing: lines that the days should hold are in none", account=account_id
        )
