"""One rated line with all its evidence, from the usage to the ledger (RT4). The invoice is one floor up: a line names the draft or
invoice that closed its charge.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts.tables import Member, Project
from billing.catalog import meters
from billing.catalog.items import RESERVED, UNUSED
from billing.kernel.errors import NotFound
from billing.ledger.tables import LedgerTransaction
from billing.metering import reserved_hours
from billing.metering.tables import Allocation, UsageRecord
from billing.rating import lines, price_facts, rescaling, scales
from billing.rating.derivations import Derivation
from billing.rating.lines import LineRow
from billing.rating.price_facts import PriceFacts
from billing.rating.tables import BillingPeriod, Charge, Counter, Posting, RatedLine, UnratedUsage

Kind = Literal["usage", "correction", "rescaling", "reserved", "unused", "matched", "fee", "closing"]
"""Why there is a line: usage as it was reported, a correction of it, or what the system itself counts."""


@dataclass(frozen=True, kw_only=True)
class Rescaled:
    """A change of the share that a counter has of its billing period, exact, as text such as `1/2`."""

    old_share: str
    new_share: str


@dataclass(frozen=True, kw_only=True)
class CorrectionRow:
    """One record that corrects another: how many base units it adds or takes, and the line that rated it, if it was."""

    usage_record_id: str
    quantity_base: int
    recorded_at: datetime
    line_id: str | None


@dataclass(frozen=True, kw_only=True)
class UsageFacts:
    """The usage record behind a line, as it was taken in."""

    id: str
    source: str
    source_id: str
    start_at: datetime
    end_at: datetime
    quantity_base: int
    resource: str
    variant: str
    mode: str
    route: str | None
    route_kind: str | None
    corrects_id: str | None
    tags: dict[str, Any]
    correlation_id: str | None
    content_hash: str
    record_hash: str
    recorded_at: datetime


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """Whose usage it was. The member is opaque; its handle is shown to the tenant only."""

    project_id: str | None
    project_code: str | None
    project_name: str | None
    member_id: str | None
    member_handle: str | None
    allocation_id: str | None
    allocation_name: str | None
    allocation_started_at: datetime | None
    allocation_ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class PostingFacts:
    """The posting that brought a line into the ledger, and the ledger transaction that anchors its hash."""

    posting_id: str
    posting_seq: int
    quantity_base: int  # of the charge after it
    increment_minor: int
    posted_minor: int  # of the charge after it
    transaction_id: str
    chain_seq: int
    recorded_at: datetime
    effective_at: datetime
    anchor_hash: str | None
    transaction_hash: str


@dataclass(frozen=True, kw_only=True)
class LineDetail:
    """One line with everything it stands on and everything that stands on it.

    `is_late`: its billing period was invoiced before the line was rated. `corrections` are the records that correct its usage.
    `corrected_line_id` is the line of the usage that it corrects. `is_reproduced`: the
    derivation gives the stored amount again, and the stored facts give the stored hash again.
    """

    row: LineRow
    billing_account_id: str
    counter_id: str
    counter_seq: int
    quantity_base: int
    before_base: int
    line_hash: str
    usage: UsageFacts
    attribution: Attribution
    price: PriceFacts
    derivation: Derivation
    kind: Kind
    is_late: bool
    rescaled: Rescaled | None
    corrections: tuple["CorrectionRow", ...]
    corrected_line_id: str | None
    is_reproduced: bool
    charge_generation: int
    charge_before_base: int
    charge_quantity_base: int
    charge_posted_minor: int
    posting: PostingFacts | None


def get_line(session: Session, account_id: str, line_id: str) -> LineDetail:
    """One rated line of the account with its evidence both ways. Raises NotFound, for another account's line too."""
    found = lines.find_row(session, account_id, line_id)
    if found is None:
        raise NotFound(kind="rated_line", id=line_id)
    line, usage, charge = session.execute(
        select(RatedLine, UsageRecord, Charge)
        .join(UsageRecord, UsageRecord.id == RatedLine.usage_record_id)
        .join(Charge, Charge.id == RatedLine.charge_id)
        .where(RatedLine.id == line_id)
    ).one()
    counter = session.get_one(Counter, line.counter_id)
    price = price_facts.load(session, [line.price_version_id])[line.price_version_id]
    derivation = scales.derivation_of(session, line, counter, price)
    is_same = derivation.amount_micro == line.amount_micro
    return LineDetail(
        row=found,
        billing_account_id=line.billing_account_id,
        counter_id=line.counter_id,
        counter_seq=line.counter_seq,
        quantity_base=line.quantity_base,
        before_base=line.before_base,
        line_hash=line.line_hash,
        usage=_usage_facts(usage),
        attribution=_attribution(session, usage),
        price=price,
        derivation=derivation,
        kind=kind_of(usage.source, usage.meter_code, usage.mode, usage.corrects_id),
        is_late=_is_late(session, line, charge),
        rescaled=_rescaled(session, line, counter),
        corrections=corrections_of(session, account_id, usage.id),
        corrected_line_id=lines.find_line_of_usage(session, account_id, usage.corrects_id)
        if usage.corrects_id
        else None,
        is_reproduced=is_same and line.line_hash == lines.hash_of(line, usage.record_hash, price.price_hash),
        charge_generation=charge.generation,
        charge_before_base=charge.before_base,
        charge_quantity_base=charge.quantity_base,
        charge_posted_minor=charge.posted_minor,
        posting=_posting_of(session, line),
    )


