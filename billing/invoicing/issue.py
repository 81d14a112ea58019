"""Issue: one transaction that checks everything again, tries the document out, and takes the number last."""

from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from billing.accounts import directory
from billing.accounts.tables import AccountHead, BillingAccount, BillingProfile, Seller
from billing.catalog.tables import CommitContract
from billing.invoicing import contracts, deductions, drafts, events, numbers, parties, rows, sales, settlement
from billing.invoicing.documents import model, page
from billing.invoicing.documents.model import InvoiceDocument
from billing.invoicing.errors import DraftOutdated, NotApproved, PeriodNotEnded
from billing.invoicing.tables import InvoiceAllowance, InvoiceHeader, InvoiceLine, InvoiceTax
from billing.kernel.clock import get_zone
from billing.kernel.money import Money
from billing.ledger import balances, book, promos
from billing.ledger.entries import Entry
from billing.rating import periods
from billing.rating.tables import BillingPeriod, Charge, Posting
from billing.storage import outbox


def issue(session: Session, *, now: datetime, draft_id: str, actor: str) -> InvoiceHeader:
    """Issue an approved draft: number, frozen document, ledger entries, settlement from the wallet, notice; or nothing at all.

    Locks the account's head, then the number series until commit. An invoice that is already issued is returned as it is.
    Raises NotApproved, PeriodNotEnded, ProfileIncomplete, DraftOutdated, DocumentInvalid.
    """
    header, head = drafts.lock_header(session, draft_id)
    if header.state == "issued":
        return header
    if header.state != "approved":
        raise NotApproved(invoice_id=header.id, state=header.state)
    account = directory.get_account(session, header.billing_account_id)
    seller, profile = directory.get_seller(session, header.seller_id), parties.get_profile(session, account)
    period = _ended_period(session, header, account, now)
    parties.require_complete(account, profile, seller)
    stored = model.from_snapshot(header.snapshot or {})
    contract = sales.find_contract(session, header.id) if period is None else None
    wallet_minor = _check_books(session, header, stored, contract)
    _check_tax(session, header, stored, account, seller, profile, today=now.astimezone(get_zone(seller.zone)).date())
    draft = stored if period is None else _up_to_date(session, header, stored, now=now)
    prepaid_minor = min(max(0, wallet_minor), draft.total_minor)
    ready = _with_parties(draft, seller, profile, prepaid_minor=prepaid_minor)

    today = now.astimezone(get_zone(seller.zone)).date()
    page.try_out(_numbered(ready, numbers.dummy(seller.invoice_prefix, today), seller.payment_terms_days))
    taken = numbers.take(session, seller_id=seller.id, prefix=seller.invoice_prefix, today=today)
    document = _numbered(ready, taken, seller.payment_terms_days)
    snapshot = document.to_snapshot()
    digest = model.snapshot_hash(snapshot)
    posted = book.post(
        session,
        now=now,
        head=head,
        type="issue",
        source_type="invoice",
        source_id=header.id,
        entries=_sale_entries(document, contract) if contract else _entries(session, document, now=now, head=head),
        occurred_at=now,
        actor=actor,
        memo=f"Invoice {document.number}",
        anchor_hash=digest,
    )
    _freeze(session, header, document, now=now, digest=digest, transaction_id=posted.transaction_id, snapshot=snapshot)
    if period is not None:
        periods.mark_invoiced(session, period, now=now)
    facts = {"number": document.number, "total_minor": document.total_minor, "currency": document.currency}
    events.record(session, header, now=now, type="issued", actor=actor, facts=facts)
    settlement.record(
        session,
        now=now,
        invoice_id=header.id,
        transaction_id=posted.transaction_id,
        kind="wallet",
        amount_minor=prepaid_minor,
        actor=actor,
    )
    outbox.enqueue(
        session,
        now=now,
        topic="invoice.issued",
        dedup_key=f"invoice.issued:{header.id}",
        payload={"invoice_id": header.id, **facts, "due_minor": document.due_minor, "due_on": str(document.due_on)},
        billing_account_id=account.id,
    )
    return header


def _ended_period(
    session: Session, header: InvoiceHeader, account: BillingAccount, now: datetime
) -> BillingPeriod | None:
    """The billing period of the draft, None for the sale of a commitment. Raises PeriodNotEnded."""
    if header.billing_period_id is None:
        return None
    period = session.get_one(BillingPeriod, header.billing_period_id)
    if period.end_at > now:
        raise PeriodNotEnded(account=account.code, period=period.label, ends_at=period.end_at.isoformat())
    return period


def _up_to_date(session: Session, header: InvoiceHeader, stored: InvoiceDocument, *, now: datetime) -> InvoiceDocument:
    """The draft with what may be taken off it now: a commitment may have been drawn down, a gift used or expired since."""
    made = drafts.with_deductions(
        session,
        stored,
        now=now,
        account_id=header.billing_account_id,
        discounts=deductions.discounts_of(stored.allowances),
    )
    if made is not stored:
        rows.replace_deductions(session, header, made)
    return made


