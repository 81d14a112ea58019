"""GET /billing/rated-usage: rated lines, and one line with its derivation and its evidence both ways."""

from dataclasses import asdict

from flask import Response

from billing.exports.csv import decimal_text
from billing.invoicing import invoices
from billing.kernel.errors import Invalid
from billing.rating import evidence, lines
from billing.rating.derivations import MICRO_PER_MINOR
from billing.rating.evidence import LineDetail
from billing.rating.lines import LineFilters, LineRow
from billing.storage.database import Session
from portal import services
from portal.api import answers, cursors, keys, parameters
from portal.api.evidence import (
    DerivationStep,
    InvoiceEvidence,
    LedgerEvidence,
    PricingEvidence,
    RatedUsageDetail,
    UsageEvidence,
)
from portal.api.schemas import ExactAmount, RatedUsage, RatedUsagePage
from portal.api.values import Money


@keys.needs("billing.read")
def list_rated_usage() -> Response:
    """Oldest first; the last page's cursor finds what is rated later, so a reader can come back with it."""
    parameters.refuse_unknown("account", "limit", "cursor", "period", "meter", "project", "allocation_id", "from", "to")
    limit = cursors.limit()
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        after = cursors.read(account.id)
        if after is not None and not isinstance(after, int):
            raise Invalid(field="cursor", reason="bad_cursor")
        filters = LineFilters(
            period_label=parameters.month("period"),
            meter_code=parameters.text("meter"),
            project_code=parameters.text("project"),
            allocation_id=parameters.text("allocation_id"),
            from_at=parameters.instant("from"),
            to_at=parameters.instant("to"),
        )
        rows = lines.list_after(session, account.id, filters, after_seq=after or 0, limit=limit + 1)
    page = rows[:limit]
    return answers.of(
        RatedUsagePage(
            data=[_line(row) for row in page],
            next_cursor=cursors.write(account.id, page[-1].line_seq) if len(rows) > limit else None,
        )
    )


@keys.needs("billing.read")
def show_rated_usage(line_id: str) -> Response:
    """One line. Another account's is 404."""
    parameters.refuse_unknown("account")
    with services.database().reading() as session:
        account = keys.account_of(session, parameters.text("account"))
        detail = evidence.get_line(session, account.id, line_id)
        invoice = _invoice(session, detail)
    return answers.of(
        RatedUsageDetail(
            line=_line(detail.row),
            line_hash=detail.line_hash,
            is_reproduced=detail.is_reproduced,
            usage=_usage(detail),
            pricing=_pricing(detail),
            derivation=[DerivationStep(**asdict(step)) for step in detail.derivation.steps],
            derivation_hash=detail.derivation.hash,
            ledger=_ledger(detail),
            invoice=invoice,
        )
    )


def exact(amount_micro: int) -> str:
    """Minor units with six decimals: 688333333 is "688.333333"."""
    whole, rest = divmod(abs(amount_micro), MICRO_PER_MINOR)
    return f"{'-' if amount_micro < 0 else ''}{whole}.{rest:06d}"


def _line(row: LineRow) -> RatedUsage:
    return RatedUsage(
        id=row.id,
        sequence=row.line_seq,
        usage_id=row.usage_record_id,
        start=row.start_at,
        end=row.end_at,
        period=row.period_label,
        meter=row.meter_code,
        unit=row.unit,
        quantity=decimal_text(row.quantity),
        sku=row.sku_code,
        project=row.project_code,
        submitter=row.member_id,
        allocation=row.allocation_id,
        resource=row.resource,
        price_version=row.price_version_id,
        amount=ExactAmount(amount_minor=exact(row.amount_micro), currency=row.currency),
        rated_at=row.rated_at,
        is_posted=row.is_posted,
    )


def _usage(detail: LineDetail) -> UsageEvidence:
    usage, by = detail.usage, detail.attribution
    return UsageEvidence(
        id=usage.id,
        source=usage.source,
        source_id=usage.source_id,
        start=usage.start_at,
        end=usage.end_at,
        quantity_base=str(usage.quantity_base),
        resource=usage.resource,
        tags=usage.tags,
        project=by.project_code,
        submitter=by.member_id,
        allocation=by.allocation_id,
        correlation_id=usage.correlation_id,
        content_hash=usage.content_hash,
        record_hash=usage.record_hash,
        recorded_at=usage.recorded_at,
    )


def _pricing(detail: LineDetail) -> PricingEvidence:
    price = detail.price
    return PricingEvidence(
        price_version=price.id,
        price_book=price.book_code,
        sku=price.sku_code,
        meter=price.meter_code,
        unit=price.unit,
        base_unit=price.base_unit,
        base_per_unit=str(price.base_per_unit),
        currency=price.currency,
        model=price.model,
        parameters=price.parameters,
        valid_from=price.valid_from,
        price_hash=price.price_hash,
        counter=detail.counter_id,
        counter_seq=detail.counter_seq,
        before_base=str(detail.before_base),
        quantity_base=str(detail.quantity_base),
    )


def _ledger(detail: LineDetail) -> LedgerEvidence | None:
    """The posting and the ledger transaction that anchors the line; None while it waits to be posted."""
    found = detail.posting
    if found is None:
        return None
    currency = detail.row.currency
    return LedgerEvidence(
        posting=found.posting_id,
        charge=detail.row.charge_id,
        increment=Money(amount_minor=found.increment_minor, currency=currency),
        posted=Money(amount_minor=found.posted_minor, currency=currency),
        transaction=found.transaction_id,
        chain_seq=found.chain_seq,
        recorded_at=found.recorded_at,
        effective_at=found.effective_at,
        anchor_hash=found.anchor_hash,
        transaction_hash=found.transaction_hash,
    )


def _invoice(session: Session, detail: LineDetail) -> InvoiceEvidence | None:
    """The issued invoice that billed the line, and which of its lines; None before issue."""
    if detail.row.draft_id is None:
        return None
    found = invoices.get_invoice(session, now=services.now(), key=detail.row.draft_id)
    if found.row.number is None:
        return None
    billed = next((line.id for line in found.document.lines if line.charge_id == detail.row.charge_id), None)
    return InvoiceEvidence(id=found.row.id, number=found.row.number, line=billed, content_hash=found.snapshot_hash)
