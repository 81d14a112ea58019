"""Tables of how people prove who they are, and of acts that need two of them.

No secret lies here in plain text: session tokens and recovery codes as hashes, second factors sealed with the portal's key, links
of invitations and resets as rows whose token is derived from that key.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from billing.storage.columns import Base, Code, Count, Hash, Ident, Instant, Json, Words, table_args


class UserSession(Base):
    """One sign-in of one browser. It ends by sign-out, revocation, idleness or age, whichever comes first."""

    __tablename__ = "user_sessions"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    token_hash: Mapped[str] = mapped_column(Hash, unique=True)  # SHA-256 of the browser's token
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    method: Mapped[str] = mapped_column(Code)  # "password", "password+totp", "password+recovery_code"
    created_at: Mapped[datetime] = mapped_column(Instant)
    verified_at: Mapped[datetime] = mapped_column(Instant)  # when the person last proved who they are (step-up)
    last_seen_at: Mapped[datetime] = mapped_column(Instant)  # to the minute: a read must not become a write each time
    idle_limit_s: Mapped[int] = mapped_column(Count)
    expires_at: Mapped[datetime] = mapped_column(Instant)  # the absolute limit
    address: Mapped[str] = mapped_column(Code)
    agent: Mapped[str] = mapped_column(Words)
    ended_at: Mapped[datetime | None] = mapped_column(Instant)
    ended_by: Mapped[str | None] = mapped_column(Code)  # sign_out, revoked, password_change, idle, expired

    __table_args__ = table_args(
        CheckConstraint("(ended_at IS NULL) = (ended_by IS NULL)", name="ended"),
        Index("ix_user_sessions_user_id", "user_id", "id"),
    )


class TotpDevice(Base):
    """A person's second factor (RFC 6238), in force from `confirmed_at`. `secret_sealed` is encrypted with the portal's key."""

    __tablename__ = "totp_devices"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    secret_sealed: Mapped[str] = mapped_column(Code)
    created_at: Mapped[datetime] = mapped_column(Instant)
    confirmed_at: Mapped[datetime | None] = mapped_column(Instant)
    last_used_step: Mapped[int | None] = mapped_column(Count)  # a code is worth something once (RFC 6238, 5.2)

    __table_args__ = table_args()


class RecoveryCode(Base):
    """A way in without the second factor, once."""

    __tablename__ = "recovery_codes"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    code_hash: Mapped[str] = mapped_column(Hash)
    created_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)

    __table_args__ = table_args(UniqueConstraint("user_id", "code_hash"))


class AccessLink(Base):
    """A link sent by e-mail that lets someone in once: an invitation to a tenant or to the staff, or a password reset.

    Its token is derived from the id and the portal's key, so that a copy of the database opens nothing.
    """

    __tablename__ = "access_links"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    purpose: Mapped[str] = mapped_column(Code)
    login: Mapped[str] = mapped_column(Code)  # the address it was sent to
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))  # whose password, or who took the invitation
    tenant_id: Mapped[str | None] = mapped_column(ForeignKey("tenants.id"))
    role: Mapped[str | None] = mapped_column(Code)
    staff_role: Mapped[str | None] = mapped_column(Code)
    created_by: Mapped[str] = mapped_column(Ident)
    created_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    used_at: Mapped[datetime | None] = mapped_column(Instant)
    revoked_at: Mapped[datetime | None] = mapped_column(Instant)
    form_key: Mapped[str | None] = mapped_column(Code)

    __table_args__ = table_args(
        CheckConstraint("purpose IN ('invitation', 'reset')", name="purpose"),
        CheckConstraint("(tenant_id IS NULL) = (role IS NULL)", name="role"),
        CheckConstraint(
            "(purpose = 'invitation') = (tenant_id IS NOT NULL OR staff_role IS NOT NULL)", name="invitation"
        ),
        Index("ix_access_links_login", "login", "id"),
        Index("ix_access_links_tenant_id", "tenant_id", "id"),
        Index("ix_access_links_form_key", "form_key", unique=True),
    )


class Approval(Base):
    """An act that waits for a second person, with what exactly they will allow.

    Approving performs the act in the same transaction, so `approved` means done. A decided row stays as it is.
    """

    __tablename__ = "approvals"

    id: Mapped[str] = mapped_column(Ident, primary_key=True)
    act: Mapped[str] = mapped_column(Code)  # "refund.card", "ledger.reverse"
    subject_type: Mapped[str] = mapped_column(Code)
    subject_id: Mapped[str] = mapped_column(Ident)
    billing_account_id: Mapped[str | None] = mapped_column(ForeignKey("billing_accounts.id"))
    content: Mapped[dict[str, Any]] = mapped_column(Json)  # ids, codes and integers that decide what will happen
    content_hash: Mapped[str] = mapped_column(Hash)
    reason: Mapped[str] = mapped_column(Words)  # the maker's words
    maker: Mapped[str] = mapped_column(Ident)
    requested_at: Mapped[datetime] = mapped_column(Instant)
    expires_at: Mapped[datetime] = mapped_column(Instant)
    form_key: Mapped[str | None] = mapped_column(Code, unique=True)
    state: Mapped[str] = mapped_column(Code)
    checker: Mapped[str | None] = mapped_column(Ident)
    decided_at: Mapped[datetime | None] = mapped_column(Instant)
    note: Mapped[str | None] = mapped_column(Words)  # the checker's words

    __table_args__ = table_args(
        CheckConstraint("state IN ('requested', 'approved', 'rejected', 'withdrawn', 'expired')", name="state"),
        CheckConstraint("(state = 'requested') = (decided_at IS NULL)", name="decided"),
        CheckConstraint("state NOT IN ('approved', 'rejected') OR checker IS NOT NULL", name="checker"),
        CheckConstraint("checker IS NULL OR checker <> maker", name="second_person"),
        Index("ix_approvals_state", "state", "requested_at"),
        Index("ix_approvals_subject", "subject_type", "subject_id"),
        guard="OLD.state <> 'requested'",
    )
