"""The table of bank transfers."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Day, Ident, Instant, Minor, table_args


class BankTransfer(Base):
    """A line of the seller's bank statement that was booked. Who paid is the erasable memo of its ledger transaction.

    A line stands once; after its booking was taken back it may be booked for another account.
    """

    __tablename__ = "bank_transfers"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    bank_account: Mapped[str] = mapped_column(Code)  # the seller's: IBAN or another number, without blanks
    bank_reference: Mapped[str] = mapped_column(Code)  # the bank's own reference of the line
    value_on: Mapped[date] = mapped_column(Day)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    payment_id: Mapped[str] = mapped_column(ForeignKey("payments.id"), unique=True)
    booked_by: Mapped[str] = mapped_column(Code)
    booked_at: Mapped[datetime] = mapped_column(Instant)
    reversed_at: Mapped[datetime | None] = mapped_column(Instant)
    reversed_by: Mapped[str | None] = mapped_column(Code)
    reversal_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))

    __table_args__ = table_args(
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint(
            "(reversed_at IS NULL) = (reversed_by IS NULL) AND (reversed_at IS NULL) = (reversal_id IS NULL)",
            name="reversed",
        ),
        Index(
            "uq_bank_transfers_line",
            "seller_id",
            "bank_account",
            "bank_reference",
            unique=True,
            sqlite_where=text("reversed_at IS NULL"),
            postgresql_where=text("reversed_at IS NULL"),
        ),
        Index("ix_bank_transfers_billing_account_id", "billing_account_id", "id"),
    )
