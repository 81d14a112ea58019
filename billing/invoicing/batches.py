"""Many documents by one decision: the batch is stored, a job works through it one document and one transaction at a time.

A document that is refused does not hold up the others; its refusal is kept beside it. Every step can be repeated: approving what is
approved and issuing what is issued change nothing, so a batch that was killed goes on where it stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount
from billing.invoicing import drafts, issue, reviews, sending_back
from billing.invoicing.errors import DraftDearer
from billing.invoicing.tables import InvoiceBatch, InvoiceBatchItem, InvoiceHeader
from billing.kernel.errors import Conflict, Invalid, NotFound, Refusal
from billing.kernel.ids import new_id
from billing.storage import audit

Act = Literal["approve", "issue"]

MAX_ITEMS = 50_000
_FROM_STATES = {"approve": ("draft",), "issue": ("approved",)}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a batch is. `ended_at` is when its last item ended, None while one waits."""

    id: str
    period: str
    act: str
    requested_by: str
    requested_at: datetime
    total: int
    done: int
    refused: int
    ended_at: datetime | None

    @property
    def is_ended(self) -> bool:
        """Whether nothing waits any more."""
        return self.done + self.refused == self.total


@dataclass(frozen=True, kw_only=True)
class ItemRow:
    """One document of a batch as a page shows it."""

    invoice_id: str
    number: str | None
    account_code: str
    account_name: str
    currency: str
    total_minor: int
    state: str
    refusal_code: str | None
    refusal_facts: dict[str, Any]
    ended_at: datetime | None


def start(
    session: Session,
    *,
    now: datetime,
    act: Act,
    period_label: str,
    invoice_ids: Sequence[str],
    form_key: str,
    actor: str,
    outlier_reason: str | None = None,
) -> str:
    """Store the decision to approve or issue these documents; the batch's id. The same form sent twice is one batch.

    `outlier_reason` says why outliers among them are right; without it they are refused one by one.

    Raises Invalid for none or more than 50,000 documents, Conflict when the form's key was used for something else.
    """
    wanted = sorted(set(invoice_ids))
    if not wanted or len(wanted) > MAX_ITEMS:
        raise Invalid(
            field="invoice_ids", limit=MAX_ITEMS, reason="no_documents" if not wanted else "too_many_documents"
        )
    if not form_key or len(form_key) > 200:
        raise Invalid(field="form_key", reason="form_key_missing")
    known = session.scalars(select(InvoiceBatch).where(InvoiceBatch.form_key == form_key)).first()
    if known is not None:
        if (known.act, known.period_label, known.requested_by) != (act, period_label, actor):
            raise Conflict(batch_id=known.id, reason="form_key_reused")
        return known.id
    batch = InvoiceBatch(
        id=new_id("ibt"),
        period_label=period_label,
        act=act,
        form_key=form_key,
        requested_by=actor,
        requested_at=now,
        outlier_reason=" ".join(outlier_reason.split()) or None if outlier_reason else None,
    )
    session.add(batch)
    session.flush()  # its items refer to it
    session.add_all(
        InvoiceBatchItem(batch_id=batch.id, invoice_id=invoice_id, state="waiting") for invoice_id in wanted
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"invoice_batch.{act}",
        subject_type="invoice_batch",
        subject_id=batch.id,
        facts={"period": period_label, "documents": len(wanted)},
    )
    session.flush()  # the form's key must collide here, inside the act
    return batch.id


def eligible_ids(session: Session, *, act: Act, invoice_ids: Sequence[str]) -> list[str]:
    """Those of the documents that stand where the act begins: drafts to approve, approved ones to issue."""
    return list(
        session.scalars(
            select(InvoiceHeader.id)
            .where(InvoiceHeader.id.in_(invoice_ids), InvoiceHeader.state.in_(_FROM_STATES[act]))
            .order_by(InvoiceHeader.id)
        )
    )


def list_waiting(session: Session, *, limit: int = 10_000) -> list[tuple[str, str]]:
    """(batch id, document id) of what waits, oldest batch first."""
    rows = session.execute(
        select(InvoiceBatchItem.batch_id, InvoiceBatchItem.invoice_id)
        .where(InvoiceBatchItem.state == "waiting")
        .order_by(InvoiceBatchItem.batch_id, InvoiceBatchItem.invoice_id)
        .limit(limit)
    ).all()
    return [(batch_id, invoice_id) for batch_id, invoice_id in rows]


