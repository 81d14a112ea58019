"""Issue: one transaction that checks everything again, tries the document out, and takes the number last."""

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.tables import AccountHead, BillingAccount, BillingProfile, Seller
from billing.catalog.tables import CommitContract
from billing.invoicing import (
    contracts,
    conversion,
    credit_of_charges,
    deductions,
    drafts,
    events,
    issue_checks,
    numbers,
    parties,
    rows,
    sales,
    sending_back,
    settlement,
)
from billing.invoicing.documents import model, page
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import NotApproved
from billing.invoicing.tables import InvoiceHeader
from billing.invoicing.taxes import inclusive
from billing.kernel.clock import get_zone
from billing.kernel.money import Money
from billing.ledger import book, promos
from billing.ledger.entries import Entry
from billing.rating import periods
from billing.storage import outbox


def issue(session: Session, *, now: datetime, draft_id: str, actor: str) -> InvoiceHeader:
    """Issue an approved draft: number, frozen document, ledger entries, settlement from the wallet, notice; or nothing at all.

    Locks the account's head, then the number series until commit. An invoice that is already issued is returned as it is.
    Raises NotApproved, PeriodNotEnded, ProfileIncomplete, DraftOutdated, DocumentInvalid, DraftDearer (then `sending_back.send_back`).
    """
    header, head = drafts.lock_header(session, draft_id)
    if header.state == "issued":
        return header
    if header.state != "approved":
        raise NotApproved(invoice_id=header.id, state=header.state)
    account = directory.get_account(session, header.billing_account_id)
    seller, profile = directory.get_seller(session, header.seller_id), parties.get_profile(session, account)
    period = issue_checks.ended_period(session, header, account, now)
    parties.require_complete(account, profile, seller)
    stored = model.from_snapshot(header.snapshot or {})
    contract = sales.find_contract(session, header.id) if period is None else None
    wallet_minor = issue_checks.books(session, header, stored, contract)
    today = now.astimezone(get_zone(seller.zone)).date()
    tax_facts = issue_checks.tax(session, header, stored, account, seller, profile, now=now, actor=actor)
    taxed_on = today if period is None else parties.last_day(period.end_at, account.zone)
    conversion.check_rates(session, header, stored, on=taxed_on)
    stored = conversion.with_tax_currency(session, replace(stored, tax_facts=tax_facts), seller, on=taxed_on)
    if header.kind == "credit_note" and period is not None:
        ready = _with_parties(stored, seller, profile, prepaid_minor=0)
        return credit_of_charges.issue(
            session, now=now, header=header, head=head, ready=ready, seller=seller, period=period, actor=actor
        )
    draft = stored if period is None or header.replaces_id else _up_to_date(session, header, stored, now=now)
    prepaid_minor = min(max(0, wallet_minor), draft.payable_minor)
    ready = _with_parties(draft, seller, profile, prepaid_minor=prepaid_minor)
    terms_days = terms_of(account, seller)
    page.try_out(_numbered(ready, numbers.dummy(seller.invoice_prefix, today), terms_days))
    document = _numbered(
        ready, numbers.take(session, seller_id=seller.id, prefix=seller.invoice_prefix, today=today), terms_days
    )
    snapshot = document.to_snapshot()
    digest = model.snapshot_hash(snapshot)
    posted = book.post(
        session,
        now=now,
        head=head,
        type="issue",
        source_type="invoice",
        source_id=header.id,
        entries=_sale_entries(document, contract)
        if contract
        else _entries(session, document, gifts_at=_gifts_at(session, header, now), head=head),
        occurred_at=now,
        actor=actor,
        memo=f"Invoice {document.number}",
        anchor_hash=digest,
    )
    rows.freeze(
        session,
        header,
        document,
        now=now,
        snapshot=snapshot,
        digest=digest,
        transaction_id=posted.transaction_id,
    )
    conversion.record(session, document, seller, now=now, on=taxed_on, issued_at=now)
    if period is not None:
        periods.mark_invoiced(session, period, now=now)
    _tell(session, header, document, now=now, actor=actor)
    return header


def _tell(session: Session, header: InvoiceHeader, document: InvoiceDocument, *, now: datetime, actor: str) -> None:
    """Record the issue and what the wallet paid of it, and put its notice into the outbox."""
    facts = {"number": document.number, "total_minor": document.payable_minor, "currency": document.currency}
    events.record(session, header, now=now, type="issued", actor=actor, facts=facts)
    settlement.record(
        session,
        now=now,
        invoice_id=header.id,
        transaction_id=str(header.transaction_id),
        kind="wallet",
        amount_minor=document.prepaid_minor,
        actor=actor,
    )
    outbox.enqueue(
        session,
        now=now,
        topic="invoice.issued",
        dedup_key=f"invoice.issued:{header.id}",
        payload={"invoice_id": header.id, **facts, "due_minor": document.due_minor, "due_on": str(document.due_on)},
        billing_account_id=header.billing_account_id,
    )


