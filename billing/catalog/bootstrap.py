"""What an empty database needs to be usable: meters, SKUs, a seller with its house account, the standard price books and plans."""

from datetime import date, datetime
from importlib import resources

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import directory, registrations
from billing.accounts.directory import SellerFacts
from billing.accounts.registrations import RegistrationFacts
from billing.catalog import activations, plans
from billing.catalog.items import Item
from billing.catalog.meters import METERS
from billing.catalog.skus import SKUS
from billing.catalog.tables import Meter, PriceBook, Sku
from billing.kernel.errors import Conflict
from billing.storage import locks

ACTOR = "bootstrap"
BOOKS = ("default", "gpu-cloud")
PLANS = ("default", "gpu-cloud", "gpu-cloud-committed")

# An invented company: number and bank account pass their check digits and belong to nobody.
SELLER = SellerFacts(
    code="house",
    legal_name="Plumbline Cloud Ltd",
    street="1 Harbour Square",
    city="Dublin",
    postcode="D02 XY45",
    country="IE",
    vat_id="IE1234567T",
    email="billing@plumbline.example",
    bank_account="IE29AIBK93115212345678",
    functional_currency="USD",
    zone="UTC",
    invoice_prefix="INV-",
    credit_note_prefix="CN-",
    payment_terms_days=14,
    legal_id="IE 654321",
    tax_number="1234567T",
    phone="+353 1 555 0100",
    website="plumbline.example",
    bank_name="Allied Irish Banks",
    bic="AIBKIE2D",
    footer="Plumbline Cloud Ltd is registered in Ireland under number 654321. Directors: A. Byrne, M. Walsh.",
)

ONE_STOP_SHOP = RegistrationFacts(
    scheme="oss", country=SELLER.country, number=SELLER.vat_id, valid_from=date(2015, 1, 1)
)


def install(session: Session, *, now: datetime) -> None:
    """Add what is missing; a repeat, also by several processes at once, changes nothing.

    A seller, book or plan that somebody has changed since is left alone. Raises Conflict when a stored meter counts otherwise
    than the code believes: every quantity at rest would be read wrongly.
    """
    locks.take(session, "bootstrap")
    _install_meters(session)
    if directory.find_seller_by_code(session, SELLER.code) is None:
        seller = directory.create_seller(session, now=now, facts=SELLER, actor=ACTOR)
        registrations.add(session, now=now, seller=seller, facts=ONE_STOP_SHOP, actor=ACTOR)
    for code in BOOKS:
        if session.scalar(select(PriceBook.id).where(PriceBook.code == code).limit(1)) is None:
            activations.install(session, _text(f"books/{code}.toml"), now=now, actor=ACTOR)
    for code in PLANS:
        if plans.find_plan(session, code) is None:
            plans.load(session, _text(f"plan_library/{code}.toml"), now=now, actor=ACTOR)


def _text(path: str) -> str:
    return resources.files("billing.catalog").joinpath(path).read_text(encoding="utf-8")


def _install_meters(session: Session) -> None:
    stored = {meter.code: meter for meter in session.scalars(select(Meter))}
    for code, facts in METERS.items():
        if code not in stored:
            columns = {name: value for name, value in vars(facts).items() if name != "kind"}
            session.add(Meter(**columns))
        elif stored[code].base_per_unit != facts.base_per_unit:
            raise Conflict(meter=code, stored=stored[code].base_per_unit, expected=facts.base_per_unit)
    session.flush()  # SKUs refer to them
    sold = set(session.scalars(select(Sku.code)))
    items = {Item(*row) for row in session.execute(select(Sku.meter_code, Sku.variant, Sku.mode))}
    session.add_all(
        Sku(
            code=code,
            meter_code=facts.meter_code,
            variant=facts.variant,
            mode=facts.mode,
            family=facts.family,
            name=facts.name,
        )
        for code, facts in SKUS.items()
        if code not in sold and facts.item not in items
    )
    session.flush()  # prices refer to them
