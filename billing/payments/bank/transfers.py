"""Booking a line of the bank statement: to invoices as far as they are open, oldest first or as the operator says, the rest to the wallet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from billing.accounts import currencies, directory, heads, names
from billing.accounts.tables import AccountHead, BillingAccount, Seller
from billing.invoicing import settlement
from billing.invoicing.tables import InvoiceHeader, InvoiceSettlement
from billing.kernel import money
from billing.kernel.clock import get_zone
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import write_offs
from billing.ledger.tables import LedgerMemo
from billing.payments import crediting
from billing.payments.bank.tables import BankTransfer
from billing.payments.crediting import Received, Share
from billing.payments.errors import AmountOutOfRange
from billing.payments.tables import Payment
from billing.storage import audit, locks

PROVIDER, CASH = "bank", "cash:bank"
SUBJECT = "bank_transfer"
_ACCOUNT_MAX, _REFERENCE_MAX, _PAYER_MAX = 42, 64, 140
_OLDEST = timedelta(days=366)
_MOST_MAJOR = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of the seller's bank statement. `bank_account` None: the one that the seller prints on its invoices."""

    amount: Money
    value_on: date
    bank_reference: str
    payer: str
    bank_account: str | None = None


@dataclass(frozen=True, kw_only=True)
class OpenInvoice:
    """An invoice that money may be given to. `limit_minor`: what is open of it and what was written off, which a payment undoes."""

    id: str
    number: str
    currency: str
    due_on: date | None
    open_minor: int
    limit_minor: int


@dataclass(frozen=True, kw_only=True)
class TransferRow:
    """A booked line. `payer` is None once it was erased; `parts` are (invoice id, number, minor units), the rest is the wallet's."""

    id: str
    billing_account_id: str
    account_code: str
    account_name: str
    bank_account: str
    bank_reference: str
    value_on: date
    amount_minor: int
    currency: str
    payer: str | None
    payment_id: str
    transaction_id: str
    booked_by: str
    booked_at: datetime
    reversed_at: datetime | None
    reversed_by: str | None
    reversal_id: str | None
    parts: tuple[tuple[str, str, int], ...] = ()

    @property
    def wallet_minor(self) -> int:
        """What went to the wallet."""
        return self.amount_minor - sum(minor for _, _, minor in self.parts)


def book(
    session: Session,
    *,
    now: datetime,
    account_id: str,
    line: Line,
    actor: str,
    shares: Sequence[Share] | None = None,
) -> TransferRow:
    """Book a statement line for a billing account; the same line again gives the first booking, whatever else was said of it.

    `shares` None pays what is open, oldest first. One ledger transaction on the value date, or the first open day after it (Law 3).
    Locks the account's head. Raises Invalid, AmountOutOfRange for a share above what its invoice can take or above the amount,
    NotFound for an invoice of another account and for a house, Conflict(line_booked) when it was booked for another account or amount.
    """
    head = heads.lock_one(session, account_id)
    account = directory.get_account(session, account_id)
    if account.kind == "house":
        raise NotFound(account=account.code)
    seller = directory.get_seller(session, account.seller_id)
    line = _checked(line, seller, now=now)
    locks.take(session, f"bank_line:{seller.id}:{line.bank_account}:{line.bank_reference}")
    known = session.scalars(_standing(seller.id, str(line.bank_account), line.bank_reference)).first()
    if known is not None:
        return _same(session, known, account, line)
    chosen = _shares(session, account, line.amount, shares)
    transfer_id = new_id("bkt")
    payment = _credited(session, now, head, seller, line, chosen, transfer_id, actor)
    item = BankTransfer(
        id=transfer_id,
        billing_account_id=account_id,
        seller_id=seller.id,
        bank_account=str(line.bank_account),
        bank_reference=line.bank_reference,
        value_on=line.value_on,
        amount_minor=line.amount.minor,
        currency=line.amount.currency,
        payment_id=payment.id,
        booked_by=actor,
        booked_at=now,
    )
    session.add(item)
    session.flush()  # unique on the statement line: a second booking fails here
    audit.record(
        session,
        now=now,
        actor=actor,
        act="bank_transfer.book",
        subject_type=SUBJECT,
        subject_id=item.id,
        billing_account_id=account_id,
        facts={
            "amount_minor": item.amount_minor,
            "currency": item.currency,
            "value_on": item.value_on.isoformat(),
            "bank_account": item.bank_account,
            "bank_reference": item.bank_reference,
            "payment_id": payment.id,
        },
    )
    return get_transfer(session, transfer_id)


