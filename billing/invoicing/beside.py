"""Two documents of one month, whose taxes may not stand together: what the first takes off, the second cannot take again."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.invoicing import deductions
from billing.invoicing.documents import model
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import inclusive
from billing.rating.tables import BillingPeriod

_OPEN = ("draft", "approved")


def taken(session: Session, document: InvoiceDocument, *, account_id: str) -> dict[str, int]:
    """{gift or commitment: minor units} that open drafts of the same month, made before this one, take off. Reads under the caller's lock."""
    query = (
        select(InvoiceHeader)
        .join(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .where(
            InvoiceHeader.billing_account_id == account_id,
            InvoiceHeader.state.in_(_OPEN),
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.currency == document.currency,
            InvoiceHeader.id < document.id,
            BillingPeriod.label == document.period_label,
        )
    )
    found: dict[str, int] = {}
    if document.id == "preview":  # it is shown while there is no draft
        return found
    for header in session.scalars(query):
        earlier = model.from_snapshot(header.snapshot or {})
        gifts = deductions.by_grant(inclusive.grossed_allowances(earlier.allowances))
        drawn = deductions.by_contract(inclusive.grossed(earlier.lines))
        for name, minor in (*gifts.items(), *drawn.items()):
            found[name] = found.get(name, 0) + minor
    return found
