"""What an invoice says about the buyer."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import countries, names, tax_profiles, vat_ids
from billing.accounts.tables import BillingProfile
from billing.kernel.errors import Invalid, NotFound
from billing.storage import audit

_ADDRESS_MAX = 200
LANGUAGES = ("en", "de", "fr")
PAGE_SIZES = ("A4", "letter")


@dataclass(frozen=True, kw_only=True)
class ProfileFacts:
    """The buyer's particulars, cleaned: a profile that was built is complete. Raises Invalid naming the field."""

    legal_name: str
    street: str
    city: str
    postcode: str
    country: str
    vat_id: str | None = None
    email: str | None = None
    purchase_order: str | None = None
    buyer_reference: str | None = None
    language: str | None = None  # of documents; None: the seller's
    page_size: str | None = None

    def __post_init__(self) -> None:
        for field in ("legal_name", "street", "city"):
            object.__setattr__(self, field, names.require_name(getattr(self, field), field, max_length=_ADDRESS_MAX))
        object.__setattr__(self, "postcode", names.require_name(self.postcode, "postcode", max_length=20))
        countries.require_country(self.country)
        object.__setattr__(self, "vat_id", vat_ids.find_vat_id(self.vat_id, self.country))
        object.__setattr__(
            self, "purchase_order", names.find_name(self.purchase_order, "purchase_order", max_length=100)
        )
        reference = names.find_name(self.buyer_reference, "buyer_reference", max_length=100)
        object.__setattr__(self, "buyer_reference", reference)
        if self.language is not None and self.language not in LANGUAGES:
            raise Invalid(field="language", value=names.shown(self.language), reason="unknown_language")
        if self.page_size is not None and self.page_size not in PAGE_SIZES:
            raise Invalid(field="page_size", value=names.shown(self.page_size), reason="unknown_page_size")
        if self.email is not None:
            object.__setattr__(self, "email", names.require_email(self.email) if self.email.strip() else None)


def get_profile(session: Session, account_id: str) -> BillingProfile:
    """The account's profile. Raises NotFound (the house has none)."""
    profile = session.scalar(select(BillingProfile).where(BillingProfile.billing_account_id == account_id))
    if profile is None:
        raise NotFound(account_id=account_id)
    return profile


def update_profile(
    session: Session, *, now: datetime, account_id: str, facts: ProfileFacts, actor: str = "system"
) -> BillingProfile:
    """Replace the profile. Documents that were issued keep what they copied."""
    profile = get_profile(session, account_id)
    for field, value in vars(facts).items():
        setattr(profile, field, value)
    profile.updated_at = now
    tax_profiles.keep_vat_id(session, now=now, account_id=account_id, vat_id=profile.vat_id, actor=actor)
    audit.record(
        session,
        now=now,
        actor=actor,
        act="profile.update",
        subject_type="billing_account",
        subject_id=account_id,
        billing_account_id=account_id,
    )
    session.flush()  # a form's error must show here, not at its commit
    return profile
