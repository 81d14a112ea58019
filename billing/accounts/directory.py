"""Sellers, tenants and their billing accounts: opening and finding them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import countries, names, printing, vat_ids
from billing.accounts.errors import CodeTaken
from billing.accounts.profiles import ProfileFacts
from billing.accounts.tables import AccountHead, BillingAccount, BillingProfile, Seller, Tenant
from billing.kernel import money
from billing.kernel.clock import get_zone
from billing.kernel.errors import Invalid, NotFound
from billing.kernel.ids import new_id
from billing.storage import audit

_HOUSE_PREFIX = "house:"
_POLICIES = ("postpaid", "prepaid")


@dataclass(frozen=True, kw_only=True)
class SellerFacts:
    """A legal entity that issues invoices. Raises Invalid naming the field."""

    code: str
    legal_name: str
    street: str
    city: str
    postcode: str
    country: str
    email: str
    functional_currency: str
    vat_id: str | None = None
    bank_account: str | None = None
    zone: str = "UTC"
    invoice_prefix: str = "INV-"
    credit_note_prefix: str = "CN-"
    payment_terms_days: int = 14
    legal_id: str | None = None
    tax_number: str | None = None
    phone: str | None = None
    website: str | None = None
    bank_name: str | None = None
    bic: str | None = None
    footer: str | None = None
    language: str = "en"
    page_size: str = "A4"
    receipt_prefix: str = "REC-"

    def __post_init__(self) -> None:
        names.require_code(self.code, max_length=names.CODE_MAX - len(_HOUSE_PREFIX))
        for field in ("legal_name", "street", "city", "postcode"):
            names.require_name(getattr(self, field), field)
        countries.require_country(self.country)
        names.require_email(self.email)
        money.exponent(self.functional_currency)
        object.__setattr__(self, "vat_id", vat_ids.find_vat_id(self.vat_id, self.country))
        get_zone(self.zone)
        for field, value in printing.checked(self).items():
            object.__setattr__(self, field, value)
        if not 0 <= self.payment_terms_days <= 365:
            raise Invalid(field="payment_terms_days", value=self.payment_terms_days, limit=365, reason="too_large")


def create_seller(session: Session, *, now: datetime, facts: SellerFacts, actor: str = "system") -> Seller:
    """A seller with its house account, where fees, payouts and currency results stand. Raises CodeTaken."""
    if session.scalar(select(Seller.id).where(Seller.code == facts.code)) is not None:
        raise CodeTaken(seller=facts.code)
    seller = Seller(id=new_id("sel"), created_at=now, **vars(facts))
    session.add(seller)
    session.flush()  # the house account refers to it
    house = BillingAccount(
        id=new_id("bac"),
        code=f"{_HOUSE_PREFIX}{seller.code}",
        name=seller.legal_name,
        kind="house",
        tenant_id=None,
        seller_id=seller.id,
        currency=seller.functional_currency,
        zone=seller.zone,
        policy="postpaid",
        created_at=now,
    )
    _add_account(session, house)
    audit.record(session, now=now, actor=actor, act="seller.create", subject_type="seller", subject_id=seller.id)
    return seller


def create_tenant_account(
    session: Session,
    *,
    now: datetime,
    code: str,
    name: str | None = None,
    seller: Seller | None = None,
    currency: str = "USD",
    zone: str = "UTC",
    policy: str = "postpaid",
    prices_include_tax: bool = False,
    profile: ProfileFacts | None = None,
    actor: str = "system",
) -> BillingAccount:
    """A tenant with one billing account of the same code, its head and its profile; `catalog.onboarding` adds the plan.

    Without a profile it is billed under its name at the seller's address, without a VAT id. The seller's row is locked, so two
    imports opening the same code at once wait for each other. Raises CodeTaken, Invalid.
    """
    code = require_account_code(code)
    name = names.require_name(name, "name") if name is not None else code
    money.exponent(currency)
    get_zone(zone)
    if policy not in _POLICIES:
        raise Invalid(field="policy", value=names.shown(policy), reason="unknown_policy")
    seller = lock_seller(session, seller)
    if find_account_by_code(session, code) is not None or session.scalar(select(Tenant.id).where(Tenant.code == code)):
        raise CodeTaken(account=code)
    tenant = Tenant(id=new_id("ten"), code=code, name=name, created_at=now)
    session.add(tenant)
    session.flush()  # the account refers to it
    account = BillingAccount(
        id=new_id("bac"),
        code=code,
        name=name,
        kind="tenant",
        tenant_id=tenant.id,
        seller_id=seller.id,
        currency=currency,
        zone=zone,
        policy=policy,
        prices_include_tax=prices_include_tax,
        created_at=now,
    )
    _add_account(session, account)
    facts = profile or ProfileFacts(
        legal_name=name, street=seller.street, city=seller.city, postcode=seller.postcode, country=seller.country
    )
    session.add(BillingProfile(billing_account_id=account.id, updated_at=now, **vars(facts)))
    audit.record(
        session,
        now=now,
        actor=actor,
        act="account.open",
        subject_type="billing_account",
        subject_id=account.id,
        billing_account_id=account.id,
        facts={"currency": currency, "zone": zone, "policy": policy},
    )
    session.flush()  # what follows in this act refers to the account
    return account


def require_account_code(code: str) -> str:
    """The code as it is kept (NFC). Raises Invalid: 1 to 64 visible characters, not beginning with "house:"."""
    code = names.require_code(code, "account")
    if code.startswith(_HOUSE_PREFIX):
        raise Invalid(field="account", value=code, reason="reserved")
    return code


def lock_seller(session: Session, seller: Seller | None = None) -> Seller:
    """A seller, by default the first there is, locked against others who open accounts. Raises NotFound without any."""
    statement = select(Seller).order_by(Seller.id).limit(1)
    if seller is not None:
        statement = statement.where(Seller.id == seller.id)
    # NO KEY UPDATE: rows that merely refer to the seller need not wait.
    found = session.scalar(statement.with_for_update(key_share=True))
    if found is None:
        raise NotFound(seller=seller.id if seller is not None else None)
    return found


def get_account(session: Session, account_id: str) -> BillingAccount:
    """The billing account of that id. Raises NotFound."""
    account = session.get(BillingAccount, account_id) if names.is_safe(account_id) else None
    if account is None:
        raise NotFound(account_id=names.shown(account_id))
    return account


def get_account_by_code(session: Session, code: str) -> BillingAccount:
    """The billing account of that code. Raises NotFound, also for a text that could never be a code."""
    account = find_account_by_code(session, code)
    if account is None:
        raise NotFound(account=names.shown(code))
    return account


def find_account_by_code(session: Session, code: str) -> BillingAccount | None:
    """The billing account of that code, or None."""
    try:
        code = names.require_code(code)
    except Invalid:
        return None
    return session.scalar(select(BillingAccount).where(BillingAccount.code == code))


def find_tenant(session: Session, key: str) -> Tenant | None:
    """The tenant of that id or else that code, or None."""
    if not names.is_safe(key):
        return None
    return session.get(Tenant, key) or session.scalar(select(Tenant).where(Tenant.code == key))


def list_accounts(session: Session, kind: str | None = "tenant") -> Sequence[BillingAccount]:
    """All billing accounts of a kind (None: of every kind), by code."""
    statement = select(BillingAccount).order_by(BillingAccount.code)
    if kind is not None:
        statement = statement.where(BillingAccount.kind == kind)
    return session.scalars(statement).all()


def get_seller(session: Session, seller_id: str) -> Seller:
    """The seller of that id. Raises NotFound."""
    seller = session.get(Seller, seller_id)
    if seller is None:
        raise NotFound(seller_id=seller_id)
    return seller


def billing_email(session: Session, account_id: str) -> str:
    """Where an account writes to about its bills: its seller's address. Raises NotFound."""
    return get_seller(session, get_account(session, account_id).seller_id).email


def list_sellers(session: Session) -> Sequence[Seller]:
    """All sellers, the first there was first."""
    return session.scalars(select(Seller).order_by(Seller.id)).all()


def first_seller(session: Session) -> Seller:
    """The seller that is meant where none is named. Raises NotFound without any."""
    found = session.scalars(select(Seller).order_by(Seller.id).limit(1)).first()
    if found is None:
        raise NotFound(kind="seller")
    return found


def find_seller_by_code(session: Session, code: str) -> Seller | None:
    """The seller of that code, or None."""
    return session.scalar(select(Seller).where(Seller.code == code))


def house_account(session: Session, seller_id: str) -> BillingAccount:
    """The seller's own account. Raises NotFound."""
    house = session.scalar(
        select(BillingAccount).where(BillingAccount.seller_id == seller_id, BillingAccount.kind == "house")
    )
    if house is None:
        raise NotFound(seller_id=seller_id)
    return house


def _add_account(session: Session, account: BillingAccount) -> None:
    session.add(account)
    session.flush()  # its head refers to it
    session.add(AccountHead(billing_account_id=account.id))
    session.flush()  # whoever locks the account next in this act must find its head