def plan(
    session: Session, *, now: datetime, account_id: str, line: Line, shares: Sequence[Share] | None = None
) -> list[Share]:
    """What `book` would give to which invoice, writing nothing; what is missing to the amount goes to the wallet. Raises as `book`."""
    account = directory.get_account(session, account_id)
    seller = directory.get_seller(session, account.seller_id)
    line = _checked(line, seller, now=now)
    known = session.scalars(_standing(seller.id, str(line.bank_account), line.bank_reference)).first()
    if known is not None:
        raise Conflict(bank_transfer_id=known.id, bank_reference=known.bank_reference, reason="line_booked")
    return _shares(session, account, line.amount, shares)


def allocate(invoices: Sequence[OpenInvoice], amount: Money) -> list[Share]:
    """The amount on what is open, in the order of the invoices, each whole before the next; then on what was written off. Pure."""
    left, taken = amount.minor, dict.fromkeys((invoice.id for invoice in invoices), 0)
    for invoice in invoices:
        taken[invoice.id] = min(left, invoice.open_minor)
        left -= taken[invoice.id]
    for invoice in invoices:
        more = min(left, invoice.limit_minor - invoice.open_minor)
        taken[invoice.id] += more
        left -= more
    return [Share(invoice_id=invoice_id, amount_minor=minor) for invoice_id, minor in taken.items() if minor]


def list_open(session: Session, *, account_id: str, currency: str | None = None) -> list[OpenInvoice]:
    """The account's issued invoices that can take money, those due first at the front; written off ones last."""
    settled = (
        select(InvoiceSettlement.invoice_id, func.sum(InvoiceSettlement.amount_minor).label("minor"))
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceSettlement.invoice_id)
        .where(InvoiceHeader.billing_account_id == account_id)
        .group_by(InvoiceSettlement.invoice_id)
        .subquery()
    )
    query = (
        select(InvoiceHeader, func.coalesce(settled.c.minor, 0))
        .outerjoin(settled, settled.c.invoice_id == InvoiceHeader.id)
        .where(
            InvoiceHeader.billing_account_id == account_id,
            InvoiceHeader.kind == "invoice",
            InvoiceHeader.state == "issued",
        )
        .order_by(InvoiceHeader.due_on, InvoiceHeader.issued_on, InvoiceHeader.number)
    )
    if currency is not None:
        query = query.where(InvoiceHeader.currency == currency)
    found = []
    for header, settled_minor in session.execute(query):
        open_minor = header.payable_minor - int(settled_minor)
        limit_minor = open_minor + _written_off(session, header)
        if limit_minor > 0:
            found.append(
                OpenInvoice(
                    id=header.id,
                    number=str(header.number),
                    currency=header.currency,
                    due_on=header.due_on,
                    open_minor=open_minor,
                    limit_minor=limit_minor,
                )
            )
    return sorted(found, key=lambda one: one.open_minor == 0)


def get_transfer(session: Session, transfer_id: str) -> TransferRow:
    """One booked line with where its money went. Raises NotFound."""
    found = session.execute(_rows().where(BankTransfer.id == transfer_id)).one_or_none()
    if found is None:
        raise NotFound(bank_transfer_id=transfer_id[:60])
    return _row(session, *found)


