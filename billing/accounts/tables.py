"""Tables of who is billed, by whom, and who may look. How people prove who they are is in `access_tables`."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import APPEND_ONLY, Base, Blob, Code, Count, Flag, Hash, Ident, Instant, Words, table_args


class Seller(Base):
    """A legal entity that issues invoices; number series, tax and the functional currency are its own."""

    __tablename__ = "sellers"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code, unique=True)
    legal_name: Mapped[str] = mapped_column(Words)
    street: Mapped[str] = mapped_column(Words)
    city: Mapped[str] = mapped_column(Words)
    postcode: Mapped[str] = mapped_column(Words)
    country: Mapped[str] = mapped_column(Code)
    vat_id: Mapped[str | None] = mapped_column(Code)
    email: Mapped[str] = mapped_column(Words)
    bank_account: Mapped[str | None] = mapped_column(Code)  # IBAN printed on invoices
    functional_currency: Mapped[str] = mapped_column(Code)
    tax_currency: Mapped[str | None] = mapped_column(Code)  # of its tax office (BT-6); None: the functional currency
    zone: Mapped[str] = mapped_column(Code)
    invoice_prefix: Mapped[str] = mapped_column(Code)
    credit_note_prefix: Mapped[str] = mapped_column(Code)
    payment_terms_days: Mapped[int] = mapped_column(Count)
    tax_provider: Mapped[str] = mapped_column(Code, default="own")  # who works out its taxes
    vat_check: Mapped[str] = mapped_column(Code, default="format")  # how VAT ids of its buyers are looked at
    tax_evidence_days: Mapped[int] = mapped_column(Count, default=90)  # how old that may be when an invoice is issued
    grace_hours: Mapped[int] = mapped_column(Count, default=0)  # after a month's end, for late usage, before its draft
    created_at: Mapped[datetime] = mapped_column(Instant)
    legal_id: Mapped[str | None] = mapped_column(Words)  # BT-30: number in the register of companies
    tax_number: Mapped[str | None] = mapped_column(Words)  # BT-32: local tax number
    phone: Mapped[str | None] = mapped_column(Words)
    website: Mapped[str | None] = mapped_column(Words)
    bank_name: Mapped[str | None] = mapped_column(Words)
    bic: Mapped[str | None] = mapped_column(Code)
    footer: Mapped[str | None] = mapped_column(Words)  # what the law of its country asks at the foot of a document
    language: Mapped[str] = mapped_column(Code, default="en")  # of documents, where the account has none of its own
    page_size: Mapped[str] = mapped_column(Code, default="A4")  # A4 or letter
    receipt_prefix: Mapped[str] = mapped_column(Code, default="REC-")
    logo_sha256: Mapped[str | None] = mapped_column(Hash)

    __table_args__ = table_args()


class SellerLogo(Base):
    """A logo as documents print it, by the SHA-256 of its bytes: a document of ten years ago still finds its own."""

    __tablename__ = "seller_logos"

    sha256: Mapped[str] = mapped_column(Hash, primary_key=True)
    media_type: Mapped[str] = mapped_column(Code)
    width_px: Mapped[int] = mapped_column(Count)
    height_px: Mapped[int] = mapped_column(Count)
    content: Mapped[bytes] = mapped_column(Blob)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("media_type IN ('image/png', 'image/jpeg')", name="media_type"), guard=APPEND_ONLY
    )


class Tenant(Base):
    """A customer organisation: owns users, projects and usage."""

    __tablename__ = "tenants"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code, unique=True)
    name: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args()


class BillingAccount(Base):
    """The party that is billed: the key of ledger, chain and invoices. Kind `house` is a seller's own chain."""

    __tablename__ = "billing_accounts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    code: Mapped[str] = mapped_column(Code, unique=True)
    name: Mapped[str] = mapped_column(Words)
    kind: Mapped[str] = mapped_column(Code)
    tenant_id: Mapped[str | None] = mapped_column(ForeignKey("tenants.id"))
    seller_id: Mapped[str] = mapped_column(ForeignKey("sellers.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    currency: Mapped[str] = mapped_column(Code)  # in which it is priced, and in which its wallet is
    invoice_currency: Mapped[str | None] = mapped_column(Code)  # of its invoices; None: the one it is priced in
    zone: Mapped[str] = mapped_column(Code)
    policy: Mapped[str] = mapped_column(Code)
    prices_include_tax: Mapped[bool] = mapped_column(Flag, default=False)  # from its opening on, for ever
    payment_terms_days: Mapped[int | None] = mapped_column(Count)  # None: the seller's
    legacy_customer_id: Mapped[str | None] = mapped_column(Code)  # the payment provider's, as an older system kept it
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint("kind IN ('tenant', 'reseller', 'end_customer', 'house')", name="kind"),
        CheckConstraint("policy IN ('prepaid', 'postpaid')", name="policy"),
        CheckConstraint("(kind = 'house') = (tenant_id IS NULL)", name="tenant"),
        Index("ix_billing_accounts_tenant_id", "tenant_id"),
    )


class BillingProfile(Base):
    """What an invoice says about the buyer; one row per billing account, copied into each document at issue."""

    __tablename__ = "billing_profiles"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    legal_name: Mapped[str] = mapped_column(Words)
    street: Mapped[str] = mapped_column(Words)
    city: Mapped[str] = mapped_column(Words)
    postcode: Mapped[str] = mapped_column(Words)
    country: Mapped[str] = mapped_column(Code)
    vat_id: Mapped[str | None] = mapped_column(Code)
    email: Mapped[str | None] = mapped_column(Words)
    purchase_order: Mapped[str | None] = mapped_column(Words)
    updated_at: Mapped[datetime] = mapped_column(Instant)
    buyer_reference: Mapped[str | None] = mapped_column(Words)  # BT-10, such as a Leitweg-ID
    language: Mapped[str | None] = mapped_column(Code)  # of documents; None: the seller's
    page_size: Mapped[str | None] = mapped_column(Code)  # A4 or letter; None: the seller's

    __table_args__ = table_args()


class DocumentRecipient(Base):
    """An address that gets an account's documents beside its people, once whoever reads it has confirmed that.

    The token of its link is derived from the id and the portal's key, as that of an access link.
    """

    __tablename__ = "document_recipients"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    email: Mapped[str] = mapped_column(Code)
    created_by: Mapped[str] = mapped_column(Ident)
    created_at: Mapped[datetime] = mapped_column(Instant)
    asked_at: Mapped[datetime] = mapped_column(Instant)  # when the link was last sent
    verified_at: Mapped[datetime | None] = mapped_column(Instant)
    removed_at: Mapped[datetime | None] = mapped_column(Instant)
    removed_by: Mapped[str | None] = mapped_column(Code)  # a user, or "recipient"

    __table_args__ = table_args(
        CheckConstraint("(removed_at IS NULL) = (removed_by IS NULL)", name="removed"),
        Index("ix_document_recipients_billing_account_id", "billing_account_id", "email"),
    )


class AccountHead(Base):
    """The lock of one billing account, and the numbers its records take under that lock.

    Everything of an account is written while this row is locked, so `usage_seq`, `line_seq` and `chain_seq` rise without gaps in
    the order of commit. `chain_seq` and `chain_hash` are a cache of the ledger's last transaction, checked against it.
    """

    __tablename__ = "account_heads"

    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"), primary_key=True)
    usage_seq: Mapped[int] = mapped_column(Count, default=0)  # last usage record taken in
    rated_usage_seq: Mapped[int] = mapped_column(Count, default=0)  # last usage record that rating has looked at
    matched_usage_seq: Mapped[int] = mapped_column(
        Count, default=0
    )  # last one matched with reservations, where there are any
    line_seq: Mapped[int] = mapped_column(Count, default=0)  # last rated line
    posted_line_seq: Mapped[int] = mapped_column(Count, default=0)  # last rated line brought into the ledger
    chain_seq: Mapped[int] = mapped_column(Count, default=0)  # last ledger transaction
    chain_hash: Mapped[str] = mapped_column(Hash, default="0" * 64)

    __table_args__ = table_args()


class Project(Base):
    """A part of a tenant's work that usage is attributed to."""

    __tablename__ = "projects"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    code: Mapped[str] = mapped_column(Code)
    name: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("billing_account_id", "code"))


