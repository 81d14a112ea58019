"""Tables of the books: a row shape in which an unbalanced, cross-tenant or cross-currency entry cannot be written (Law 3)."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Hash, Ident, Instant, Json, Minor, Words, table_args

HOUSE = "house"


class LedgerAccount(Base):
    """A book account. Owner is a billing account's id, or `house`; the name says what it holds (`wallet`, `revenue:compute`).

    The id is readable: `{billing account id}/{name}/{currency}` or `house/{seller code}/{name}/{currency}`.
    """

    __tablename__ = "ledger_accounts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    owner: Mapped[str] = mapped_column(Ident)
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    name: Mapped[str] = mapped_column(Code)
    currency: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("id", "currency", "owner"),
        UniqueConstraint("owner", "seller_id", "name", "currency"),
        CheckConstraint("length(currency) = 3", name="currency"),
        guard=APPEND_ONLY,
    )


class AccountingPeriod(Base):
    """A UTC month of a seller; closed by hand. Posters lock it FOR SHARE, the closer FOR UPDATE."""

    __tablename__ = "accounting_periods"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    month: Mapped[str] = mapped_column(Code)  # "2026-11"
    state: Mapped[str] = mapped_column(Code)
    closed_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("seller_id", "month"), CheckConstraint("state IN ('open', 'closed')", name="state")
    )


class LedgerTransaction(Base):
    """One act in one billing account's chain. Its entries, or what it anchors, are covered by `hash` (Law 4)."""

    __tablename__ = "ledger_transactions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    chain_seq: Mapped[int] = mapped_column(Count)
    type: Mapped[str] = mapped_column(Code)
    source_type: Mapped[str] = mapped_column(Code)
    source_id: Mapped[str] = mapped_column(Code)
    content_hash: Mapped[str] = mapped_column(Hash)  # of what was asked: a repeat with other content is refused
    anchor_hash: Mapped[str | None] = mapped_column(Hash)  # Merkle root of rated lines, or an invoice snapshot's hash
    accounting_period_id: Mapped[str] = mapped_column(ForeignKey("accounting_periods.id"))
    occurred_at: Mapped[datetime] = mapped_column(Instant)
    effective_at: Mapped[datetime] = mapped_column(Instant)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    reverses_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))
    linked_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))
    actor: Mapped[str] = mapped_column(Code)
    memo_hash: Mapped[str | None] = mapped_column(Hash)  # commitment to the row in `ledger_memos`, which may be erased
    correlation_id: Mapped[str | None] = mapped_column(Code)
    entry_count: Mapped[int] = mapped_column(Count)
    prev_hash: Mapped[str] = mapped_column(Hash)
    hash: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(
        UniqueConstraint("billing_account_id", "chain_seq"),
        UniqueConstraint("type", "source_type", "source_id"),
        UniqueConstraint("id", "billing_account_id"),
        UniqueConstraint("reverses_id"),
        CheckConstraint("chain_seq > 0", name="chain_seq"),
        Index("ix_ledger_transactions_correlation_id", "correlation_id"),
        guard=APPEND_ONLY,
    )


class LedgerMemo(Base):
    """Free text about a transaction, outside the hashed bytes: it may be erased with its salt, the chain still holds (Law 4)."""

    __tablename__ = "ledger_memos"

    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"), primary_key=True)
    memo: Mapped[str] = mapped_column(Words)
    salt: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args()


