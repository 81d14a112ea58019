"""What a frozen document says in the business terms of EN 16931: the one model that both XML syntaxes are written from. Pure.

All values are texts as the XML shows them: amounts in major units with the currency's decimals, days as dates.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from stdnum import iban

from billing.invoicing.documents import codes, wordings
from billing.invoicing.documents.harmless import cleaned
from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.invoicing.documents.model import Party as DocumentParty
from billing.kernel.clock import get_zone
from billing.kernel.money import Money, exponent
from billing.kernel.rounding import half_up_fraction

GUIDELINE = "urn:cen.eu:en16931:2017"  # BT-24
MAX_DECIMALS = 2  # BR-DEC: no amount of EN 16931 has more
NOT_SUBJECT = "O"

Days = tuple[date, date]


@dataclass(frozen=True, kw_only=True)
class Party:
    """Seller (BG-4) or buyer (BG-7). `id` (BT-29, BT-46) is any number of it that is no VAT identifier."""

    id: str | None
    name: str  # BT-27, BT-44
    legal_id: str | None  # BT-30, BT-47
    vat_id: str | None  # BT-31, BT-48
    tax_number: str | None  # BT-32, of sellers only
    legal_words: str | None  # BT-33, of sellers only
    street: str  # BT-35, BT-50
    city: str  # BT-37, BT-52
    postcode: str  # BT-38, BT-53
    country: str  # BT-40, BT-55
    phone: str | None  # BT-42, BT-57
    email: str | None  # BT-34 and BT-43, BT-49 and BT-58


@dataclass(frozen=True, kw_only=True)
class Payment:
    """Payment instructions (BG-16)."""

    means: str  # BT-81
    reference: str  # BT-83
    iban: str | None  # BT-84, or
    account: str | None  # another account's number
    holder: str  # BT-85
    bic: str | None  # BT-86


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """A deduction before tax (BG-20)."""

    amount: str  # BT-92
    category: str  # BT-95
    rate: str | None  # BT-96
    reason: str  # BT-97
    reason_code: str  # BT-98


@dataclass(frozen=True, kw_only=True)
class TaxGroup:
    """One group of the VAT breakdown (BG-23)."""

    basis: str  # BT-116
    tax: str  # BT-117
    category: str  # BT-118
    rate: str | None  # BT-119, None where nothing is subject to VAT (BR-O-05)
    reason: str | None  # BT-120
    reason_code: str | None  # BT-121


@dataclass(frozen=True, kw_only=True)
class LineTerms:
    """One line (BG-25): `quantity` x `price` / `base`, rounded once, is `amount`."""

    id: str  # BT-126
    object_id: str | None  # BT-128: the charge that it bills
    quantity: str  # BT-129
    unit: str  # BT-130, BT-150
    amount: str  # BT-131
    days: Days | None  # BG-26
    price: str  # BT-146, never negative (BR-27)
    base: str  # BT-149
    category: str  # BT-151
    rate: str | None  # BT-152
    name: str  # BT-153
    description: str | None  # BT-154


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The whole document."""

    number: str  # BT-1
    issued_on: date  # BT-2
    type_code: str  # BT-3
    currency: str  # BT-5
    tax_currency: str | None  # BT-6
    tax_point_on: date | None  # BT-7
    due_on: date | None  # BT-9
    buyer_reference: str | None  # BT-10
    purchase_order: str | None  # BT-13
    payment_terms: str | None  # BT-20
    note: str | None  # BT-22
    preceding_number: str | None  # BT-25
    preceding_on: date | None  # BT-26
    seller: Party
    buyer: Party
    delivered_on: date  # BT-72: when the supply was complete
    days: Days | None  # BG-14
    delivery_country: str | None  # BT-80
    payment: Payment | None
    allowances: tuple[Allowance, ...]
    lines_total: str  # BT-106
    allowances_total: str | None  # BT-107
    net_total: str  # BT-109
    tax_total: str  # BT-110
    tax_total_in_tax_currency: str | None  # BT-111
    gross_total: str  # BT-112
    prepaid: str | None  # BT-113
    rounding: str | None  # BT-114
    due: str  # BT-115
    taxes: tuple[TaxGroup, ...]
    lines: tuple[LineTerms, ...]

    @property
    def is_credit_note(self) -> bool:
        """Whether it takes back (UBL has a root of its own for that)."""
        return self.type_code == codes.CREDIT_NOTE


