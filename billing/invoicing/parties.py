"""Who the document is from and to, as the master data says it today."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.orm import Session

from billing.accounts.tables import BillingAccount, BillingProfile, Seller
from billing.invoicing.documents.model import Party
from billing.invoicing.errors import ProfileIncomplete
from billing.kernel.clock import get_zone

_NEEDED = ("legal_name", "street", "city", "country")


def get_profile(session: Session, account: BillingAccount) -> BillingProfile:
    """The account's billing profile. Raises ProfileIncomplete without one."""
    profile = session.get(BillingProfile, account.id, populate_existing=True)
    if profile is None:
        raise ProfileIncomplete(account=account.code, missing="profile")
    return profile


def of_seller(seller: Seller) -> Party:
    """The seller as a document names it."""
    return Party(
        name=seller.legal_name,
        street=seller.street,
        city=seller.city,
        postcode=seller.postcode,
        country=seller.country,
        vat_id=seller.vat_id,
        email=seller.email,
        legal_id=seller.legal_id,
        tax_number=seller.tax_number,
        phone=seller.phone,
    )


def of_buyer(profile: BillingProfile) -> Party:
    """The buyer as a document names it."""
    return Party(
        name=profile.legal_name,
        street=profile.street,
        city=profile.city,
        postcode=profile.postcode,
        country=profile.country,
        vat_id=profile.vat_id,
        email=profile.email,
    )


def stated(seller: Seller, profile: BillingProfile) -> dict[str, Any]:
    """What a document copies of the master data, by the document's own names; language and paper are the buyer's before the
    seller's."""
    return {
        "seller": of_seller(seller),
        "buyer": of_buyer(profile),
        "purchase_order": profile.purchase_order,
        "buyer_reference": profile.buyer_reference,
        "bank_account": seller.bank_account,
        "bank_name": seller.bank_name,
        "bic": seller.bic,
        "footer": seller.footer,
        "logo_sha256": seller.logo_sha256,
        "language": profile.language or seller.language,
        "page_size": profile.page_size or seller.page_size,
    }


def require_complete(account: BillingAccount, profile: BillingProfile, seller: Seller) -> None:
    """Refuse parties that an invoice may not be issued with (Directive 2006/112 article 226). Raises ProfileIncomplete."""
    missing = [name for name in _NEEDED if not str(getattr(profile, name) or "").strip()]
    missing += [f"seller_{name}" for name in _NEEDED if not str(getattr(seller, name) or "").strip()]
    if missing:
        raise ProfileIncomplete(account=account.code, missing=", ".join(missing))


def last_day(end_at: datetime, zone: str) -> date:
    """The last calendar day, in a zone, of a window that ends at `end_at`: the tax point of what it bills."""
    return (end_at - timedelta(microseconds=1)).astimezone(get_zone(zone)).date()