def kind_of(source: str, meter_code: str, mode: str, corrects_id: str | None) -> Kind:
    """Why a usage record, and so its line, is there."""
    if source == rescaling.SOURCE:
        return "rescaling"
    if mode in (RESERVED, UNUSED):
        return "reserved" if mode == RESERVED else "unused"
    if reserved_hours.is_from_reservation(source):
        return "matched"
    kind = meters.kind_of(meter_code)
    if kind != meters.USAGE:
        return "fee" if kind == meters.FEE else "closing"
    return "correction" if corrects_id is not None else "usage"


def corrections_of(session: Session, account_id: str, usage_record_id: str) -> tuple[CorrectionRow, ...]:
    """The records of the account that correct one, oldest first."""
    rows = session.execute(
        select(UsageRecord.id, UsageRecord.quantity_base, UsageRecord.recorded_at, RatedLine.id)
        .outerjoin(RatedLine, RatedLine.usage_record_id == UsageRecord.id)
        .where(UsageRecord.corrects_id == usage_record_id, UsageRecord.billing_account_id == account_id)
        .order_by(UsageRecord.usage_seq)
    )
    return tuple(
        CorrectionRow(usage_record_id=record_id, quantity_base=quantity, recorded_at=recorded_at, line_id=line_id)
        for record_id, quantity, recorded_at, line_id in rows
    )


def waits_for(session: Session, account_id: str, usage_record_id: str) -> str | None:
    """The code of why a record could not be rated, None where rating has not looked at it yet."""
    return session.scalar(
        select(UnratedUsage.reason).where(
            UnratedUsage.usage_record_id == usage_record_id, UnratedUsage.billing_account_id == account_id
        )
    )


def _is_late(session: Session, line: RatedLine, charge: Charge) -> bool:
    period = session.get_one(BillingPeriod, charge.billing_period_id)
    return charge.generation > 0 or (period.invoiced_at is not None and line.rated_at > period.invoiced_at)


def _rescaled(session: Session, line: RatedLine, counter: Counter) -> Rescaled | None:
    history = scales.history_of(session, counter)
    if line.line_seq not in history.line_seqs:
        return None
    old, new = history.before(line.line_seq), history.at(line.line_seq)
    return Rescaled(old_share=str(old.share) if old else "1", new_share=str(new.share) if new else "1")


def _usage_facts(usage: UsageRecord) -> UsageFacts:
    return UsageFacts(
        id=usage.id,
        source=usage.source,
        source_id=usage.source_id,
        start_at=usage.start_at,
        end_at=usage.end_at,
        quantity_base=usage.quantity_base,
        resource=usage.resource,
        variant=usage.variant,
        mode=usage.mode,
        route=usage.route,
        route_kind=usage.route_kind,
        corrects_id=usage.corrects_id,
        tags=usage.tags,
        correlation_id=usage.correlation_id,
        content_hash=usage.content_hash,
        record_hash=usage.record_hash,
        recorded_at=usage.recorded_at,
    )


def _attribution(session: Session, usage: UsageRecord) -> Attribution:
    project = session.get(Project, usage.project_id) if usage.project_id else None
    member = session.get(Member, usage.member_id) if usage.member_id else None
    allocation = session.get(Allocation, usage.allocation_id) if usage.allocation_id else None
    return Attribution(
        project_id=usage.project_id,
        project_code=project.code if project else None,
        project_name=project.name if project else None,
        member_id=usage.member_id,
        member_handle=member.handle if member else None,
        allocation_id=usage.allocation_id,
        allocation_name=allocation.name if allocation else None,
        allocation_started_at=allocation.started_at if allocation else None,
        allocation_ended_at=allocation.ended_at if allocation else None,
    )


def _posting_of(session: Session, line: RatedLine) -> PostingFacts | None:
    found = session.execute(
        select(Posting, LedgerTransaction)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            Posting.charge_id == line.charge_id,
            Posting.from_line_seq < line.line_seq,
            Posting.to_line_seq >= line.line_seq,
        )
    ).first()
    if found is None:
        return None
    posting, transaction = found
    return PostingFacts(
        posting_id=posting.id,
        posting_seq=posting.seq,
        quantity_base=posting.quantity_base,
        increment_minor=posting.increment_minor,
        posted_minor=posting.posted_minor,
        transaction_id=transaction.id,
        chain_seq=transaction.chain_seq,
        recorded_at=transaction.recorded_at,
        effective_at=transaction.effective_at,
        anchor_hash=transaction.anchor_hash,
        transaction_hash=transaction.hash,
    )
