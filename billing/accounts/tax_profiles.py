"""How an account stands to tax: business or consumer, its VAT id, what finance decided about it. Versions are added, never changed."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import countries, heads, names, vat_ids
from billing.accounts.tables import BillingProfile
from billing.accounts.tax_tables import TaxProfile
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

KINDS = ("business", "consumer")
OVERRIDES = ("E", "Z", "K", "G", "O")
_REASON_MAX = 200


@dataclass(frozen=True, kw_only=True)
class OverrideFacts:
    """What finance decides about an account: a category other than the ordinary one, why, by which certificate, on which days.

    K needs the country of delivery; E a certificate and the last day it is good for. Raises Invalid naming the field.
    """

    category: str
    reason: str
    vatex: str | None = None
    certificate: str | None = None
    valid_from: date | None = None
    valid_until: date | None = None
    delivery_country: str | None = None

    def __post_init__(self) -> None:
        if self.category not in OVERRIDES:
            raise Invalid(field="category", value=names.shown(self.category), reason="unknown_tax_category")
        reason = names.require_name(" ".join(self.reason.split()), "reason", max_length=_REASON_MAX)
        object.__setattr__(self, "reason", reason)
        object.__setattr__(self, "certificate", names.find_name(self.certificate, "certificate", max_length=100))
        if self.category == "E" and self.certificate is None:
            raise Invalid(field="certificate", reason="certificate_needed")
        if self.category == "E" and self.valid_until is None:
            raise Invalid(field="valid_until", reason="certificate_end_needed")
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            raise Invalid(field="valid_until", reason="ends_before_it_begins")
        if self.category == "K" and not self.delivery_country:
            raise Invalid(field="delivery_country", reason="delivery_country_needed")
        if self.delivery_country:
            countries.require_country(self.delivery_country, "delivery_country")


def find(session: Session, account_id: str) -> TaxProfile | None:
    """The version in force, or None while nothing was said."""
    return session.scalars(
        select(TaxProfile)
        .where(TaxProfile.billing_account_id == account_id)
        .order_by(TaxProfile.version.desc())
        .limit(1)
    ).first()


def versions(session: Session, account_id: str) -> list[TaxProfile]:
    """All versions, the newest first."""
    query = select(TaxProfile).where(TaxProfile.billing_account_id == account_id)
    return list(session.scalars(query.order_by(TaxProfile.version.desc())))


def kind_of(profile: TaxProfile | None, vat_id: str | None) -> str:
    """Business or consumer: as it was said, otherwise whoever has a VAT id is a business."""
    if profile is not None:
        return profile.customer_kind
    return "business" if vat_id else "consumer"


def change(
    session: Session, *, now: datetime, account_id: str, customer_kind: str, vat_id: str | None, actor: str
) -> TaxProfile:
    """Say whether the account is a business and which VAT id it has; the billing profile bears the same number.

    Locks the account's head. What finance decided stays. Raises NotFound, Invalid for a kind or number that is none.
    """
    heads.lock_one(session, account_id)
    profile = _billing_profile(session, account_id)
    if customer_kind not in KINDS:
        raise Invalid(field="customer_kind", value=names.shown(customer_kind), reason="unknown_customer_kind")
    number = vat_ids.find_vat_id(vat_id, profile.country)
    before = find(session, account_id)
    if before is not None and (before.customer_kind, before.vat_id) == (customer_kind, number):
        return before
    profile.vat_id, profile.updated_at = number, now
    return _add(
        session, now, account_id, before, actor, "tax_profile.change", customer_kind=customer_kind, vat_id=number
    )


def keep_vat_id(session: Session, *, now: datetime, account_id: str, vat_id: str | None, actor: str) -> None:
    """Record the VAT id that a billing profile bears now; whoever gives one is a business. The same one changes nothing."""
    before = find(session, account_id)
    if vat_id == (before.vat_id if before is not None else None):
        return
    kind = "business" if vat_id else kind_of(before, None)
    _add(session, now, account_id, before, actor, "tax_profile.change", customer_kind=kind, vat_id=vat_id)


def override(
    session: Session, *, now: datetime, account_id: str, facts: OverrideFacts | None, actor: str
) -> TaxProfile:
    """Set what finance decided about the account, or take it away with None; whoever calls has checked their right and the code.

    Locks the account's head. Raises NotFound.
    """
    heads.lock_one(session, account_id)
    profile = _billing_profile(session, account_id)
    before = find(session, account_id)
    told: dict[str, object] = {
        "override_category": facts.category if facts else None,
        "override_vatex": facts.vatex if facts else None,
        "override_reason": facts.reason if facts else None,
        "certificate": facts.certificate if facts else None,
        "valid_from": facts.valid_from if facts else None,
        "valid_until": facts.valid_until if facts else None,
        "delivery_country": facts.delivery_country if facts else None,
        "customer_kind": kind_of(before, profile.vat_id),
        "vat_id": profile.vat_id,
    }
    if before is not None and all(getattr(before, name) == value for name, value in told.items()):
        return before
    return _add(session, now, account_id, before, actor, "tax_profile.override", **told)


_KEPT = (
    *("customer_kind", "vat_id", "override_category", "override_vatex", "override_reason"),
    *("certificate", "valid_from", "valid_until", "delivery_country"),
)


def _add(
    session: Session, now: datetime, account_id: str, before: TaxProfile | None, actor: str, act: str, **changed: object
) -> TaxProfile:
    values = {name: getattr(before, name) for name in _KEPT} if before is not None else {}
    row = TaxProfile(
        id=new_id("txp"),
        billing_account_id=account_id,
        version=before.version + 1 if before is not None else 1,
        recorded_at=now,
        recorded_by=actor,
        **values | changed,
    )
    session.add(row)
    audit.record(
        session,
        now=now,
        actor=actor,
        act=act,
        subject_type="billing_account",
        subject_id=account_id,
        billing_account_id=account_id,
        facts={"version": row.version, "kind": row.customer_kind, "override": row.override_category},
    )
    session.flush()  # the next draft reads it
    return row


def _billing_profile(session: Session, account_id: str) -> BillingProfile:
    profile = session.get(BillingProfile, account_id, populate_existing=True)
    if profile is None:
        raise NotFound(account_id=account_id)
    return profile