def absence(document: InvoiceDocument) -> str | None:
    """Why the norm has no XML for this document, None where it has: "decimals" of its currencies, or "mixed", which is the
    combination of groups that are and are not subject to VAT (BR-O-11). PDF and CSV say it all nevertheless."""
    currencies = [document.currency] + ([document.tax_currency.currency] if document.tax_currency else [])
    if any(exponent(currency) > MAX_DECIMALS for currency in currencies):
        return "decimals"
    categories = {group.category for group in document.taxes}
    return "mixed" if NOT_SUBJECT in categories and len(document.taxes) > 1 else None


def of(document: InvoiceDocument) -> Terms:
    """The terms of a numbered document. Raises ValueError for one that is a draft or has no XML (`absence`)."""
    if document.number is None or document.issued_on is None:
        raise ValueError("a draft has no XML")
    if (why := absence(document)) is not None:
        raise ValueError(f"no XML: {why}")
    words: InvoiceDocument = cleaned(document)
    currency = document.currency
    is_subject = all(group.category != NOT_SUBJECT for group in document.taxes)
    days = _header_days(document)
    is_k = any(group.category == "K" for group in document.taxes)
    in_tax_currency = document.tax_currency
    return Terms(
        number=str(words.number),
        issued_on=document.issued_on,
        type_code=_type_code(document),
        currency=currency,
        tax_currency=in_tax_currency.currency if in_tax_currency else None,
        tax_point_on=document.tax_point_on,
        due_on=document.due_on,
        buyer_reference=_text(words.buyer_reference),
        purchase_order=_text(words.purchase_order),
        payment_terms=wordings.payment_terms(words),
        note=_text(words.reason),
        preceding_number=_text(words.corrects_number),
        preceding_on=document.corrects_on,
        seller=_seller(words.seller, _text(words.footer), is_subject=is_subject),
        buyer=_buyer(words.buyer, is_subject=is_subject),
        delivered_on=days[1] if days is not None else document.tax_point_on or document.issued_on,
        days=days,
        delivery_country=document.buyer.country if is_k else None,
        payment=_payment(words),
        allowances=tuple(
            Allowance(
                amount=amount(one.amount_minor, currency),
                category=one.tax_category,
                rate=_rate(one.tax_category, one.tax_rate_bp),
                reason=_text(one.reason) or one.kind,
                reason_code=codes.ALLOWANCE_REASONS[one.kind],
            )
            for one in words.allowances
        ),
        lines_total=amount(document.lines_minor, currency),
        allowances_total=amount(document.allowance_minor, currency) if document.allowances else None,
        net_total=amount(document.net_minor, currency),
        tax_total=amount(document.tax_minor, currency),
        tax_total_in_tax_currency=(
            amount(in_tax_currency.tax_minor, in_tax_currency.currency) if in_tax_currency else None
        ),
        gross_total=amount(document.total_minor, currency),
        prepaid=amount(document.prepaid_minor, currency) if document.prepaid_minor else None,
        rounding=amount(document.rounding_minor, currency) if document.rounding_minor else None,
        due=amount(document.due_minor, currency),
        taxes=tuple(
            TaxGroup(
                basis=amount(group.taxable_minor, currency),
                tax=amount(group.tax_minor, currency),
                category=group.category,
                rate=_rate(group.category, group.rate_bp),
                reason=_text(group.reason),
                reason_code=_text(group.vatex),
            )
            for group in words.taxes
        ),
        lines=tuple(_line(line, document) for line in words.lines),
    )


def amount(minor: int, currency: str) -> str:
    """An amount as a plain decimal of major units: 1234 USD is "12.34"."""
    return f"{Money(minor=minor, currency=currency).to_decimal():f}"


def _text(value: str | None) -> str | None:
    """A text that says something, or None: the norm knows no empty element."""
    return (value or "").strip() or None


def _rate(category: str, rate_bp: int) -> str | None:
    return None if category == NOT_SUBJECT else f"{rate_bp // 100}.{rate_bp % 100:02d}"


def _type_code(document: InvoiceDocument) -> str:
    if document.kind == "credit_note":
        return codes.CREDIT_NOTE
    # A commitment is sold in advance; later invoices draw it down by negative lines.
    is_sale = all(line.contract_id is not None and not line.covers for line in document.lines)
    return codes.PREPAYMENT if is_sale and document.period_start_at is None else codes.INVOICE