class Member(Base):
    """An opaque submitter of usage. `handle` is what the source calls the person; usage rows hold only the id."""

    __tablename__ = "members"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    billing_account_id: Mapped[str] = mapped_column(ForeignKey("billing_accounts.id"))
    handle: Mapped[str] = mapped_column(Words)
    created_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("billing_account_id", "handle"))


class User(Base):
    """Someone who signs in. Staff have a `staff_role`; tenant users have memberships."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    login: Mapped[str] = mapped_column(Code, unique=True)  # e-mail address, lower case
    name: Mapped[str] = mapped_column(Words)
    password_hash: Mapped[str] = mapped_column(Words)
    staff_role: Mapped[str | None] = mapped_column(Code)
    is_disabled: Mapped[bool] = mapped_column(Flag, default=False)
    session_epoch: Mapped[int] = mapped_column(Count, default=0)  # retired: a sign-in is a row of user_sessions now
    created_at: Mapped[datetime] = mapped_column(Instant)
    locale: Mapped[str | None] = mapped_column(Code)  # how numbers and dates are written: en, de, fr, ja
    password_changed_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(
        CheckConstraint(
            "staff_role IS NULL OR staff_role IN ('viewer', 'maker', 'approver', 'admin')", name="staff_role"
        )
    )


class Membership(Base):
    """A user's role in one tenant."""

    __tablename__ = "memberships"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    role: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime | None] = mapped_column(Instant)  # since when they belong to it

    __table_args__ = table_args(
        CheckConstraint("role IN ('owner', 'billing', 'viewer')", name="role"),
        Index("ix_memberships_tenant_id", "tenant_id"),
    )


