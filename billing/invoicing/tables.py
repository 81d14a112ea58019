"""Tables of what we say they owe."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import (
    APPEND_ONLY,
    Base,
    Blob,
    Code,
    Count,
    Day,
    Flag,
    Hash,
    Ident,
    Instant,
    Json,
    Minor,
    Quantity,
    Words,
    table_args,
)

_ISSUED = "OLD.number IS NOT NULL"


class InvoiceHeader(Base):
    """An invoice or credit note. A draft has an id and no number; once issued the row never changes (IV4).

    Settlement (part paid, paid, overdue) is read from `invoice_settlements`, the due date and `invoice_events`.
    """

    __tablename__ = "invoice_headers"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)
    number: Mapped[str | None] = mapped_column(Code, unique=True)
    state: Mapped[str] = mapped_column(Code)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    billing_period_id: Mapped[str | None] = mapped_column(ForeignKey("billing_periods.id"))
    corrects_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_headers.id"))
    replaces_id: Mapped[str | None] = mapped_column(
        ForeignKey("invoice_headers.id")
    )  # the invoice whose charges this one bills again, after it was credited whole
    takes_charges: Mapped[bool] = mapped_column(
        Flag, default=False
    )  # a credit note of charges that come to less than zero, not of lines billed before
    currency: Mapped[str] = mapped_column(Code)
    allowance_minor: Mapped[int] = mapped_column(Minor, default=0)  # taken off before tax: lines - allowances = net
    net_minor: Mapped[int] = mapped_column(Minor)
    tax_minor: Mapped[int] = mapped_column(Minor)
    total_minor: Mapped[int] = mapped_column(Minor)
    prepaid_minor: Mapped[int] = mapped_column(Minor, default=0)  # BT-113: wallet used at issue
    rounding_minor: Mapped[int] = mapped_column(Minor, default=0)  # BT-114: of a gross that is no net plus its VAT
    prices_include_tax: Mapped[bool] = mapped_column(Flag, default=False)
    reason: Mapped[str | None] = mapped_column(Words)
    drafted_at: Mapped[datetime] = mapped_column(Instant)
    review_started_at: Mapped[datetime | None] = mapped_column(Instant)  # in review: someone looks at the draft
    reviewed_by: Mapped[str | None] = mapped_column(Code)
    approved_at: Mapped[datetime | None] = mapped_column(Instant)
    approved_by: Mapped[str | None] = mapped_column(Code)
    issued_at: Mapped[datetime | None] = mapped_column(Instant)
    issued_on: Mapped[date | None] = mapped_column(Day)
    due_on: Mapped[date | None] = mapped_column(Day)
    snapshot: Mapped[dict[str, Any] | None] = mapped_column(
        Json
    )  # all that the document says; a draft's has no number yet
    snapshot_hash: Mapped[str | None] = mapped_column(Hash)
    transaction_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))

    @hybrid_property
    def payable_minor(self) -> int:
        """What it asks for, or gives back: total and rounding (BT-112 + BT-114), before anything settled it."""
        return self.total_minor + self.rounding_minor

    __table_args__ = table_args(
        CheckConstraint("kind IN ('invoice', 'credit_note')", name="kind"),
        CheckConstraint("state IN ('draft', 'approved', 'issued', 'void')", name="state"),
        CheckConstraint("net_minor + tax_minor = total_minor", name="total"),
        CheckConstraint("prepaid_minor >= 0 AND prepaid_minor <= total_minor + rounding_minor", name="prepaid"),
        CheckConstraint("kind = 'credit_note' OR rounding_minor = 0 OR prices_include_tax", name="rounding"),
        CheckConstraint("(state = 'issued') = (number IS NOT NULL)", name="number"),
        CheckConstraint(
            "(number IS NULL) OR (snapshot_hash IS NOT NULL AND transaction_id IS NOT NULL)", name="evidence"
        ),
        CheckConstraint("(kind = 'credit_note') = (corrects_id IS NOT NULL)", name="corrects"),
        Index("ix_invoice_headers_billing_account_id", "billing_account_id", "id"),
        Index("ix_invoice_headers_billing_period_id", "billing_period_id"),
        Index("ix_invoice_headers_due_on", "due_on"),
        Index("ix_invoice_headers_corrects_id", "corrects_id"),
        Index("ix_invoice_headers_replaces_id", "replaces_id", unique=True),
        guard=_ISSUED,
    )


class InvoiceLine(Base):
    """One line; of a draft it may be replaced, of an issued document never (the guard is `issued_at`, set at issue)."""

    __tablename__ = "invoice_lines"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"))
    seq: Mapped[int] = mapped_column(Count)
    charge_id: Mapped[str | None] = mapped_column(ForeignKey("charges.id"))
    contract_id: Mapped[str | None] = mapped_column(
        ForeignKey("commit_contracts.id")
    )  # sold or drawn down by this line
    corrects_line_id: Mapped[str | None] = mapped_column(ForeignKey("invoice_lines.id"))
    sku_code: Mapped[str | None] = mapped_column(Code)
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    description: Mapped[str] = mapped_column(Words)
    quantity_base: Mapped[int | None] = mapped_column(Quantity)
    quantity_text: Mapped[str] = mapped_column(Words)  # decimal, in the unit printed
    unit: Mapped[str] = mapped_column(Words)
    unit_price_text: Mapped[str] = mapped_column(Words)
    amount_minor: Mapped[int] = mapped_column(Minor)
    tax_category: Mapped[str] = mapped_column(Code)
    tax_rate_bp: Mapped[int] = mapped_column(Count)  # basis points: 19 % = 1900
    gross_minor: Mapped[int | None] = mapped_column(Minor)  # what the books hold, where prices include tax
    charged_currency: Mapped[str | None] = mapped_column(Code)  # of its charge, where it was converted
    charged_minor: Mapped[int | None] = mapped_column(Minor)  # what the charge holds in that currency
    issued_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("invoice_id", "seq"),
        CheckConstraint("tax_category IN ('S', 'Z', 'E', 'AE', 'K', 'G', 'O')", name="tax_category"),
        Index("ix_invoice_lines_charge_id", "charge_id"),
        guard="OLD.issued_at IS NOT NULL",
    )


class InvoiceTax(Base):
    """VAT of one category and rate on one document, rounded once per group (BR-CO-17)."""

    __tablename__ = "invoice_taxes"

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"), primary_key=True)
    category: Mapped[str] = mapped_column(Code, primary_key=True)
    rate_bp: Mapped[int] = mapped_column(Count, primary_key=True)
    jurisdiction: Mapped[str] = mapped_column(Code)
    taxable_minor: Mapped[int] = mapped_column(Minor)
    tax_minor: Mapped[int] = mapped_column(Minor)
    reason: Mapped[str | None] = mapped_column(Words)  # BT-120
    vatex: Mapped[str | None] = mapped_column(Code)  # BT-121
    scheme: Mapped[str | None] = mapped_column(Code)
    registration: Mapped[str | None] = mapped_column(Code)  # of the seller, under which it is declared
    issued_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(guard="OLD.issued_at IS NOT NULL")


class InvoiceAllowance(Base):
    """What is taken off a document before tax (BG-20): promo money or a discount, in one VAT group, above zero."""

    __tablename__ = "invoice_allowances"

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Count, primary_key=True)
    kind: Mapped[str] = mapped_column(Code)
    grant_id: Mapped[str | None] = mapped_column(ForeignKey("promo_grants.id"))
    reason: Mapped[str] = mapped_column(Words)
    tax_category: Mapped[str] = mapped_column(Code)
    tax_rate_bp: Mapped[int] = mapped_column(Count)
    amount_minor: Mapped[int] = mapped_column(Minor)
    gross_minor: Mapped[int | None] = mapped_column(Minor)  # what the books hold, where prices include tax
    issued_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("kind IN ('promo', 'discount')", name="kind"),
        CheckConstraint("(kind = 'promo') = (grant_id IS NOT NULL)", name="grant"),
        CheckConstraint("amount_minor > 0 OR (amount_minor = 0 AND gross_minor > 0)", name="amount"),
        guard="OLD.issued_at IS NOT NULL",
    )


class TaxCalculation(Base):
    """What a tax provider was asked and answered about one draft. `basis_hash` says of which lines and parties; facts have the
    rate and jurisdiction of each line."""

    __tablename__ = "tax_calculations"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"))
    provider: Mapped[str] = mapped_column(Code)
    state: Mapped[str] = mapped_column(Code)
    basis_hash: Mapped[str] = mapped_column(Hash)
    reference: Mapped[str | None] = mapped_column(Code)  # the provider's id of its calculation
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    asked_at: Mapped[datetime] = mapped_column(Instant)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("state IN ('asked', 'answered', 'refused')", name="state"),
        CheckConstraint("(state = 'asked') = (answered_at IS NULL)", name="answered"),
        Index("ix_tax_calculations_invoice_id", "invoice_id", "id"),
        guard="OLD.state <> 'asked'",
    )


class InvoiceRate(Base):
    """The exchange rate that a document was made with, and what it turned into what; a draft's are dated and may be taken again.

    `purpose` is lines (charges in another currency), tax (VAT for the seller's tax office, BT-111) or functional (the total in
    the seller's own currency, from which a payment's gain or loss is worked out).
    """

    __tablename__ = "invoice_rates"

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"), primary_key=True)
    purpose: Mapped[str] = mapped_column(Code, primary_key=True)
    from_currency: Mapped[str] = mapped_column(Code, primary_key=True)
    to_currency: Mapped[str] = mapped_column(Code)
    rate_text: Mapped[str] = mapped_column(Code)  # units of to_currency for one of from_currency, exact
    rate_on: Mapped[date] = mapped_column(Day)  # on which it was published
    snapshot_id: Mapped[str] = mapped_column(ForeignKey("billing_fx_rate_snapshots.id"))
    second_snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("billing_fx_rate_snapshots.id"))
    from_minor: Mapped[int] = mapped_column(Minor)
    to_minor: Mapped[int] = mapped_column(Minor)
    taken_at: Mapped[datetime] = mapped_column(Instant)
    issued_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("purpose IN ('lines', 'tax', 'functional')", name="purpose"),
        Index("ix_invoice_rates_snapshot_id", "snapshot_id"),
        guard="OLD.issued_at IS NOT NULL",
    )


class NumberSeries(Base):
    """The next number of one series of one seller: locked in the issuing transaction, so there are no gaps (IV3)."""

    __tablename__ = "number_series"

    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"), primary_key=True)
    series: Mapped[str] = mapped_column(Code, primary_key=True)  # prefix such as "INV-2026-"
    last_number: Mapped[int] = mapped_column(Count)
    last_issued_on: Mapped[date | None] = mapped_column(Day)

    __table_args__ = table_args()


class InvoiceEvent(Base):
    """What happened to a document, by whom: drafted, approved, issued, rendered, sent, voided, paid, credited."""

    __tablename__ = "invoice_events"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"))
    type: Mapped[str] = mapped_column(Code)
    happened_at: Mapped[datetime] = mapped_column(Instant)
    actor: Mapped[str] = mapped_column(Code)
    facts: Mapped[dict[str, Any]] = mapped_column(Json)

    __table_args__ = table_args(Index("ix_invoice_events_invoice_id", "invoice_id", "id"), guard=APPEND_ONLY)


class InvoiceSettlement(Base):
    """Part of an invoice that money or a credit note has settled, each from one ledger transaction; negative when undone."""

    __tablename__ = "invoice_settlements"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"))
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"))
    kind: Mapped[str] = mapped_column(Code)  # wallet, payment, credit_note
    amount_minor: Mapped[int] = mapped_column(Minor)
    settled_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("invoice_id", "transaction_id", "kind"), guard=APPEND_ONLY)


class InvoiceFxResult(Base):
    """What moved what is open of an invoice in another currency than its seller's, and the exchange result of it once it is booked.

    `kind` is the settlement's, or given_back for what a credit note put into the wallet. Values are minor units of `currency`: what
    left the books at the rate of issue, what its money is worth on its day, and the gain or loss that was booked.
    """

    __tablename__ = "invoice_fx_results"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"))
    transaction_id: Mapped[str] = mapped_column(ForeignKey("ledger_transactions.id"))
    kind: Mapped[str] = mapped_column(Code)
    amount_minor: Mapped[int] = mapped_column(Minor)  # of the invoice's currency
    state: Mapped[str] = mapped_column(Code)
    currency: Mapped[str | None] = mapped_column(Code)
    carried_minor: Mapped[int | None] = mapped_column(Minor)
    value_minor: Mapped[int | None] = mapped_column(Minor)
    result_minor: Mapped[int | None] = mapped_column(Minor)
    rate_text: Mapped[str | None] = mapped_column(Code)  # units of `currency` for one of the invoice's, exact
    rate_on: Mapped[date | None] = mapped_column(Day)
    snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("billing_fx_rate_snapshots.id"))
    second_snapshot_id: Mapped[str | None] = mapped_column(ForeignKey("billing_fx_rate_snapshots.id"))
    result_transaction_id: Mapped[str | None] = mapped_column(ForeignKey("ledger_transactions.id"))
    noted_at: Mapped[datetime] = mapped_column(Instant)
    booked_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        UniqueConstraint("invoice_id", "transaction_id", "kind"),
        CheckConstraint("state IN ('waiting', 'booked')", name="state"),
        CheckConstraint(
            "(state = 'waiting') = (result_minor IS NULL) AND (state = 'waiting') = (booked_at IS NULL)"
            " AND (state = 'waiting') = (currency IS NULL)",
            name="booked",
        ),
        CheckConstraint("(result_transaction_id IS NULL) = (result_minor IS NULL OR result_minor = 0)", name="entry"),
        CheckConstraint(
            "kind IN ('wallet', 'payment', 'credit_note', 'write_off', 'dispute', 'given_back')", name="kind"
        ),
        Index(
            "ix_invoice_fx_results_waiting",
            "noted_at",
            sqlite_where=text("state = 'waiting'"),
            postgresql_where=text("state = 'waiting'"),
        ),
        guard="OLD.state <> 'waiting'",
    )


class InvoiceDocument(Base):
    """Rendered bytes, made once after issue and the same for ever."""

    __tablename__ = "invoice_documents"

    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"), primary_key=True)
    format: Mapped[str] = mapped_column(Code, primary_key=True)
    sha256: Mapped[str] = mapped_column(Hash)
    content: Mapped[bytes] = mapped_column(Blob)
    rendered_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(guard=APPEND_ONLY)


class InvoiceBatch(Base):
    """Many documents approved or issued by one decision of one person; a job works through its items."""

    __tablename__ = "invoice_batches"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    period_label: Mapped[str] = mapped_column(Code)
    act: Mapped[str] = mapped_column(Code)
    form_key: Mapped[str] = mapped_column(
        Code, unique=True
    )  # made when the form was rendered: two clicks are one batch
    requested_by: Mapped[str] = mapped_column(Code)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    outlier_reason: Mapped[str | None] = mapped_column(Words)  # why outliers among them are right

    __table_args__ = table_args(CheckConstraint("act IN ('approve', 'issue')", name="act"))


class InvoiceBatchItem(Base):
    """One document of a batch: waiting, done, or refused with the refusal's code and facts."""

    __tablename__ = "invoice_batch_items"

    batch_id: Mapped[str] = mapped_column(ForeignKey("invoice_batches.id"), primary_key=True)
    invoice_id: Mapped[str] = mapped_column(ForeignKey("invoice_headers.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Code)
    refusal_code: Mapped[str | None] = mapped_column(Code)
    refusal_facts: Mapped[dict[str, Any] | None] = mapped_column(Json)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("state IN ('waiting', 'done', 'refused')", name="state"),
        CheckConstraint("(state = 'refused') = (refusal_code IS NOT NULL)", name="refusal"),
        Index("ix_invoice_batch_items_state", "state", "batch_id"),
    )


class InvoiceDryRunRow(Base):
    """One account in a dry run of a month: what would be drafted, why it would be refused, or that it is missing."""

    __tablename__ = "invoice_dry_run_rows"

    work_id: Mapped[str] = mapped_column(ForeignKey("works.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(Count, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    account_code: Mapped[str] = mapped_column(Code)
    account_name: Mapped[str] = mapped_column(Words)
    state: Mapped[str] = mapped_column(Code)
    kind: Mapped[str | None] = mapped_column(Code)  # invoice or credit_note
    currency: Mapped[str | None] = mapped_column(Code)
    line_count: Mapped[int] = mapped_column(Count)
    net_minor: Mapped[int] = mapped_column(Minor)
    tax_minor: Mapped[int] = mapped_column(Minor)
    total_minor: Mapped[int] = mapped_column(Minor)
    before_net_minor: Mapped[int | None] = mapped_column(Minor)  # of the month before, None without one
    finding: Mapped[str | None] = mapped_column(Code)  # look or outlier
    change: Mapped[str | None] = mapped_column(Code)  # risen, fallen, nothing, below_zero
    refusal_code: Mapped[str | None] = mapped_column(Code)
    refusal_facts: Mapped[dict[str, Any] | None] = mapped_column(Json)

    __table_args__ = table_args(
        CheckConstraint("state IN ('ready', 'refused', 'missing')", name="state"),
        CheckConstraint("(state = 'refused') = (refusal_code IS NOT NULL)", name="refusal"),
    )
