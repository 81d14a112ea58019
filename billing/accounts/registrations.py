"""Where sellers are registered for tax: VAT numbers of other countries, the one stop shop, small business. Dated, each ended once."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import countries, names, vat_ids
from billing.accounts.tables import Seller
from billing.accounts.tax_tables import SellerRegistration
from billing.kernel.errors import Conflict, Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit, locks

SCHEMES = ("vat", "oss", "small_business")
PROVIDERS = ("own", "stripe")
CHECKS = ("format", "vies")


@dataclass(frozen=True, kw_only=True)
class RegistrationFacts:
    """A registration to be recorded. Raises Invalid naming the field."""

    scheme: str
    country: str
    number: str | None
    valid_from: date

    def __post_init__(self) -> None:
        if self.scheme not in SCHEMES:
            raise Invalid(field="scheme", value=names.shown(self.scheme), reason="unknown_scheme")
        countries.require_country(self.country)
        object.__setattr__(self, "number", vat_ids.find_vat_id(self.number, self.country))
        if self.number is None and self.scheme != "small_business":
            raise Invalid(field="number", reason="registration_number_needed")


def list_of(session: Session, seller_id: str) -> list[SellerRegistration]:
    """All registrations of a seller, in the order of their first days."""
    query = select(SellerRegistration).where(SellerRegistration.seller_id == seller_id)
    return list(session.scalars(query.order_by(SellerRegistration.valid_from, SellerRegistration.id)))


def add(session: Session, *, now: datetime, seller: Seller, facts: RegistrationFacts, actor: str) -> SellerRegistration:
    """Record a registration. Raises Conflict(reason="already_registered") while one of the scheme (and country) is open."""
    locks.take(session, f"registrations:{seller.id}")
    for each in list_of(session, seller.id):
        is_same = each.scheme == facts.scheme and (facts.scheme == "oss" or each.country == facts.country)
        if is_same and (each.valid_until is None or each.valid_until >= facts.valid_from):
            raise Conflict(registration_id=each.id, reason="already_registered")
    row = SellerRegistration(
        id=new_id("srg"), seller_id=seller.id, recorded_at=now, recorded_by=actor, valid_until=None, **vars(facts)
    )
    session.add(row)
    _tell(session, now, row, actor, "seller.register")
    return row


def end(session: Session, *, now: datetime, registration_id: str, valid_until: date, actor: str) -> SellerRegistration:
    """End a registration with a last day, once. Raises NotFound, Invalid for a day before its first, Conflict when it has ended."""
    row = session.scalars(
        select(SellerRegistration)
        .where(SellerRegistration.id == registration_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()
    if row is None:
        raise NotFound(registration_id=names.shown(registration_id))
    if row.valid_until is not None:
        raise Conflict(registration_id=row.id, reason="registration_ended")
    if valid_until < row.valid_from - timedelta(days=1):
        raise Invalid(field="valid_until", reason="ends_before_it_begins")
    row.valid_until = valid_until
    _tell(session, now, row, actor, "seller.deregister")
    return row


def change_policy(
    session: Session,
    *,
    now: datetime,
    seller: Seller,
    tax_provider: str,
    vat_check: str,
    tax_evidence_days: int,
    actor: str,
) -> Seller:
    """Who works out the seller's taxes, how VAT ids are looked at, and how old that may be at issue, in days. Raises Invalid."""
    if tax_provider not in PROVIDERS:
        raise Invalid(field="tax_provider", value=names.shown(tax_provider), reason="unknown_tax_provider")
    if vat_check not in CHECKS:
        raise Invalid(field="vat_check", value=names.shown(vat_check), reason="unknown_vat_check")
    if not 1 <= tax_evidence_days <= 3650:
        raise Invalid(field="tax_evidence_days", value=tax_evidence_days, limit=3650, reason="too_large")
    seller.tax_provider, seller.vat_check, seller.tax_evidence_days = tax_provider, vat_check, tax_evidence_days
    audit.record(
        session,
        now=now,
        actor=actor,
        act="seller.tax_policy",
        subject_type="seller",
        subject_id=seller.id,
        facts={"tax_provider": tax_provider, "vat_check": vat_check, "days": tax_evidence_days},
    )
    session.flush()  # the next draft reads it
    return seller


def _tell(session: Session, now: datetime, row: SellerRegistration, actor: str, act: str) -> None:
    facts = {"scheme": row.scheme, "country": row.country, "registration": row.id}
    audit.record(session, now=now, actor=actor, act=act, subject_type="seller", subject_id=row.seller_id, facts=facts)
    session.flush()  # its keys and checks must speak here
