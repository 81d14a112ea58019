"""Prices that include tax: what of a gross amount is net, what is tax, and the cent that is neither. Pure.

Per VAT group of a document: net = R(gross / (1 + rate)), tax = R(net x rate), and what is left of the gross is BT-114: 2.99 at 4 % is
2.88 and 0.12, with -0.01. The nets of lines and allowances are shares of their group's net by largest remainder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from billing.invoicing import tax
from billing.invoicing.documents.model import Allowance, InvoiceDocument, Line
from billing.kernel.rounding import half_up, largest_remainder, split_fractions

VatGroup = tuple[str, int]
"""Category and rate in basis points."""


def net_of(gross_minor: int, rate_bp: int) -> int:
    """R(gross / (1 + rate)), in minor units."""
    return half_up(gross_minor * 10_000, 10_000 + rate_bp)


def split(gross_minor: int, rate_bp: int) -> tuple[int, int, int]:
    """(net, tax, rounding) of a gross amount: they sum to it."""
    net_minor = net_of(gross_minor, rate_bp)
    tax_minor = tax.tax_of(net_minor, rate_bp)
    return net_minor, tax_minor, gross_minor - net_minor - tax_minor


def netted(
    lines: Sequence[Line], allowances: Sequence[Allowance], nets: Mapping[VatGroup, int] | None = None
) -> tuple[tuple[Line, ...], tuple[Allowance, ...]]:
    """Lines and allowances whose amounts are gross, with their net shares as amounts and the gross kept beside.

    `nets` are the groups' nets where something else than their own gross decides: a credit note's are differences of two.
    """
    grosses = [(line.tax_category, line.tax_rate_bp, line.amount_minor) for line in lines]
    grosses += [(one.tax_category, one.tax_rate_bp, -one.amount_minor) for one in allowances]
    shares = [0] * len(grosses)
    for group in dict.fromkeys((category, rate_bp) for category, rate_bp, _ in grosses):
        own = [index for index, (category, rate_bp, _) in enumerate(grosses) if (category, rate_bp) == group]
        exact = [Fraction(grosses[index][2] * 10_000, 10_000 + group[1]) for index in own]
        for index, part in zip(own, _shares(group, exact, nets), strict=True):
            shares[index] = part
    made = tuple(
        replace(line, amount_minor=share, gross_minor=line.amount_minor)
        for line, share in zip(lines, shares[: len(lines)], strict=True)
    )
    allowed = tuple(
        replace(one, amount_minor=-share, gross_minor=one.amount_minor)
        for one, share in zip(allowances, shares[len(lines) :], strict=True)
    )
    return made, allowed


def _shares(group: VatGroup, exact: Sequence[Fraction], nets: Mapping[VatGroup, int] | None) -> list[int]:
    whole = sum(exact, Fraction(0))
    rounded = half_up(whole.numerator, whole.denominator)
    parts = split_fractions(rounded, exact)
    if nets is not None and exact:
        # A cent between two rounded sums: the largest share bears it.
        largest = max(range(len(parts)), key=lambda index: abs(parts[index]))
        parts[largest] += nets[group] - rounded
    return parts


def grossed(lines: Sequence[Line]) -> list[Line]:
    """The lines with their gross as amounts, as deductions need them; those that have none stay."""
    return [
        line if line.gross_minor is None else replace(line, amount_minor=line.gross_minor, gross_minor=None)
        for line in lines
    ]


def grossed_allowances(allowances: Sequence[Allowance]) -> list[Allowance]:
    """The allowances with their gross as amounts; those that have none stay."""
    return [
        one if one.gross_minor is None else replace(one, amount_minor=one.gross_minor, gross_minor=None)
        for one in allowances
    ]


def families(gross: Mapping[str, int], minor: int) -> dict[str, int]:
    """What is not revenue of a group's gross (its tax and rounding), shared over the families in proportion to their gross."""
    names = sorted(gross)
    if not names:
        return {}
    weights = [max(0, gross[name]) for name in names]
    return dict(zip(names, largest_remainder(minor, weights), strict=True))


def revenue_parts(gross: Mapping[str, int], group_minor: int, rate_bp: int) -> dict[str, tuple[int, int]]:
    """{family: (tax, rounding)} of one VAT group's gross `group_minor`, `gross` being that of its lines by family; the cent left over
    is the largest family's."""
    if not gross:
        return {}
    _, tax_minor, cent = split(group_minor, rate_bp)
    taken = families(gross, tax_minor + cent)
    largest = max(sorted(gross), key=lambda name: gross[name])
    return {name: (minor - cent, cent) if name == largest else (minor, 0) for name, minor in taken.items()}


def postings(document: InvoiceDocument) -> list[tuple[str, str, str, int]]:
    """(kind, debit, credit, minor units) of an invoice whose prices include tax: gross, tax out of revenue, the cent left over."""
    wanted = [("invoice_issue", "receivable", "unbilled", document.payable_minor)]
    for group in document.taxes:
        key = (group.category, group.rate_bp)
        parts = revenue_parts(gross_by_family(document, key), group_gross(document, key), group.rate_bp)
        for family, (tax_minor, cent) in parts.items():
            wanted.append(("rounding", f"revenue:{family}", "rounding", cent))
            wanted.append(("tax_inclusive", f"revenue:{family}", f"tax:{group.jurisdiction}", tax_minor))
    return wanted


def group_gross(document: InvoiceDocument, group: VatGroup) -> int:
    """Gross of one VAT group: lines less allowances."""
    charged = [line.booked_minor for line in document.lines if (line.tax_category, line.tax_rate_bp) == group]
    allowed = [one.booked_minor for one in document.allowances if (one.tax_category, one.tax_rate_bp) == group]
    return sum(charged) - sum(allowed)


def gross_by_family(document: InvoiceDocument, group: VatGroup) -> dict[str, int]:
    """Gross of the lines of one VAT group, by family."""
    found: dict[str, int] = {}
    for line in document.lines:
        if (line.tax_category, line.tax_rate_bp) == group:
            family = line.family or ""
            found[family] = found.get(family, 0) + line.booked_minor
    return found
