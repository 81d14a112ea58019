"""From the ledger to what was paid: unbilled and charges, charges and document lines, documents and receivable, settlements."""

from typing import Any

from sqlalchemy import case, func, or_, select
from sqlalchemy.orm import Session, aliased

from billing.assurance import streams
from billing.assurance.reconciliation_tally import Scope, Stage, shown
from billing.invoicing.tables import InvoiceHeader, InvoiceLine, InvoiceSettlement
from billing.ledger import balances
from billing.ledger.tables import LedgerAccount, LedgerEntry
from billing.rating.tables import BillingPeriod, Charge

ISSUING_KINDS = ("invoice_issue", "tax", "tax_inclusive", "commit_sale", "fx_conversion")
"""Entry kinds by which a document puts its total on the receivable; every other movement of it settles or undoes."""

_IS_ISSUED = InvoiceHeader.state == "issued"
_BOOKED = func.coalesce(InvoiceLine.gross_minor, InvoiceLine.amount_minor)  # gross where prices include tax
_TURNED = InvoiceHeader.kind == "credit_note"  # of charges of its own: its lines say what is given back


def unbilled_charges(session: Session, stage: Stage, _scope: Scope) -> None:
    """What the ledger holds as unbilled is what the charges hold that no issued document has taken up, by account and currency.

    A balance is of no one month, so that this looks at all of them whatever the scope.
    """
    statement = (
        select(Charge.billing_account_id, Charge.currency, func.sum(Charge.posted_minor), func.count())
        .outerjoin(InvoiceHeader, (InvoiceHeader.id == Charge.draft_id) & _IS_ISSUED)
        .where(InvoiceHeader.id.is_(None))
        .group_by(Charge.billing_account_id, Charge.currency)
    )
    charges: dict[tuple[str, str], int] = {}
    for account_id, currency, minor, rows in session.execute(statement):
        charges[account_id, currency] = int(minor)
        stage.look(rows)
    held = balances.of_accounts(session, None)
    ledger = {(account_id, one.currency): -one.unbilled_minor for account_id, own in held.items() for one in own}
    for account_id, currency in sorted(charges.keys() | ledger.keys()):
        charged, unbilled = charges.get((account_id, currency), 0), ledger.get((account_id, currency), 0)
        stage.look()
        stage.add(currency, charges_minor=charged, unbilled_minor=unbilled)
        if charged != unbilled:
            stage.differ(
                ("billing_account", account_id),
                f"Unbilled stands at {shown(unbilled, currency)}, open charges come to {shown(charged, currency)}",
                account=account_id,
                currency=currency,
                unbilled_minor=unbilled,
                charges_minor=charged,
            )


