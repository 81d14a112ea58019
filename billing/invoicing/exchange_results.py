"""fx_result: what the exchange rate made of an invoice's payments, in the house's chain and the seller's own currency (money.md).

Whatever settles an invoice in another currency is noted with the settlement, in its transaction. A job books the result once the rate
of the day of payment is final: a later one is held, or none came for a week. A missing or stale rate holds up no payment.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from fractions import Fraction

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, heads
from billing.accounts.tables import AccountHead, Seller
from billing.invoicing import exchange_values
from billing.invoicing.exchange_values import Event, Standing, Step, Terms
from billing.invoicing.tables import InvoiceFxResult, InvoiceHeader, InvoiceRate
from billing.kernel.clock import get_zone
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.ledger import book
from billing.ledger.entries import Entry
from billing.ledger.tables import LedgerTransaction
from billing.reference import exchange, fx_rates
from billing.reference.exchange import BASE, Rate
from billing.reference.tables import FxRate

GIVEN_BACK = "given_back"
_ACTOR = "job:exchange_results"
_PURPOSE = "functional"


def note(
    session: Session, header: InvoiceHeader, *, now: datetime, transaction_id: str, kind: str, amount_minor: int
) -> None:
    """Keep that a transaction settled, or gave back, so much of an invoice; nothing where it is in the seller's own currency.

    The caller holds the account's lock. `kind` is the settlement's, or `GIVEN_BACK` for a credit note's part that went to the wallet.
    """
    if amount_minor == 0 or header.currency == session.get_one(Seller, header.seller_id).functional_currency:
        return
    session.add(
        InvoiceFxResult(
            id=new_id("ifx"),
            invoice_id=header.id,
            transaction_id=transaction_id,
            kind=kind,
            amount_minor=amount_minor,
            state="waiting",
            noted_at=now,
        )
    )


def accounts_waiting(session: Session) -> list[str]:
    """Accounts of which something has no booked result yet, the longest waiting first."""
    rows = session.scalars(
        select(InvoiceHeader.billing_account_id)
        .join(InvoiceFxResult, InvoiceFxResult.invoice_id == InvoiceHeader.id)
        .where(InvoiceFxResult.state == "waiting")
        .order_by(InvoiceFxResult.noted_at)
    )
    return list(dict.fromkeys(rows))


def book_waiting(session: Session, *, now: datetime, account_id: str) -> int:
    """Book what of an account's results can be booked, in the order of its chain; how many.

    Locks the account's head and the house's. What waits for a rate holds up what came after it on the same invoice.
    """
    account = directory.get_account(session, account_id)
    seller = directory.get_seller(session, account.seller_id)
    house_id = directory.house_account(session, seller.id).id
    locked = heads.lock(session, [account_id, house_id])
    invoices = session.scalars(
        select(InvoiceHeader)
        .join(InvoiceFxResult, InvoiceFxResult.invoice_id == InvoiceHeader.id)
        .where(InvoiceFxResult.state == "waiting", InvoiceHeader.billing_account_id == account_id)
        .order_by(InvoiceHeader.id)
        .distinct()
    ).all()
    return sum(_book_invoice(session, now, locked[house_id], header, seller) for header in invoices)


def _book_invoice(session: Session, now: datetime, house: AccountHead, header: InvoiceHeader, seller: Seller) -> int:
    found = find_terms(session, header, seller, now=now)
    if found is None:
        return 0
    terms, currency = found
    standing, booked = Standing(open_minor=header.payable_minor), 0
    for row, transaction in rows_of(session, header.id):
        rate = None
        if row.state == "waiting" and is_money(row):
            rate = _final_rate(session, header.currency, currency, seller, at=transaction.occurred_at, now=now)
            if rate is None:
                break
        event = Event(kind=row.kind, amount_minor=row.amount_minor, value_minor=_worth(row, rate))
        done = exchange_values.step(terms, standing, event)
        standing = done.after
        if row.state == "waiting":
            _book(session, now, house, row, transaction, done, rate, currency)
            booked += 1
    return booked


def find_terms(session: Session, header: InvoiceHeader, seller: Seller, *, now: datetime) -> tuple[Terms, str] | None:
    """The invoice's value at issue and its currency, from the evidence kept with it.

    Where no rate was there at issue, the rate of that day is kept now as evidence; None while there is still none.
    """
    row = session.scalars(
        select(InvoiceRate).where(InvoiceRate.invoice_id == header.id, InvoiceRate.purpose == _PURPOSE)
    ).first()
    if row is None and header.issued_at is not None:
        target = seller.functional_currency
        rate = _final_rate(session, header.currency, target, seller, at=header.issued_at, now=now)
        if rate is None:
            return None
        row = InvoiceRate(
            invoice_id=header.id,
            purpose=_PURPOSE,
            from_currency=header.currency,
            to_currency=target,
            rate_text=exchange.to_text(rate.value),
            rate_on=rate.published_on,
            snapshot_id=rate.snapshot_ids[0],
            second_snapshot_id=(*rate.snapshot_ids, None)[1],
            from_minor=header.payable_minor,
            to_minor=rate.convert(header.payable_minor),
            taken_at=now,
            issued_at=now,
        )
        session.add(row)
        session.flush()  # it is read by whoever comes next in this act
    if row is None:
        return None
    return Terms(payable_minor=header.payable_minor, value_minor=row.to_minor), row.to_currency


def rows_of(session: Session, invoice_id: str) -> Sequence[tuple[InvoiceFxResult, LedgerTransaction]]:
    """What moved what is open of an invoice, in the order of the account's chain; what a note gave back after what it settled."""
    found = session.execute(
        select(InvoiceFxResult, LedgerTransaction)
        .join(LedgerTransaction, LedgerTransaction.id == InvoiceFxResult.transaction_id)
        .where(InvoiceFxResult.invoice_id == invoice_id)
    ).all()
    return sorted(
        ((row, transaction) for row, transaction in found),
        key=lambda each: (each[1].chain_seq, each[0].kind == GIVEN_BACK, each[0].id),
    )


