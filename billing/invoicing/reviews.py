"""Review of drafts: who looks at what, and approval. An outlier is approved with a reason, which is kept with who gave it."""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts import names
from billing.invoicing import drafts, events, runs
from billing.invoicing.errors import NotADraft, OutlierNeedsReason
from billing.invoicing.findings import Finding
from billing.invoicing.tables import InvoiceHeader

REASON_MAX = 500


def start(session: Session, *, now: datetime, draft_id: str, actor: str) -> InvoiceHeader:
    """Say that someone looks at a draft; it is in review from then on. Each who looks is recorded once in a row.

    Locks the account's head. Raises NotFound, NotADraft.
    """
    header, _ = drafts.lock_header(session, draft_id)
    if header.state != "draft":
        raise NotADraft(invoice_id=header.id, state=header.state, number=header.number)
    if header.reviewed_by != actor:
        header.review_started_at, header.reviewed_by = header.review_started_at or now, actor
        events.record(session, header, now=now, type="review_started", actor=actor)
        session.flush()  # the page that follows reads it
    return header


def approve(
    session: Session, *, now: datetime, draft_id: str, actor: str, outlier_reason: str | None = None
) -> InvoiceHeader:
    """Approve a draft for issue; an outlier only with a reason. An approved one stays as it is.

    Locks the account's head. Raises NotADraft, OutlierNeedsReason.
    """
    header, _ = drafts.lock_header(session, draft_id)
    if header.state != "draft":
        return drafts.approve(session, now=now, draft_id=draft_id, actor=actor)
    found = finding_of(session, header)
    is_outlier = found is not None and found.level == "outlier"
    reason = " ".join((outlier_reason or "").split())
    if is_outlier and not reason:
        raise OutlierNeedsReason(field="outlier_reason", invoice_id=header.id, change=found.change if found else "")
    approved = drafts.approve(session, now=now, draft_id=draft_id, actor=actor)
    if is_outlier and found is not None:
        facts = {"change": found.change, "reason": names.require_name(reason, "reason", max_length=REASON_MAX)}
        events.record(session, header, now=now, type="outlier_accepted", actor=actor, facts=facts)
    return approved


def finding_of(session: Session, header: InvoiceHeader) -> Finding | None:
    """What is unusual about a document beside the month before; None for what no month has."""
    item = runs.find_item(session, header.id)
    return item.finding if item is not None else None
