"""What a seller says about itself on documents, and under which numbers it issues them. Documents copy it at issue and keep it."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from billing.accounts import directory, logos
from billing.accounts.directory import SellerFacts
from billing.accounts.logos import Logo
from billing.accounts.tables import BillingAccount, Seller
from billing.invoicing.documents.receipt_tables import Receipt
from billing.invoicing.errors import PrefixTaken, SellerChanged
from billing.invoicing.tables import InvoiceHeader, NumberSeries
from billing.kernel import canonical
from billing.storage import audit

_PREFIXES = {"invoice_prefix": "invoice", "credit_note_prefix": "credit_note", "receipt_prefix": "receipt"}
# What was posted and numbered under it stays true only while these stay.
FIXED = ("code", "functional_currency")
_CHANGEABLE = tuple(each.name for each in fields(SellerFacts) if each.name not in FIXED)


@dataclass(frozen=True, kw_only=True)
class Series:
    """One number series: "INV-2026-", the last number taken and the date it was issued on."""

    series: str
    last_number: int
    last_issued_on: date | None


@dataclass(frozen=True, kw_only=True)
class SellerRow:
    """One seller in a list."""

    id: str
    code: str
    legal_name: str
    country: str
    vat_id: str | None
    bank_account: str | None
    language: str
    account_count: int


@dataclass(frozen=True, kw_only=True)
class SellerDetail:
    """One seller whole. `version` names what was read: an update that was made from another one is refused."""

    id: str
    facts: SellerFacts
    logo: Logo | None
    version: str
    series: Sequence[Series]
    account_count: int


def list_sellers(session: Session) -> list[SellerRow]:
    """All sellers by code: (id, code, name, country, VAT id, IBAN, language, number of tenants' accounts)."""
    grouped = session.execute(
        select(BillingAccount.seller_id, func.count())
        .where(BillingAccount.kind != "house")
        .group_by(BillingAccount.seller_id)
    )
    counts = {row[0]: row[1] for row in grouped}
    return [
        SellerRow(
            id=seller.id,
            code=seller.code,
            legal_name=seller.legal_name,
            country=seller.country,
            vat_id=seller.vat_id,
            bank_account=seller.bank_account,
            language=seller.language,
            account_count=counts.get(seller.id, 0),
        )
        for seller in session.scalars(select(Seller).order_by(Seller.code))
    ]


def get_detail(session: Session, seller_id: str) -> SellerDetail:
    """One seller with its logo and series, newest series first. Raises NotFound."""
    seller = directory.get_seller(session, seller_id)
    rows = session.scalars(
        select(NumberSeries)
        .where(NumberSeries.seller_id == seller.id)
        .order_by(NumberSeries.last_issued_on.desc().nulls_last(), NumberSeries.series)
    )
    accounts = session.scalars(
        select(func.count())
        .select_from(BillingAccount)
        .where(BillingAccount.seller_id == seller.id, BillingAccount.kind != "house")
    ).one()
    return SellerDetail(
        id=seller.id,
        facts=facts_of(seller),
        logo=logos.find(session, seller.logo_sha256),
        version=version_of(seller),
        series=[
            Series(series=row.series, last_number=row.last_number, last_issued_on=row.last_issued_on) for row in rows
        ],
        account_count=accounts,
    )


def facts_of(seller: Seller) -> SellerFacts:
    """The seller's particulars as they stand. Raises Invalid where an older row would no longer be taken."""
    return SellerFacts(**{each.name: getattr(seller, each.name) for each in fields(SellerFacts)})


def version_of(seller: Seller) -> str:
    """A short name for everything that can be changed, as it stands."""
    stated = {name: getattr(seller, name) for name in (*_CHANGEABLE, "logo_sha256")}
    return canonical.digest("seller-profile/1", stated)[:16]


def update(
    session: Session, *, now: datetime, seller_id: str, facts: SellerFacts, version: str, actor: str
) -> tuple[str, ...]:
    """Replace what documents will say from now on; the names of the fields that changed. Issued documents keep what they copied.

    Another prefix begins a series of its own at 1; one that was used before goes on where it ended. Locks the seller's row.
    Raises NotFound, SellerChanged when somebody else was quicker, PrefixTaken.
    """
    seller = _locked(session, seller_id, version)
    changed = tuple(name for name in _CHANGEABLE if getattr(seller, name) != getattr(facts, name))
    for field in changed:
        if field in _PREFIXES:
            _require_free(session, seller, field, getattr(facts, field))
    for name in changed:
        setattr(seller, name, getattr(facts, name))
    if changed:
        _audit(session, seller, now=now, actor=actor, act="seller.update", facts={"fields": ", ".join(changed)})
    return changed


def set_logo(session: Session, *, now: datetime, seller_id: str, logo: Logo | None, version: str, actor: str) -> None:
    """Print this logo from now on, or none. Locks the seller's row. Raises NotFound, SellerChanged."""
    seller = _locked(session, seller_id, version)
    if logo is not None:
        logos.keep(session, logo, now=now)
    seller.logo_sha256 = logo.sha256 if logo is not None else None
    facts = {"logo_sha256": seller.logo_sha256 or "none"}
    _audit(session, seller, now=now, actor=actor, act="seller.logo", facts=facts)


def logo_bytes(session: Session, sha256: str | None) -> bytes | None:
    """The bytes of the logo that a document names, None where it names none."""
    logo = logos.find(session, sha256)
    return logo.content if logo is not None else None


def _locked(session: Session, seller_id: str, version: str) -> Seller:
    seller = directory.lock_seller(session, directory.get_seller(session, seller_id))
    session.refresh(seller)
    if version_of(seller) != version:
        raise SellerChanged(seller=seller.code)
    return seller


def _require_free(session: Session, seller: Seller, field: str, prefix: str) -> None:
    """No other seller and no other kind of document may ever have numbered with this prefix: a number names one document."""
    for other in session.scalars(select(Seller).where(Seller.id != seller.id)):
        if prefix.upper() in (getattr(other, name).upper() for name in _PREFIXES):
            raise PrefixTaken(field=field, prefix=prefix, seller=other.code)
    years = select(NumberSeries).where(NumberSeries.series.like(f"{_literal(prefix)}____-", escape="\\"))
    for series in session.scalars(years):
        if series.seller_id != seller.id:
            owner = directory.get_seller(session, series.seller_id)
            raise PrefixTaken(field=field, prefix=prefix, seller=owner.code)
        if _kind_of(session, series.series) != _PREFIXES[field]:
            raise PrefixTaken(field=field, prefix=prefix, seller=seller.code)


def _kind_of(session: Session, series: str) -> str | None:
    """What a series has numbered: invoice, credit_note or receipt."""
    pattern = f"{_literal(series)}%"
    kind = session.scalars(
        select(InvoiceHeader.kind).where(InvoiceHeader.number.like(pattern, escape="\\")).limit(1)
    ).first()
    if kind is not None:
        return kind
    is_receipt = session.scalars(select(Receipt.id).where(Receipt.number.like(pattern, escape="\\")).limit(1)).first()
    return "receipt" if is_receipt else None


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _audit(session: Session, seller: Seller, *, now: datetime, actor: str, act: str, facts: dict[str, str]) -> None:
    audit.record(session, now=now, actor=actor, act=act, subject_type="seller", subject_id=seller.id, facts=facts)
    session.flush()  # a form's error must show here, not at its commit