def list_transfers(
    session: Session, *, account_id: str | None = None, limit: int = 25, offset: int = 0, before_id: str | None = None
) -> tuple[list[TransferRow], int]:
    """A page of booked lines, newest first, and how many there are; `before_id` goes on after that one."""
    query = _rows()
    counted = select(func.count()).select_from(BankTransfer)
    if account_id is not None:
        query = query.where(BankTransfer.billing_account_id == account_id)
        counted = counted.where(BankTransfer.billing_account_id == account_id)
    if before_id is not None:
        query = query.where(BankTransfer.id < before_id)
    rows = session.execute(query.order_by(BankTransfer.id.desc()).limit(limit).offset(offset)).all()
    return [_row(session, *found) for found in rows], session.scalars(counted).one()


def parts_of(session: Session, transaction_id: str) -> list[tuple[str, str, int]]:
    """(invoice id, number, minor units) that a payment's transaction settled, by number."""
    rows = session.execute(
        select(InvoiceHeader.id, InvoiceHeader.number, InvoiceSettlement.amount_minor)
        .join(InvoiceSettlement, InvoiceSettlement.invoice_id == InvoiceHeader.id)
        .where(InvoiceSettlement.transaction_id == transaction_id, InvoiceSettlement.kind == "payment")
        .order_by(InvoiceHeader.number)
    )
    return [(row.id, str(row.number), row.amount_minor) for row in rows]


def _credited(
    session: Session,
    now: datetime,
    head: AccountHead,
    seller: Seller,
    line: Line,
    shares: Sequence[Share],
    transfer_id: str,
    actor: str,
) -> Payment:
    """Dated at the start of the value date where the seller is, at the latest now."""
    begins_at = datetime.combine(line.value_on, time(), tzinfo=get_zone(seller.zone)).astimezone(UTC)
    return crediting.credit(
        session,
        now=now,
        locked={head.billing_account_id: head},
        received=Received(
            account_id=head.billing_account_id,
            provider=PROVIDER,
            provider_payment_id=transfer_id,
            amount=line.amount,
            kind="bank_credit",
            cash=CASH,
            source=(SUBJECT, transfer_id),
            received_at=min(now, begins_at),
            actor=actor,
            shares=tuple(shares),
            memo=line.payer,
        ),
    )


def _checked(line: Line, seller: Seller, *, now: datetime) -> Line:
    currency = line.amount.currency
    most = Money(minor=_MOST_MAJOR * 10 ** money.exponent(currency), currency=currency)
    if not 0 < line.amount.minor <= most.minor:
        raise AmountOutOfRange(
            field="amount",
            amount_minor=line.amount.minor,
            min_minor=1,
            max_minor=most.minor,
            currency=currency,
        )
    today = now.astimezone(get_zone(seller.zone)).date()
    if line.value_on > today:
        raise Invalid(
            field="value_on", value=line.value_on.isoformat(), today=today.isoformat(), reason="value_date_ahead"
        )
    if line.value_on < today - _OLDEST:
        raise Invalid(
            field="value_on", value=line.value_on.isoformat(), today=today.isoformat(), reason="value_date_old"
        )
    account = "".join((line.bank_account or seller.bank_account or "").split()).upper()
    return Line(
        amount=line.amount,
        value_on=line.value_on,
        bank_reference=names.require_code(line.bank_reference.strip(), "bank_reference", max_length=_REFERENCE_MAX),
        payer=names.require_name(line.payer, "payer", max_length=_PAYER_MAX),
        bank_account=names.require_code(account, "bank_account", max_length=_ACCOUNT_MAX),
    )


def _standing(seller_id: str, bank_account: str, bank_reference: str) -> Select[BankTransfer]:
    return select(BankTransfer).where(
        BankTransfer.seller_id == seller_id,
        BankTransfer.bank_account == bank_account,
        BankTransfer.bank_reference == bank_reference,
        BankTransfer.reversed_at.is_(None),
    )