def _header_days(document: InvoiceDocument) -> Days | None:
    if document.period_start_at is None or document.period_end_at is None:
        return None
    zone = get_zone(document.zone)
    last = document.period_end_at - timedelta(microseconds=1)
    return document.period_start_at.astimezone(zone).date(), last.astimezone(zone).date()


def _seller(party: DocumentParty, legal_words: str | None, *, is_subject: bool) -> Party:
    """A VAT identifier may not stand where nothing is subject to VAT (BR-O-02); the seller is then known by another number, and
    without any by its address or name (BR-CO-26)."""
    vat_id, legal_id, tax_number = _text(party.vat_id), _text(party.legal_id), _text(party.tax_number)
    is_shown = is_subject and codes.is_vat_identifier(vat_id)
    other = None if is_shown else vat_id
    if is_subject and tax_number is None:
        tax_number, other = other, None  # a tax office outside the list of countries
    known = is_shown or legal_id is not None
    return Party(
        id=other or (None if known else tax_number or _text(party.email) or party.name),
        name=_name(party),
        legal_id=legal_id,
        vat_id=vat_id if is_shown else None,
        tax_number=tax_number,
        legal_words=legal_words,
        **_address(party),
    )


def _buyer(party: DocumentParty, *, is_subject: bool) -> Party:
    vat_id = _text(party.vat_id)
    is_shown = is_subject and codes.is_vat_identifier(vat_id)
    return Party(
        id=None if is_shown else vat_id,
        name=_name(party),
        legal_id=_text(party.legal_id),
        vat_id=vat_id if is_shown else None,
        tax_number=None,
        legal_words=None,
        **_address(party),
    )


def _name(party: DocumentParty) -> str:
    return party.name.strip()


def _address(party: DocumentParty) -> dict[str, Any]:
    return {
        "street": party.street.strip(),
        "city": party.city.strip(),
        "postcode": party.postcode.strip(),
        "country": party.country,
        "phone": _text(party.phone),
        "email": _text(party.email),
    }


def _payment(document: InvoiceDocument) -> Payment | None:
    if document.kind == "credit_note" or document.due_minor <= 0:
        return None
    account = _text(document.bank_account)
    is_iban = account is not None and iban.is_valid(account)
    means = codes.ONLINE if account is None else codes.CREDIT_TRANSFER
    return Payment(
        means=codes.SEPA_CREDIT_TRANSFER if is_iban and document.currency == "EUR" else means,
        reference=str(document.number),
        iban=iban.compact(account) if account and is_iban else None,
        account=None if is_iban else account,
        holder=document.seller.name.strip(),
        bic=_text(document.bic) if account is not None else None,
    )


def _line(line: Line, document: InvoiceDocument) -> LineTerms:
    """A line as it is stated where that explains its net amount to the cent; else one item at its net amount, the stated quantity
    in words: prices that include tax, or are of another currency, are no net prices of this document."""
    quantity, base, price, unit = line.quantity_text, line.price_base_text, line.unit_price_text, line.unit
    words = _text(line.description) or line.id
    stated = wordings.stated(line, document.currency)
    if document.prices_include_tax or line.converted is not None or not _explains(line, document.currency):
        quantity, base, unit = ("-1" if line.amount_minor < 0 else "1"), "1", "item"
        price = amount(abs(line.amount_minor), document.currency)
    days = (line.service_from_on, line.service_to_on)
    return LineTerms(
        id=str(line.seq),
        object_id=line.charge_id,
        quantity=quantity,
        unit=codes.unit_code(unit),
        amount=amount(line.amount_minor, document.currency),
        days=(days[0], days[1]) if days[0] is not None and days[1] is not None else None,
        price=price,
        base=base,
        category=line.tax_category,
        rate=_rate(line.tax_category, line.tax_rate_bp),
        name=words,
        description=" · ".join(part for part in (_text(line.detail), stated) if part) or None,
    )


def _explains(line: Line, currency: str) -> bool:
    """Whether quantity x price / base, rounded once, is the line's amount."""
    try:
        price, base = Fraction(line.unit_price_text), Fraction(line.price_base_text)
        exact = Fraction(line.quantity_text) * price / base * 10 ** exponent(currency)
    except (ValueError, ZeroDivisionError):
        return False
    return price >= 0 and base > 0 and half_up_fraction(exact) == line.amount_minor
