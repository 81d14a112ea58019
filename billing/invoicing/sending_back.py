"""An approved draft that would ask for more than was approved goes back to draft: a gift has expired, a commitment was used up.

`issue` refuses it and takes nothing of it (raise is rollback); sending it back is an act of its own, with the new total written in,
so that whoever approves next sees what would be issued. A total that fell needs no second look.
"""

from datetime import datetime

from sqlalchemy.orm import Session

from billing.invoicing import deductions, drafts, events, rows
from billing.invoicing.documents import model
from billing.invoicing.errors import DraftDearer
from billing.invoicing.tables import InvoiceHeader


def require_not_dearer(header: InvoiceHeader, *, approved_minor: int, total_minor: int) -> None:
    """Raise DraftDearer where the document would now ask for more than was approved (minor units, tax included)."""
    if total_minor > approved_minor:
        raise DraftDearer(
            invoice_id=header.id, approved_minor=approved_minor, total_minor=total_minor, currency=header.currency
        )


def send_back(session: Session, *, now: datetime, draft_id: str, actor: str) -> bool:
    """Make an approved draft that became dearer a draft again, with what may be taken off it now; False where there is nothing to do.

    One that is a draft still gets its new total, so that approving it and issuing it at once is refused but once.
    Locks the account's head; call it in a transaction of its own after DraftDearer. Raises NotFound.
    """
    header, _ = drafts.lock_header(session, draft_id)
    if header.state not in drafts.OPEN_STATES or header.billing_period_id is None:
        return False
    stored = model.from_snapshot(header.snapshot or {})
    made = drafts.with_deductions(
        session,
        stored,
        now=now,
        account_id=header.billing_account_id,
        discounts=deductions.discounts_of(stored.allowances),
    )
    if made.payable_minor <= stored.payable_minor:
        return False
    rows.replace_deductions(session, header, made)
    header.state, header.approved_at, header.approved_by = "draft", None, None
    header.review_started_at = header.reviewed_by = None
    facts = {
        "approved_minor": stored.payable_minor,
        "total_minor": made.payable_minor,
        "currency": header.currency,
    }
    events.record(session, header, now=now, type="sent_back", actor=actor, facts=facts)
    session.flush()  # whoever approves next reads it
    return True