def _check_books(
    session: Session, header: InvoiceHeader, draft: InvoiceDocument, contract: CommitContract | None
) -> int:
    """Lines, charges, postings and `unbilled` say the same, or DraftOutdated; gives back the wallet in minor units.

    The one line of a sale says what its contract does; it has no charge.
    """
    rows_of_lines = session.execute(
        select(InvoiceLine.id, InvoiceLine.amount_minor, Charge.posted_minor, Charge.draft_id, Charge.currency)
        .outerjoin(Charge, Charge.id == InvoiceLine.charge_id)
        .where(InvoiceLine.invoice_id == header.id)
        .order_by(InvoiceLine.seq)
    ).all()
    _same(
        header,
        "lines",
        [(line.id, line.amount_minor) for line in draft.lines],
        [(row.id, row.amount_minor) for row in rows_of_lines],
    )
    charged = [row for row in rows_of_lines if row.draft_id is not None]
    for row in charged:
        _same(
            header,
            "charge",
            (row.amount_minor, header.id, header.currency),
            (row.posted_minor, row.draft_id, row.currency),
        )
    posted = session.scalars(
        select(func.sum(Posting.increment_minor)).where(
            Posting.charge_id.in_(select(InvoiceLine.charge_id).where(InvoiceLine.invoice_id == header.id))
        )
    ).one()
    charged_minor = sum(row.amount_minor for row in charged)
    _same(header, "postings", charged_minor, int(posted or 0))
    _same(header, "net", header.net_minor, draft.net_minor)
    _same(header, "tax", header.tax_minor, draft.tax_minor)
    if contract is not None:
        sold = (contract.amount_minor, contract.currency)
        _same(header, "commitment", (draft.net_minor, draft.currency), sold)
    balance = balances.of_account(session, header.billing_account_id, currency=header.currency)[0]
    if -balance.unbilled_minor < charged_minor:
        raise DraftOutdated(
            invoice_id=header.id, what="unbilled", draft=str(charged_minor), books=str(-balance.unbilled_minor)
        )
    return balance.wallet_minor


def _check_tax(
    session: Session,
    header: InvoiceHeader,
    draft: InvoiceDocument,
    account: BillingAccount,
    seller: Seller,
    profile: BillingProfile,
    *,
    today: date,
) -> None:
    """The parties may have changed since the draft: its treatment must still be today's, or it is generated again."""
    ends = session.scalars(
        select(BillingPeriod.end_at)
        .join(Charge, Charge.billing_period_id == BillingPeriod.id)
        .where(Charge.draft_id == header.id)
        .distinct()
    ).all()
    points = {parties.last_day(end_at, account.zone) for end_at in ends} or {today}  # a sale is taxed when it is issued
    found = {parties.treatment_on(seller, profile, on=on) for on in points}
    books = sorted((treatment.category, treatment.rate_bp, treatment.jurisdiction) for treatment in found)
    _same(
        header,
        "tax treatment",
        sorted((group.category, group.rate_bp, group.jurisdiction) for group in draft.taxes),
        books,
    )


def _same(header: InvoiceHeader, what: str, draft: object, books: object) -> None:
    if draft != books:
        raise DraftOutdated(invoice_id=header.id, what=what, draft=str(draft)[:200], books=str(books)[:200])


def _with_parties(
    draft: InvoiceDocument, seller: Seller, profile: BillingProfile, *, prepaid_minor: int
) -> InvoiceDocument:
    return replace(
        draft,
        seller=parties.of_seller(seller),
        buyer=parties.of_buyer(profile),
        purchase_order=profile.purchase_order,
        bank_account=seller.bank_account,
        prepaid_minor=prepaid_minor,
        due_minor=draft.total_minor - prepaid_minor,
    )


def _numbered(ready: InvoiceDocument, taken: numbers.Taken, terms_days: int) -> InvoiceDocument:
    return replace(
        ready, number=taken.number, issued_on=taken.issued_on, due_on=taken.issued_on + timedelta(days=terms_days)
    )


def _entries(session: Session, document: InvoiceDocument, *, now: datetime, head: AccountHead) -> list[Entry]:
    """invoice_issue (net), what was taken off before tax, tax (per country), wallet_apply, as in the table of postings.

    All that charges had posted to `unbilled` leaves it: against the receivable, the commitment, the discount, the promo.
    """
    detail = {"invoice": document.id}
    wanted = [("invoice_issue", "receivable", "unbilled", document.net_minor)]
    wanted += [("tax", "receivable", f"tax:{group.jurisdiction}", group.tax_minor) for group in document.taxes]
    wanted += [
        ("discount", "discount", "unbilled", one.amount_minor) for one in deductions.discounts_of(document.allowances)
    ]
    wanted += [("wallet_apply", "wallet", "receivable", document.prepaid_minor)]
    drawn = deductions.by_contract(document.lines)
    used = deductions.by_grant(document.allowances).items()
    return [
        *_as_entries(wanted, document.currency, detail),
        *contracts.drawdown_entries(drawn, currency=document.currency, invoice_id=document.id),
        *promos.apply_entries(
            session,
            now=now,
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


def _freeze(
    session: Session,
    header: InvoiceHeader,
    document: InvoiceDocument,
    *,
    now: datetime,
    digest: str,
    transaction_id: str,
    snapshot: dict[str, object],
) -> None:
    """Write the number and all that goes with it in one UPDATE: from then on the database refuses any change (IV4)."""
    header.number, header.state = document.number, "issued"
    header.issued_at, header.issued_on, header.due_on = now, document.issued_on, document.due_on
    header.prepaid_minor, header.transaction_id = document.prepaid_minor, transaction_id
    header.snapshot, header.snapshot_hash = snapshot, digest
    session.execute(update(InvoiceLine).where(InvoiceLine.invoice_id == header.id).values(issued_at=now))
    for table in (InvoiceTax, InvoiceAllowance):
        session.execute(update(table).where(table.invoice_id == header.id).values(issued_at=now))
    session.flush()  # settlement reads the state