def terms_of(account: BillingAccount, seller: Seller) -> int:
    """Within how many days the account pays: its own terms, else its seller's."""
    return seller.payment_terms_days if account.payment_terms_days is None else account.payment_terms_days


def _gifts_at(session: Session, header: InvoiceHeader, now: datetime) -> datetime:
    """When gifts count as used: what bills again an invoice that was credited whole uses what that one gave back, expired or not."""
    if header.replaces_id is None:
        return now
    return session.get_one(InvoiceHeader, header.replaces_id).issued_at or now


def _up_to_date(session: Session, header: InvoiceHeader, stored: InvoiceDocument, *, now: datetime) -> InvoiceDocument:
    """The draft with what may be taken off it now: a commitment may have been drawn down, a gift used or expired since."""
    made = drafts.with_deductions(
        session,
        stored,
        now=now,
        account_id=header.billing_account_id,
        discounts=deductions.discounts_of(stored.allowances),
    )
    sending_back.require_not_dearer(header, approved_minor=stored.payable_minor, total_minor=made.payable_minor)
    if made is not stored:
        rows.replace_deductions(session, header, made)
    return made


def _with_parties(
    draft: InvoiceDocument, seller: Seller, profile: BillingProfile, *, prepaid_minor: int
) -> InvoiceDocument:
    return replace(
        draft,
        **parties.stated(seller, profile),
        prepaid_minor=prepaid_minor,
        due_minor=draft.payable_minor - prepaid_minor,
    )


def _numbered(ready: InvoiceDocument, taken: numbers.Taken, terms_days: int) -> InvoiceDocument:
    return replace(
        ready,
        number=taken.number,
        issued_on=taken.issued_on,
        due_on=taken.issued_on + timedelta(days=terms_days),
        terms_days=terms_days,
    )


def _entries(session: Session, document: InvoiceDocument, *, gifts_at: datetime, head: AccountHead) -> list[Entry]:
    """fx_conversion, invoice_issue (net), what was taken off before tax, tax (per country), wallet_apply, as in money.md's table.

    All that charges had posted to `unbilled` leaves it: against the receivable, the commitment, the discount, the promo.
    """
    detail = {"invoice": document.id}
    if document.prices_include_tax:
        wanted = inclusive.postings(document)
    else:
        wanted = [("invoice_issue", "receivable", "unbilled", document.net_minor)]
        wanted += [("tax", "receivable", f"tax:{group.jurisdiction}", group.tax_minor) for group in document.taxes]
    wanted += [
        ("discount", "discount", "unbilled", one.amount_minor) for one in deductions.discounts_of(document.allowances)
    ]
    wanted += [("wallet_apply", "wallet", "receivable", document.prepaid_minor)]
    drawn = deductions.by_contract(document.lines)
    used = deductions.by_grant(document.allowances).items()
    return [
        *conversion.entries(document),
        *_as_entries(wanted, document.currency, detail),
        *contracts.drawdown_entries(drawn, currency=document.currency, invoice_id=document.id),
        *promos.apply_entries(
            session,
            now=gifts_at,
            head=head,
            currency=document.currency,
            uses=[promos.Use(grant_id=grant_id, amount_minor=minor) for grant_id, minor in used],
            detail=detail,
        ),
    ]


def _sale_entries(document: InvoiceDocument, contract: CommitContract) -> list[Entry]:
    """commit_sale (net and tax), wallet_apply."""
    taxes = [(group.jurisdiction, group.tax_minor) for group in document.taxes]
    wallet = [("wallet_apply", "wallet", "receivable", document.prepaid_minor)]
    return [
        *sales.entries(
            contract.id,
            net_minor=document.net_minor,
            taxes=taxes,
            currency=document.currency,
            invoice_id=document.id,
        ),
        *_as_entries(wallet, document.currency, {"invoice": document.id}),
    ]


def _as_entries(wanted: list[tuple[str, str, str, int]], currency: str, detail: dict[str, str]) -> list[Entry]:
    """(kind, debit, credit, minor units) as entries; one below zero swaps its sides: late corrections may outweigh what else has
    its rate."""
    return [
        Entry(
            kind=kind,
            debit=debit if amount_minor > 0 else credit,
            credit=credit if amount_minor > 0 else debit,
            amount=Money(minor=abs(amount_minor), currency=currency),
            detail=detail,
        )
        for kind, debit, credit, amount_minor in wanted
        if amount_minor
    ]