def charges_lines(session: Session, stage: Stage, scope: Scope) -> None:
    """Each charge that a document took up is exactly one line of it, of its amount and currency, and no line bills another's charge.

    Looks at every taken-up charge and every line of an invoice that names a charge.
    """
    charges = (
        select(
            Charge.id,
            Charge.billing_account_id,
            Charge.currency,
            Charge.posted_minor,
            Charge.draft_id,
            BillingPeriod.label,
            func.count(InvoiceLine.id).label("lines"),
            # A converted line bills what its charge holds in the charge's own currency; checks.conversions looks at the rate.
            func.sum(
                case(
                    (InvoiceLine.charged_minor.is_not(None), InvoiceLine.charged_minor),
                    (_TURNED, -_BOOKED),
                    else_=_BOOKED,
                )
            ).label("billed_minor"),
            func.min(func.coalesce(InvoiceLine.charged_currency, InvoiceHeader.currency)).label("billed_currency"),
            func.min(InvoiceHeader.state).label("state"),
        )
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .outerjoin(InvoiceHeader, InvoiceHeader.id == Charge.draft_id)
        .outerjoin(InvoiceLine, (InvoiceLine.invoice_id == Charge.draft_id) & (InvoiceLine.charge_id == Charge.id))
        .where(Charge.draft_id.is_not(None))
        .group_by(
            Charge.id,
            Charge.billing_account_id,
            Charge.currency,
            Charge.posted_minor,
            Charge.draft_id,
            BillingPeriod.label,
        )
        .order_by(Charge.id)
    )
    for row in streams.stream(session, _of_period(charges, scope)):
        stage.look()
        billed_minor = int(row.billed_minor or 0)
        stage.add(row.currency, charges_minor=row.posted_minor, billed_minor=billed_minor)
        if (row.lines, billed_minor, row.billed_currency) != (1, row.posted_minor, row.currency):
            stage.differ(
                ("charge", row.id),
                f"Charge {row.id} holds {shown(row.posted_minor, row.currency)}, document {row.draft_id} bills "
                f"{shown(billed_minor, row.billed_currency or row.currency)} of it in {row.lines} lines",
                account=row.billing_account_id,
                currency=row.currency,
                period=row.label,
                charge_minor=row.posted_minor,
                billed_minor=billed_minor,
                invoice_id=row.draft_id,
            )
    again = aliased(InvoiceHeader)
    strays = (
        select(
            InvoiceLine.id,
            InvoiceLine.amount_minor,
            InvoiceLine.invoice_id,
            InvoiceLine.charge_id,
            Charge.draft_id,
            InvoiceHeader.currency,
            InvoiceHeader.billing_account_id,
            BillingPeriod.label,
        )
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceLine.invoice_id)
        .join(Charge, Charge.id == InvoiceLine.charge_id)
        .join(BillingPeriod, BillingPeriod.id == Charge.billing_period_id)
        .outerjoin(again, again.replaces_id == InvoiceHeader.id)
        .where(
            (InvoiceHeader.kind == "invoice") | InvoiceHeader.takes_charges,
            InvoiceHeader.state != "void",
            again.id.is_(None),  # its charges belong to the invoice that billed them again
            or_(Charge.draft_id.is_(None), Charge.draft_id != InvoiceLine.invoice_id),
        )
        .order_by(InvoiceLine.id)
    )
    for row in streams.stream(session, _of_period(strays, scope)):
        stage.differ(
            ("invoice_line", row.id),
            f"Line {row.id} bills {shown(row.amount_minor, row.currency)} of charge {row.charge_id}, which belongs to "
            f"{row.draft_id or 'no document'}",
            account=row.billing_account_id,
            currency=row.currency,
            period=row.label,
            billed_minor=row.amount_minor,
            charge_id=row.charge_id,
            invoice_id=row.invoice_id,
        )


def documents_receivable(session: Session, stage: Stage, _scope: Scope) -> None:
    """What each issued document says in all is what its ledger transaction put on the receivable (a credit note: took off what is
    owed), and what invoices have open is what the account owes in the ledger.

    Looks at every issued document and at every account's receivable, whatever the scope: a balance is of no one month.
    """
    owed = _to_tenant()
    statement = (
        select(
            InvoiceHeader.id,
            InvoiceHeader.number,
            InvoiceHeader.kind,
            InvoiceHeader.billing_account_id,
            InvoiceHeader.currency,
            InvoiceHeader.total_minor,
            InvoiceHeader.rounding_minor,
            InvoiceHeader.transaction_id,
            BillingPeriod.label,
            func.coalesce(func.sum(owed), 0).label("moved_minor"),
        )
        .outerjoin(BillingPeriod, BillingPeriod.id == InvoiceHeader.billing_period_id)
        .outerjoin(LedgerEntry, LedgerEntry.transaction_id == InvoiceHeader.transaction_id)
        .where(_IS_ISSUED)
        .group_by(
            InvoiceHeader.id,
            InvoiceHeader.number,
            InvoiceHeader.kind,
            InvoiceHeader.billing_account_id,
            InvoiceHeader.currency,
            InvoiceHeader.total_minor,
            InvoiceHeader.rounding_minor,
            InvoiceHeader.transaction_id,
            BillingPeriod.label,
        )
        .order_by(InvoiceHeader.id)
    )
    for row in streams.stream(session, statement):
        stage.look()
        payable_minor = row.total_minor + row.rounding_minor
        wanted = payable_minor if row.kind == "invoice" else -payable_minor
        moved = -int(row.moved_minor)
        stage.add(row.currency, documents_minor=wanted, ledger_minor=moved)
        if wanted != moved:
            stage.differ(
                ("invoice", row.id),
                f"Document {row.number} says {shown(wanted, row.currency)}, the ledger holds {shown(moved, row.currency)} of it",
                account=row.billing_account_id,
                currency=row.currency,
                period=row.label,
                document_minor=wanted,
                ledger_minor=moved,
                transaction_id=row.transaction_id,
            )
    _compare_open(session, stage)


def _to_tenant() -> Any:
    """Credits - debits of an entry on what the tenant owes: the receivable, for a credit note the wallet too; what the wallet paid at
    issue is a settlement."""
    is_credit_note = InvoiceHeader.kind == "credit_note"

    def sign(account_id: Any) -> Any:
        on_receivable = account_id.contains("/receivable/")
        on_wallet = account_id.contains("/wallet/") & is_credit_note
        return case((on_receivable | on_wallet, 1), else_=0)

    moved = (sign(LedgerEntry.credit_account_id) - sign(LedgerEntry.debit_account_id)) * LedgerEntry.amount_minor
    return case((LedgerEntry.kind == "wallet_apply", 0), else_=moved)


