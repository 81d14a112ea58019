"""Tables of how accounts and sellers stand to VAT. Facts are added, dated and signed by who recorded them; old ones stay."""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Code, Count, Day, Ident, Instant, Words, table_args


class TaxProfile(Base):
    """One version of an account's tax profile; the newest is in force.

    `vat_id` is the one that the billing profile bore then. An override says that its supplies are exempt, zero-rated or of another
    treatment, by which certificate and on which days.
    """

    __tablename__ = "billing_tax_profiles"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    version: Mapped[int] = mapped_column(Count)
    customer_kind: Mapped[str] = mapped_column(Code)
    vat_id: Mapped[str | None] = mapped_column(Code)
    override_category: Mapped[str | None] = mapped_column(Code)  # UNCL 5305: Z, E, K, G, O
    override_vatex: Mapped[str | None] = mapped_column(Code)
    override_reason: Mapped[str | None] = mapped_column(Words)
    certificate: Mapped[str | None] = mapped_column(Words)
    valid_from: Mapped[date | None] = mapped_column(Day)
    valid_until: Mapped[date | None] = mapped_column(Day)  # last day
    delivery_country: Mapped[str | None] = mapped_column(Code)  # BT-80, for K
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    recorded_by: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("customer_kind IN ('business', 'consumer')", name="customer_kind"),
        CheckConstraint(
            "override_category IS NULL OR override_category IN ('Z', 'E', 'K', 'G', 'O')", name="override_category"
        ),
        UniqueConstraint("billing_account_id", "version"),
        guard=APPEND_ONLY,
    )


class VatIdConsultation(Base):
    """What was found about a VAT id: by its form alone, by VIES, or by an operator's own look; an answer never changes."""

    __tablename__ = "vat_id_consultations"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    vat_id: Mapped[str] = mapped_column(Code)
    method: Mapped[str] = mapped_column(Code)
    outcome: Mapped[str] = mapped_column(Code)
    reference: Mapped[str | None] = mapped_column(Code)  # the register's own number for the consultation
    name: Mapped[str | None] = mapped_column(Words)
    address: Mapped[str | None] = mapped_column(Words)
    reason: Mapped[str | None] = mapped_column(Words)  # why an operator accepted it, or what the register answered
    requested_at: Mapped[datetime] = mapped_column(Instant)
    requested_by: Mapped[str] = mapped_column(Code)
    answered_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("method IN ('format', 'vies', 'manual')", name="method"),
        CheckConstraint("outcome IN ('asked', 'valid', 'invalid', 'unavailable')", name="outcome"),
        CheckConstraint("(outcome = 'asked') = (answered_at IS NULL)", name="answered"),
        Index("ix_vat_id_consultations_billing_account_id", "billing_account_id", "vat_id", "id"),
        guard="OLD.outcome <> 'asked'",
    )


class SellerRegistration(Base):
    """Where a seller is registered: for VAT in a country, for the union one stop shop (its country is the member state of
    identification), or as a small business that charges none. Ended once, by its last day."""

    __tablename__ = "seller_registrations"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    scheme: Mapped[str] = mapped_column(Code)
    country: Mapped[str] = mapped_column(Code)
    number: Mapped[str | None] = mapped_column(Code)
    valid_from: Mapped[date] = mapped_column(Day)
    valid_until: Mapped[date | None] = mapped_column(Day)  # last day
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    recorded_by: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("scheme IN ('vat', 'oss', 'small_business')", name="scheme"),
        Index("ix_seller_registrations_seller_id", "seller_id", "scheme"),
        guard="OLD.valid_until IS NOT NULL",
    )


class ManualRate(Base):
    """A rate that two people entered for a country whose rates we do not hold; None ends what was charged there."""

    __tablename__ = "tax_manual_rates"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    country: Mapped[str] = mapped_column(Code)
    tax_name: Mapped[str] = mapped_column(Words)  # as the country calls it: VAT, GST
    rate_bp: Mapped[int | None] = mapped_column(Count)
    registration: Mapped[str] = mapped_column(Code)
    valid_from: Mapped[date] = mapped_column(Day)
    approval_id: Mapped[str] = mapped_column(Ident)
    recorded_at: Mapped[datetime] = mapped_column(Instant)
    recorded_by: Mapped[str] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("rate_bp IS NULL OR (rate_bp >= 0 AND rate_bp <= 10000)", name="rate"),
        Index("ix_tax_manual_rates_seller_id", "seller_id", "country"),
        guard=APPEND_ONLY,
    )