class LedgerEntry(Base):
    """One movement: debit one book account, credit another, the same positive amount and currency."""

    __tablename__ = "ledger_entries"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    transaction_id: Mapped[str] = mapped_column(Ident)
    billing_account_id: Mapped[str] = mapped_column(Ident)
    chain_seq: Mapped[int] = mapped_column(
        Count
    )  # the transaction's: balances read (account, chain, seq) from one index
    seq: Mapped[int] = mapped_column(Count)
    kind: Mapped[str] = mapped_column(Code)
    debit_account_id: Mapped[str] = mapped_column(Ident)
    debit_owner: Mapped[str] = mapped_column(Ident)
    credit_account_id: Mapped[str] = mapped_column(Ident)
    credit_owner: Mapped[str] = mapped_column(Ident)
    amount_minor: Mapped[int] = mapped_column(Minor)
    currency: Mapped[str] = mapped_column(Code)
    detail: Mapped[dict[str, Any]] = mapped_column(Json)  # ids only: charge, invoice, payment

    __table_args__ = table_args(
        UniqueConstraint("transaction_id", "seq"),
        ForeignKeyConstraint(
            ["transaction_id", "billing_account_id"],
            ["ledger_transactions.id", "ledger_transactions.billing_account_id"],
        ),
        ForeignKeyConstraint(
            ["debit_account_id", "currency", "debit_owner"],
            ["ledger_accounts.id", "ledger_accounts.currency", "ledger_accounts.owner"],
        ),
        ForeignKeyConstraint(
            ["credit_account_id", "currency", "credit_owner"],
            ["ledger_accounts.id", "ledger_accounts.currency", "ledger_accounts.owner"],
        ),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint("debit_account_id <> credit_account_id", name="sides"),
        CheckConstraint(f"debit_owner IN ('{HOUSE}', billing_account_id)", name="debit_owner"),
        CheckConstraint(f"credit_owner IN ('{HOUSE}', billing_account_id)", name="credit_owner"),
        Index("ix_ledger_entries_debit", "debit_account_id", "billing_account_id", "chain_seq"),
        Index("ix_ledger_entries_credit", "credit_account_id", "billing_account_id", "chain_seq"),
        guard=APPEND_ONLY,
    )


class BalanceCheckpoint(Base):
    """The sum (credits - debits) of one book account in one chain up to a transaction: a balance is this plus the tail (Law 5).

    Rebuilding writes a higher `revision`, which is the one that counts; the row it replaces stays.
    """

    __tablename__ = "balance_checkpoints"

    ledger_account_id: Mapped[str] = mapped_column(ForeignKey("ledger_accounts.id"), primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    through_chain_seq: Mapped[int] = mapped_column(Count, primary_key=True)
    revision: Mapped[int] = mapped_column(Count, primary_key=True)
    sum_minor: Mapped[int] = mapped_column(Minor)
    recorded_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)


class PromoGrant(Base):
    """Money given, not paid: an amount that may be used until it expires. What is used or expired is read from the entries that name it."""

    __tablename__ = "promo_grants"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    kind: Mapped[str] = mapped_column(Code)
    currency: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    reason: Mapped[str] = mapped_column(Words)
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"), unique=True)
    granted_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("kind IN ('admin_credit', 'promo_grant')", name="kind"),
        CheckConstraint("amount_minor > 0", name="amount"),
        Index("ix_promo_grants_billing_account_id", "billing_account_id", "expires_at"),
        guard=APPEND_ONLY,
    )


class SignedRoot(Base):
    """The signed Merkle root over the heads of all chains at one moment (Law 4); each names the one before it."""

    __tablename__ = "signed_roots"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    seq: Mapped[int] = mapped_column(Count, unique=True)
    previous_hash: Mapped[str] = mapped_column(Hash)
    merkle_root: Mapped[str] = mapped_column(Hash)
    chain_count: Mapped[int] = mapped_column(Count)
    transaction_count: Mapped[int] = mapped_column(Count)
    signed_at: Mapped[datetime] = mapped_column(Instant)
    key_id: Mapped[str] = mapped_column(ForeignKey("signing_keys.id"))
    hash: Mapped[str] = mapped_column(Hash)  # of all the above: what is signed
    signature: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(guard=APPEND_ONLY)


class RootHead(Base):
    """A chain's head under a signed root, where it had moved since the root before; a chain that stood still has no row."""

    __tablename__ = "root_heads"

    root_id: Mapped[str] = mapped_column(ForeignKey("signed_roots.id"), primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    root_seq: Mapped[int] = mapped_column(Count)
    chain_seq: Mapped[int] = mapped_column(Count)
    chain_hash: Mapped[str] = mapped_column(Hash)

    __table_args__ = table_args(
        Index("ix_root_heads_billing_account_id", "billing_account_id", "root_seq"), guard=APPEND_ONLY
    )