def _same(session: Session, known: BankTransfer, account: BillingAccount, line: Line) -> TransferRow:
    asked = (account.id, line.amount.minor, line.amount.currency)
    if (known.billing_account_id, known.amount_minor, known.currency) != asked:
        raise Conflict(bank_transfer_id=known.id, bank_reference=known.bank_reference, reason="line_booked")
    return get_transfer(session, known.id)


def _shares(session: Session, account: BillingAccount, amount: Money, shares: Sequence[Share] | None) -> list[Share]:
    invoices = list_open(session, account_id=account.id, currency=amount.currency)
    _require_currency(account, amount.currency, invoices)
    return allocate(invoices, amount) if shares is None else _chosen(session, account.id, amount, shares)


def _require_currency(account: BillingAccount, currency: str, invoices: Sequence[OpenInvoice]) -> None:
    """A wallet in a currency that nothing is billed in would pay nothing."""
    expected = currencies.invoice_currency_of(account)
    if currency != expected and not invoices:
        raise Invalid(field="currency", value=currency, expected=expected, reason="currency_mismatch")


def _chosen(session: Session, account_id: str, amount: Money, shares: Sequence[Share]) -> list[Share]:
    left, seen = amount.minor, set[str]()
    for share in shares:
        header = session.get(InvoiceHeader, share.invoice_id) if names.is_safe(share.invoice_id) else None
        is_theirs = header is not None and header.billing_account_id == account_id
        if header is None or not is_theirs or header.kind != "invoice" or header.state != "issued":
            raise NotFound(invoice_id=names.shown(share.invoice_id))
        if header.currency != amount.currency:
            raise Invalid(
                field="allocation", value=header.currency, expected=amount.currency, reason="currency_mismatch"
            )
        if share.invoice_id in seen:
            raise Invalid(field="allocation", value=header.number, reason="invoice_named_twice")
        seen.add(share.invoice_id)
        most = min(left, settlement.open_minor(session, header.id) + _written_off(session, header))
        if not 0 < share.amount_minor <= most:
            raise AmountOutOfRange(
                field="allocation",
                amount_minor=share.amount_minor,
                min_minor=1,
                max_minor=most,
                currency=amount.currency,
                number=header.number,
            )
        left -= share.amount_minor
    return list(shares)


def _written_off(session: Session, header: InvoiceHeader) -> int:
    left = write_offs.standing(session, header.billing_account_id, key=header.id, currency=header.currency)
    return max(0, sum(left.values()))


def _rows() -> Select[BankTransfer, str, str, str, str | None]:
    return (
        select(
            BankTransfer,
            BillingAccount.code,
            BillingAccount.name,
            Payment.transaction_id,
            LedgerMemo.memo.label("payer"),
        )
        .join(BillingAccount, BillingAccount.id == BankTransfer.billing_account_id)
        .join(Payment, Payment.id == BankTransfer.payment_id)
        .outerjoin(LedgerMemo, LedgerMemo.transaction_id == Payment.transaction_id)
    )


def _row(
    session: Session, item: BankTransfer, code: str, name: str, transaction_id: str, payer: str | None
) -> TransferRow:
    return TransferRow(
        id=item.id,
        billing_account_id=item.billing_account_id,
        account_code=code,
        account_name=name,
        bank_account=item.bank_account,
        bank_reference=item.bank_reference,
        value_on=item.value_on,
        amount_minor=item.amount_minor,
        currency=item.currency,
        payer=payer,
        payment_id=item.payment_id,
        transaction_id=transaction_id,
        booked_by=item.booked_by,
        booked_at=item.booked_at,
        reversed_at=item.reversed_at,
        reversed_by=item.reversed_by,
        reversal_id=item.reversal_id,
        parts=tuple(parts_of(session, transaction_id)),
    )