class ApiKey(Base):
    """A machine's key: only its hash is kept. Without a tenant it is a service key, which may name any account it lists."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    tenant_id: Mapped[str | None] = mapped_column(ForeignKey("tenants.id"))
    label: Mapped[str] = mapped_column(Words)
    prefix: Mapped[str] = mapped_column(Code, unique=True)
    key_hash: Mapped[str] = mapped_column(Hash)
    scopes: Mapped[str] = mapped_column(Code)  # space separated, such as "usage.write billing.read"
    created_at: Mapped[datetime] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    expires_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_at: Mapped[datetime | None] = mapped_column(Instant)  # to the hour: a read must not become a write
    created_by: Mapped[str | None] = mapped_column(Ident)
    form_key: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        Index("ix_api_keys_tenant_id", "tenant_id"), Index("ix_api_keys_form_key", "form_key", unique=True)
    )


class ApiKeyTenant(Base):
    """A tenant that a service key may name."""

    __tablename__ = "api_key_tenants"

    key_id: Mapped[str] = mapped_column(ForeignKey("api_keys.id"), primary_key=True)
    tenant_id: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)

    __table_args__ = table_args()


class SignInAttempt(Base):
    """Failed sign-ins per login and address, so that guessing is slowed on every process alike."""

    __tablename__ = "sign_in_attempts"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    bucket: Mapped[str] = mapped_column(Code)  # "login:<sha256>" or "address:<ip>"
    failed_at: Mapped[datetime] = mapped_column(Instant)

    __table_args__ = table_args(Index("ix_sign_in_attempts_bucket", "bucket", "failed_at"))
