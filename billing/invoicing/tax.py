"""VAT: what a treatment is, and the sums on a document. Pure. Which one a supply has is decided in `taxes.determination`.

VAT is reckoned per category and rate on the document, never per line (EN 16931 BR-CO-17): 3 x 0.33 at 19 % is 0.19.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from billing.kernel.rounding import half_up

REVERSE_CHARGE = "Reverse charge: VAT is due from the recipient (Directive 2006/112/EC, article 196)"
OUTSIDE_EU = "Not subject to VAT: the place of supply is outside the European Union (Directive 2006/112/EC, article 44)"
NOT_REGISTERED = "Not subject to VAT: the seller is not registered for VAT"


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """How a supply is taxed: UNCL 5305 category, rate in basis points, whose tax it is, and the reason where none is charged."""

    category: str
    rate_bp: int
    jurisdiction: str
    reason: str | None = None
    vatex: str | None = None  # code of the reason (BT-121)
    scheme: str | None = None  # by which rule, as in documents.model.Tax
    registration: str | None = None  # the seller's number under which it is declared

    def __post_init__(self) -> None:
        if self.category == "S" and (self.rate_bp <= 0 or self.reason is not None):
            raise ValueError("BR-S-05, BR-S-10: category S has a rate above zero and no exemption reason")
        if self.category in ("AE", "O", "E", "K", "G") and (self.rate_bp != 0 or not self.reason):
            raise ValueError(f"category {self.category} has rate zero and says why")


@dataclass(frozen=True, kw_only=True)
class Taxable:
    """A net amount in minor units under one treatment."""

    treatment: Treatment
    net_minor: int


@dataclass(frozen=True, kw_only=True)
class Group:
    """What a document says of one treatment: taxable amount (BT-116) and tax (BT-117), in minor units."""

    treatment: Treatment
    taxable_minor: int
    tax_minor: int


def is_vat_id_of(vat_id: str | None, country: str) -> bool:
    """Whether a VAT id bears the prefix of that member state (BR-CO-09: Greece writes EL)."""
    prefix = "EL" if country == "GR" else country
    return bool(vat_id) and str(vat_id).upper().startswith(prefix)


def tax_of(taxable_minor: int, rate_bp: int) -> int:
    """R(taxable x rate), in minor units (BR-CO-17)."""
    return half_up(taxable_minor * rate_bp, 10_000)


def groups(parts: Iterable[Taxable]) -> list[Group]:
    """The VAT breakdown of a document: one group per treatment, each rounded once, in a fixed order."""
    sums: dict[Treatment, int] = {}
    for part in parts:
        sums[part.treatment] = sums.get(part.treatment, 0) + part.net_minor
    ordered = sorted(sums.items(), key=lambda item: (item[0].category, -item[0].rate_bp, item[0].jurisdiction))
    return [
        Group(treatment=treatment, taxable_minor=net_minor, tax_minor=tax_of(net_minor, treatment.rate_bp))
        for treatment, net_minor in ordered
    ]


def credit_tax(*, credited_before_minor: int, credited_tax_before_minor: int, net_minor: int, rate_bp: int) -> int:
    """VAT of a credit note in one group: tax(all credited so far) - tax credited before.

    So any sequence of credits of one invoice gives back exactly its tax: 0.33 three times at 19 % is 0.06, 0.07, 0.06.
    """
    return tax_of(credited_before_minor + net_minor, rate_bp) - credited_tax_before_minor