def _compare_open(session: Session, stage: Stage) -> None:
    is_invoice = (InvoiceHeader.kind == "invoice", _IS_ISSUED)
    by_account = (InvoiceHeader.billing_account_id, InvoiceHeader.currency)
    billed = {
        (account_id, currency): int(minor)
        for account_id, currency, minor in session.execute(
            select(*by_account, func.sum(InvoiceHeader.payable_minor)).where(*is_invoice).group_by(*by_account)
        )
    }
    settled = {
        (account_id, currency): int(minor)
        for account_id, currency, minor in session.execute(
            select(*by_account, func.sum(InvoiceSettlement.amount_minor))
            .join(InvoiceSettlement, InvoiceSettlement.invoice_id == InvoiceHeader.id)
            .where(*is_invoice)
            .group_by(*by_account)
        )
    }
    held = balances.of_accounts(session, None)
    ledger = {(account_id, one.currency): -one.receivable_minor for account_id, own in held.items() for one in own}
    for key in sorted(billed.keys() | ledger.keys()):
        account_id, currency = key
        open_minor = billed.get(key, 0) - settled.get(key, 0)
        stage.look()
        if open_minor != ledger.get(key, 0):
            stage.differ(
                ("billing_account", account_id),
                f"Invoices have {shown(open_minor, currency)} open, the receivable stands at "
                f"{shown(ledger.get(key, 0), currency)}",
                account=account_id,
                currency=currency,
                open_minor=open_minor,
                receivable_minor=ledger.get(key, 0),
            )


def settlements(session: Session, stage: Stage, _scope: Scope) -> None:
    """What each ledger transaction took off the receivable, other than by a document's own total, is what was settled by it.

    Looks at every settlement and at every such transaction, whatever the scope.
    """
    on_receivable = select(LedgerAccount.id).where(LedgerAccount.name == "receivable")
    is_credit = LedgerEntry.credit_account_id.in_(on_receivable)
    is_debit = LedgerEntry.debit_account_id.in_(on_receivable)
    moved = (
        select(
            LedgerEntry.transaction_id,
            LedgerEntry.currency,
            func.sum(case((is_credit, LedgerEntry.amount_minor), else_=-LedgerEntry.amount_minor)).label("minor"),
            func.count().label("rows"),
            func.min(LedgerEntry.billing_account_id).label("account_id"),
        )
        .where(or_(is_credit, is_debit), LedgerEntry.kind.not_in(ISSUING_KINDS))
        .group_by(LedgerEntry.transaction_id, LedgerEntry.currency)
        .order_by(LedgerEntry.transaction_id, LedgerEntry.currency)
    )
    settled = (
        select(
            InvoiceSettlement.transaction_id,
            InvoiceHeader.currency,
            func.sum(InvoiceSettlement.amount_minor).label("minor"),
            func.count().label("rows"),
            func.min(InvoiceHeader.billing_account_id).label("account_id"),
        )
        .join(InvoiceHeader, InvoiceHeader.id == InvoiceSettlement.invoice_id)
        .group_by(InvoiceSettlement.transaction_id, InvoiceHeader.currency)
        .order_by(InvoiceSettlement.transaction_id, InvoiceHeader.currency)
    )
    for (transaction_id, currency), said, booked in streams.beside(
        streams.stream(session, settled), streams.stream(session, moved), lambda row: (row[0], row[1])
    ):
        settled_minor = int(said.minor) if said is not None else 0
        ledger_minor = int(booked.minor) if booked is not None else 0
        stage.look(sum(side.rows for side in (said, booked) if side is not None))
        stage.add(currency, settled_minor=settled_minor, ledger_minor=ledger_minor)
        if settled_minor != ledger_minor:
            stage.differ(
                ("ledger_transaction", transaction_id),
                f"Ledger transaction {transaction_id} took {shown(ledger_minor, currency)} off the receivable, "
                f"settlements say {shown(settled_minor, currency)}",
                account=(said or booked).account_id,
                currency=currency,
                settled_minor=settled_minor,
                ledger_minor=ledger_minor,
            )


def _of_period(statement: Any, scope: Scope) -> Any:
    return statement if scope.period_label is None else statement.where(BillingPeriod.label == scope.period_label)
