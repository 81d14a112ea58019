"""Tables of receipts: what was issued for money that came in, and its rendered bytes."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Blob,
    Code,
    Day,
    Hash,
    Ident,
    Instant,
    Json,
    Minor,
    table_args,
)


class Receipt(Base):
    """One receipt for one ledger transaction that brought money in; `snapshot` is all that it says."""

    __tablename__ = "receipts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    number: Mapped[str] = mapped_column(Code, unique=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    issued_on: Mapped[date] = mapped_column(Day)
    issued_at: Mapped[datetime] = mapped_column(Instant)
    snapshot: Mapped[dict[str, Any]] = mapped_column(Json)
    snapshot_hash: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_receipts_billing_account_id", "billing_account_id", "id"),
        guard=APPEND_ONLY,
    )


class ReceiptDocument(Base):
    """A receipt's rendered bytes, made once and the same for ever."""

    __tablename__ = "receipt_documents"

    receipt_id: Mapped[str] = mapped_column(ForeignKey("receipts.id"), primary_key=True)
    format: Mapped[str] = mapped_column(Code, primary_key=True)
    sha256: Mapped[str] = mapped_column(Hash)
    content: Mapped[bytes] = mapped_column(Blob)
    rendered_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)