def do_item(session: Session, *, now: datetime, batch_id: str, invoice_id: str) -> bool:
    """Approve or issue one document in the name of who asked; False when it was done before. Locks the account's head.

    Raises what `reviews.approve` and `issue.issue` raise: roll back, then keep it with `refuse_item`.
    """
    batch = session.get_one(InvoiceBatch, batch_id)
    drafts.lock_header(session, invoice_id)
    item = session.get_one(InvoiceBatchItem, (batch_id, invoice_id), populate_existing=True)
    if item.state != "waiting":
        return False
    if batch.act == "approve":
        reviews.approve(
            session, now=now, draft_id=invoice_id, actor=batch.requested_by, outlier_reason=batch.outlier_reason
        )
    else:
        issue.issue(session, now=now, draft_id=invoice_id, actor=batch.requested_by)
    item.state, item.ended_at = "done", now
    session.flush()  # the mark belongs to the act
    return True


def refuse_item(session: Session, *, now: datetime, batch_id: str, invoice_id: str, refusal: Refusal) -> None:
    """Keep why a document could not be approved or issued; one that would be dearer than approved goes back to draft. Locks its head."""
    item = session.get_one(InvoiceBatchItem, (batch_id, invoice_id), populate_existing=True)
    if item.state != "waiting":
        return
    item.state, item.ended_at, item.refusal_code = "refused", now, refusal.code
    item.refusal_facts = {
        name: value if isinstance(value, int | None) else str(value)[:300] for name, value in refusal.fields.items()
    }
    if isinstance(refusal, DraftDearer):
        batch = session.get_one(InvoiceBatch, batch_id)
        sending_back.send_back(session, now=now, draft_id=invoice_id, actor=batch.requested_by)
    session.flush()  # the next look must find it ended


def get_progress(session: Session, *, batch_id: str) -> Progress:
    """How far a batch is. Raises NotFound."""
    batch = session.get(InvoiceBatch, batch_id)
    if batch is None:
        raise NotFound(batch_id=batch_id[:60])
    return _progress(session, batch)


def list_batches(session: Session, *, period_label: str, limit: int = 20) -> list[Progress]:
    """The newest batches of a month."""
    batches = session.scalars(
        select(InvoiceBatch)
        .where(InvoiceBatch.period_label == period_label)
        .order_by(InvoiceBatch.id.desc())
        .limit(limit)
    )
    return [_progress(session, batch) for batch in batches]


def list_items(session: Session, *, batch_id: str, limit: int = 500) -> list[ItemRow]:
    """Documents of a batch: refused ones first, then those that wait, then those that are done."""
    rows = session.execute(
        select(InvoiceBatchItem, InvoiceHeader, BillingAccount.code, BillingAccount.name)
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceBatchItem.invoice_id)
        .join(BillingAccount, BillingAccount.id == InvoiceHeader.billing_account_id)
        .where(InvoiceBatchItem.batch_id == batch_id)
        .order_by(
            (InvoiceBatchItem.state == "refused").desc(), InvoiceBatchItem.state.desc(), BillingAccount.code,
            InvoiceHeader.id,
        )
        .limit(limit)
    ).all()  # fmt: skip
    return [
        ItemRow(
            invoice_id=header.id,
            number=header.number,
            account_code=code,
            account_name=name,
            currency=header.currency,
            total_minor=header.payable_minor,
            state=item.state,
            refusal_code=item.refusal_code,
            refusal_facts=item.refusal_facts or {},
            ended_at=item.ended_at,
        )
        for item, header, code, name in rows
    ]


def _progress(session: Session, batch: InvoiceBatch) -> Progress:
    rows = session.execute(
        select(InvoiceBatchItem.state, func.count(), func.max(InvoiceBatchItem.ended_at))
        .where(InvoiceBatchItem.batch_id == batch.id)
        .group_by(InvoiceBatchItem.state)
    ).all()
    counts = {state: count for state, count, _ in rows}
    last_at = max((at for _, _, at in rows if at is not None), default=None)
    return Progress(
        id=batch.id,
        period=batch.period_label,
        act=batch.act,
        requested_by=batch.requested_by,
        requested_at=batch.requested_at,
        total=sum(counts.values()),
        done=counts.get("done", 0),
        refused=counts.get("refused", 0),
        ended_at=None if counts.get("waiting") else last_at,
    )