def is_money(row: InvoiceFxResult) -> bool:
    """Whether the worth of what came in is that of its day."""
    return row.kind in ("payment", "dispute") and row.amount_minor > 0


def _worth(row: InvoiceFxResult, rate: Rate | None) -> int | None:
    if not is_money(row):
        return None
    return row.value_minor if rate is None else rate.convert(Fraction(row.amount_minor))


def _final_rate(
    session: Session, currency: str, target: str, seller: Seller, *, at: datetime, now: datetime
) -> Rate | None:
    """The rate of an instant's day that no publication can change any more, or None while one may still come."""
    zone = get_zone(seller.zone)
    on, today = at.astimezone(zone).date(), now.astimezone(zone).date()
    rate = fx_rates.find_rate(session, from_currency=currency, to_currency=target, on=on)
    if rate is None or not rate.legs:
        return None
    if today - on > timedelta(days=fx_rates.STALE_AFTER_DAYS):
        return rate
    return rate if all(_is_past(session, code, on) for code in (currency, target) if code != BASE) else None


def _is_past(session: Session, currency: str, on: date) -> bool:
    """Whether a rate of that day or of a later one is held: days between publications have none of their own."""
    later = select(FxRate.currency).where(FxRate.currency == currency, FxRate.published_on >= on).limit(1)
    return session.scalars(later).first() is not None


def _book(
    session: Session,
    now: datetime,
    house: AccountHead,
    row: InvoiceFxResult,
    transaction: LedgerTransaction,
    done: Step,
    rate: Rate | None,
    currency: str,
) -> None:
    if done.result_minor:
        row.result_transaction_id = _post(session, now, house, row, transaction, done.result_minor, currency)
    row.state, row.currency, row.booked_at = "booked", currency, now
    row.carried_minor, row.value_minor, row.result_minor = done.carried_minor, done.worth_minor, done.result_minor
    if rate is not None:
        row.rate_text, row.rate_on = exchange.to_text(rate.value), rate.published_on
        row.snapshot_id, row.second_snapshot_id = (*rate.snapshot_ids, None)[:2]
    session.flush()  # the next one is posted into the same chain


def _post(
    session: Session,
    now: datetime,
    house: AccountHead,
    row: InvoiceFxResult,
    transaction: LedgerTransaction,
    result_minor: int,
    currency: str,
) -> str:
    sides = ("fx_clearing", "fx_result") if result_minor > 0 else ("fx_result", "fx_clearing")
    return book.post(
        session,
        now=now,
        head=house,
        type="fx_result",
        source_type="invoice_fx_result",
        source_id=row.id,
        entries=[
            Entry(
                kind="fx_result",
                debit=sides[0],
                credit=sides[1],
                amount=Money(minor=abs(result_minor), currency=currency),
                detail={"invoice": row.invoice_id},
            )
        ],
        occurred_at=transaction.occurred_at,
        actor=_ACTOR,
        linked_id=transaction.id,
    ).transaction_id
