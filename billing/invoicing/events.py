"""What happened to a document: one event row, one audit row, both in the act's own transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from billing.invoicing.tables import InvoiceEvent, InvoiceHeader
from billing.kernel.ids import new_id
from billing.storage import audit


def record(
    session: Session,
    header: InvoiceHeader,
    *,
    now: datetime,
    type: str,
    actor: str,
    facts: dict[str, Any] | None = None,
) -> None:
    """Add event and audit row of `type` (drafted, approved, issued, rendered, voided, paid, credited); facts hold ids and sums."""
    session.add(
        InvoiceEvent(id=new_id("ine"), invoice_id=header.id, type=type, happened_at=now, actor=actor, facts=facts or {})
    )
    audit.record(
        session,
        now=now,
        actor=actor,
        act=f"invoice.{type}",
        subject_type=header.kind,
        subject_id=header.id,
        billing_account_id=header.billing_account_id,
        facts=facts,
    )
