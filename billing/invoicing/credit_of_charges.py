"""Issue of a credit note of its own charges, which come to less than zero: against what the named invoice has open, rest to the wallet."""

from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from billing.accounts.tables import AccountHead, Seller
from billing.invoicing import conversion, credit_notes, credit_rows, exchange_results, numbers, rows, settlement
from billing.invoicing.documents import model, page
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DraftOutdated
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import inclusive
from billing.kernel.clock import get_zone
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.rating import periods
from billing.rating.tables import BillingPeriod


def issue(
    session: Session,
    *,
    now: datetime,
    header: InvoiceHeader,
    head: AccountHead,
    ready: InvoiceDocument,
    seller: Seller,
    period: BillingPeriod,
    actor: str,
) -> InvoiceHeader:
    """Issue the approved draft `ready`, whose figures were checked: own series, number last, its period is invoiced.

    The caller holds the account's head. Raises DraftOutdated where the named invoice is gone, DocumentInvalid.
    """
    corrected = session.get(InvoiceHeader, header.corrects_id)
    if corrected is None or corrected.number != ready.corrects_number:
        raise DraftOutdated(invoice_id=header.id, what="corrected invoice", draft=str(ready.corrects_number), books="")
    payable_minor = ready.total_minor + ready.rounding_minor
    to_receivable = credit_notes.against_open(
        session, now=now, head=head, header=corrected, payable_minor=payable_minor, actor=actor, source_id=header.id
    )
    today = now.astimezone(get_zone(seller.zone)).date()

    to_wallet = payable_minor - to_receivable
    ready = replace(ready, to_receivable_minor=to_receivable, to_wallet_minor=to_wallet)
    ready = replace(ready, due_on=None, bank_account=None, bank_name=None, bic=None)  # nobody pays a credit note

    def written(taken: numbers.Taken) -> InvoiceDocument:
        return replace(ready, number=taken.number, issued_on=taken.issued_on)

    page.try_out(written(numbers.dummy(seller.credit_note_prefix, today)))
    document = written(numbers.take(session, seller_id=seller.id, prefix=seller.credit_note_prefix, today=today))
    snapshot = document.to_snapshot()
    digest = model.snapshot_hash(snapshot)
    posted = book.post(
        session,
        now=now,
        head=head,
        type="credit_note",
        source_type="credit_note",
        source_id=header.id,
        entries=[*conversion.entries(document), *entries(document)],
        occurred_at=now,
        actor=actor,
        memo=f"Credit note {document.number} for {corrected.number}",
        anchor_hash=digest,
        linked_id=corrected.transaction_id,
    )
    rows.freeze(
        session, header, document, now=now, snapshot=snapshot, digest=digest, transaction_id=posted.transaction_id
    )
    conversion.record(session, document, seller, now=now, on=today, issued_at=now)
    periods.mark_invoiced(session, period, now=now)
    settlement.record(
        session,
        now=now,
        invoice_id=corrected.id,
        transaction_id=posted.transaction_id,
        kind="credit_note",
        amount_minor=to_receivable,
        actor=actor,
    )
    exchange_results.note(
        session,
        corrected,
        now=now,
        transaction_id=posted.transaction_id,
        kind=exchange_results.GIVEN_BACK,
        amount_minor=to_wallet,
    )
    credit_rows.tell(session, corrected, header, document, now=now, actor=actor)
    return header


def entries(document: InvoiceDocument) -> list[Entry]:
    """credit_note: unbilled (net) and tax by country, first against the receivable, then to the wallet. Pure.

    A tax below zero, where another rate outweighs it, takes its part back from where the others go.
    """
    is_inclusive = document.prices_include_tax
    sources = {"unbilled": document.payable_minor if is_inclusive else document.net_minor}
    for group in () if is_inclusive else document.taxes:
        sources[f"tax:{group.jurisdiction}"] = sources.get(f"tax:{group.jurisdiction}", 0) + group.tax_minor
    detail = {"credit_note": document.id}
    place = "receivable" if document.to_receivable_minor else "wallet"
    made, left = [], document.to_receivable_minor
    for name, minor in sorted(sources.items()):
        if minor < 0:
            made.append(_entry(place, name, -minor, document.currency, detail))
            left += -minor if place == "receivable" else 0
    for name, minor in sorted(sources.items()):
        first = min(left, max(0, minor))
        left -= first
        for target, part in (("receivable", first), ("wallet", max(0, minor) - first)):
            if part > 0:
                made.append(_entry(name, target, part, document.currency, detail))
    return [*made, *_inclusive(document, detail)]


def _inclusive(document: InvoiceDocument, detail: dict[str, str]) -> list[Entry]:
    """Where prices include tax: tax and rounding go back into revenue, as they were taken out of it."""
    if not document.prices_include_tax:
        return []
    return [
        Entry(
            kind=kind,
            debit=credit if minor > 0 else debit,
            credit=debit if minor > 0 else credit,
            amount=Money(minor=abs(minor), currency=document.currency),
            detail=detail,
        )
        for kind, debit, credit, minor in inclusive.postings(document)
        if minor and kind != "invoice_issue"
    ]


def _entry(debit: str, credit: str, minor: int, currency: str, detail: dict[str, str]) -> Entry:
    amount = Money(minor=minor, currency=currency)
    return Entry(kind="credit_note", debit=debit, credit=credit, amount=amount, detail=detail)
