"""Corrected usage: additive records on the item and window of what they correct, so that they fall on the same counter (Law 1).

Nothing that is stored changes. What is left of an event after its corrections is never below zero.
"""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.catalog.items import Item
from billing.kernel.rounding import largest_remainder
from billing.metering import known, records, windows
from billing.metering.sources.port import EventFacts, Refused
from billing.metering.tables import UsageRecord


@dataclass(kw_only=True, slots=True)
class _Left:
    """One record that can be corrected, and what is left of it in base units."""

    record: UsageRecord
    left_base: int


class Corrections:
    """What a batch of corrections refers to, as it stands with what the batch itself has changed."""

    def __init__(self, session: Session, pairs: Collection[known.Pair]) -> None:
        """Read the records that (source, id of the corrected event) name. The heads of their accounts are locked by the caller."""
        self._found: defaultdict[known.Pair, list[_Left]] = defaultdict(list)
        record_ids = known.find_record_ids(session, pairs)
        if not record_ids:
            return
        left: dict[str, _Left] = {}
        for record in session.scalars(
            select(UsageRecord).where(UsageRecord.id.in_(record_ids)).order_by(UsageRecord.start_at)
        ):
            left[record.id] = _Left(record=record, left_base=record.quantity_base)
            self._found[record.source, record.source_id].append(left[record.id])
        made = select(UsageRecord.corrects_id, UsageRecord.quantity_base).where(UsageRecord.corrects_id.in_(record_ids))
        for corrected_id, quantity_base in session.execute(made):
            left[str(corrected_id)].left_base += quantity_base

    def pieces(self, event: EventFacts, origin: records.Origin) -> list[records.Piece]:
        """The records of one correction, which it then counts as made. Raises Refused.

        A change is spread over the records of the event in proportion to what is left of them, or to their time where nothing is.
        """
        found = self._found.get((event.source, event.corrects or ""), [])
        found = [one for one in found if one.record.billing_account_id == event.account_id]
        if not found:
            raise Refused("unknown_correction", f"no usage of the event {(event.corrects or '')[:80]} is known")
        if any(one.record.corrects_id is not None for one in found):
            raise Refused("corrects_a_correction", "name the event that was first, not its correction")
        changes: list[tuple[_Left, int]] = []
        for meter_code, quantity_base in ((event.meter_code, event.quantity_base), *event.also):
            if quantity_base == 0 and event.also:
                continue
            concerned = [one for one in found if one.record.meter_code == meter_code]
            if not concerned:
                raise Refused("corrects_other_meter", f"the event counted no {meter_code}")
            if event.variant and event.variant != concerned[0].record.variant:
                raise Refused("corrects_other_item", f"the event was of {concerned[0].record.variant or 'no model'}")
            if sum(one.left_base for one in concerned) + quantity_base < 0:
                raise Refused("below_zero", f"less than that is left of {meter_code}")
            changes += zip(concerned, _spread(quantity_base, concerned), strict=True)
        for one, change_base in changes:
            one.left_base += change_base
        return [
            _piece(origin, one.record, change_base) for one, change_base in changes if change_base or not event.also
        ]


def _spread(quantity_base: int, concerned: list[_Left]) -> list[int]:
    weights = [one.left_base for one in concerned]
    if not any(weights):
        weights = [
            max(windows.quantity(1, one.record.start_at, one.record.end_at), 1 if place == 0 else 0)
            for place, one in enumerate(concerned)
        ]
    return largest_remainder(quantity_base, weights)


def _piece(origin: records.Origin, record: UsageRecord, change_base: int) -> records.Piece:
    corrected = origin._replace(
        allocation_id=record.allocation_id,
        project_id=record.project_id,
        member_id=record.member_id,
        resource=record.resource,
        route=record.route,
        route_kind=record.route_kind,
        reseller_id=record.reseller_id,
        corrects_id=record.id,
    )
    item = Item(record.meter_code, record.variant, record.mode)
    return records.Piece(corrected, item, (record.start_at, record.end_at), change_base)
