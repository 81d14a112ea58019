"""What a credit note gives back: by line, by amount, or all that is left. Pure.

Any sequence of credits of one invoice telescopes: net per line, VAT per group, and the cent left over (BT-114) end exactly at
the invoice's own figures, whatever the order and the sizes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from billing.invoicing import tax
from billing.invoicing.errors import CreditTooHigh
from billing.kernel.rounding import largest_remainder


@dataclass(frozen=True, kw_only=True)
class CreditableLine:
    """A line of the issued invoice: its net amount and what earlier credit notes took back of it, in minor units."""

    line_id: str
    treatment: tax.Treatment
    amount_minor: int
    credited_minor: int

    @property
    def rest_minor(self) -> int:
        """Net amount that can still be credited."""
        return self.amount_minor - self.credited_minor


@dataclass(frozen=True, kw_only=True)
class Creditable:
    """An issued invoice before one more credit note: lines, and per treatment tax and tax already credited.

    `rounding_before_minor` is the sum of the roundings (BT-114) of earlier credit notes.
    """

    currency: str
    lines: Sequence[CreditableLine]
    tax_minor: Mapping[tax.Treatment, int]
    credited_tax_minor: Mapping[tax.Treatment, int]
    rounding_before_minor: int = 0

    @property
    def rest_minor(self) -> int:
        """What is left to credit, gross."""
        return sum(self.group_rest_minor(treatment) for treatment in self.tax_minor) - self.rounding_before_minor

    def group_rest_minor(self, treatment: tax.Treatment) -> int:
        """Gross rest of one group, before roundings."""
        rest_tax = self.tax_minor[treatment] - self.credited_tax_minor.get(treatment, 0)
        return self.net_rest_minor(treatment) + rest_tax

    def net_rest_minor(self, treatment: tax.Treatment) -> int:
        """Net rest of one group."""
        return sum(line.rest_minor for line in self.lines if line.treatment == treatment)


@dataclass(frozen=True, kw_only=True)
class Credit:
    """One credit note's figures: net per line (line id -> minor), VAT groups, and BT-114. `payable_minor` is what is given back."""

    lines: Mapping[str, int]
    groups: Sequence[tax.Group]
    net_minor: int
    tax_minor: int
    rounding_minor: int

    @property
    def payable_minor(self) -> int:
        """Net + tax + rounding."""
        return self.net_minor + self.tax_minor + self.rounding_minor


def of_rest(invoice: Creditable) -> Credit:
    """Credit all that is left. Raises CreditTooHigh when nothing is."""
    return _credit(invoice, {line.line_id: line.rest_minor for line in invoice.lines if line.rest_minor})


def of_lines(invoice: Creditable, amounts: Mapping[str, int | None]) -> Credit:
    """Credit net amounts of lines; None takes the rest of that line. Raises CreditTooHigh naming the line."""
    by_id = {line.line_id: line for line in invoice.lines}
    chosen: dict[str, int] = {}
    for line_id, amount_minor in amounts.items():
        line = by_id.get(line_id)
        rest = line.rest_minor if line else 0
        wanted = rest if amount_minor is None else amount_minor
        # A negative line (a correction) is taken back by a negative credit, at most to zero.
        if wanted == 0 or (wanted > 0) != (rest > 0) or abs(wanted) > abs(rest):
            raise CreditTooHigh(requested_minor=wanted, creditable_minor=rest, currency=invoice.currency, line=line_id)
        chosen[line_id] = wanted
    return _credit(invoice, chosen)


def of_amount(invoice: Creditable, amount_minor: int) -> Credit:
    """Credit a gross amount, spread over the lines in proportion to what is left of each.

    Not every gross amount is a net plus its VAT (at 23 % none gives 0.03): the cent or cents left over are BT-114, and the next
    credit takes them back. Raises CreditTooHigh above what is left or for nothing.
    """
    if not 0 < amount_minor <= invoice.rest_minor:
        raise CreditTooHigh(
            requested_minor=amount_minor, creditable_minor=invoice.rest_minor, currency=invoice.currency
        )
    treatments = list(invoice.tax_minor)
    target = amount_minor + invoice.rounding_before_minor
    shares = largest_remainder(target, [max(0, invoice.group_rest_minor(treatment)) for treatment in treatments])
    chosen: dict[str, int] = {}
    for treatment, share in zip(treatments, shares, strict=True):
        net_minor = _net_within(invoice, treatment, share)
        lines = [line for line in invoice.lines if line.treatment == treatment]
        if net_minor == invoice.net_rest_minor(treatment):
            chosen.update({line.line_id: line.rest_minor for line in lines})
        else:
            parts = largest_remainder(net_minor, [max(0, line.rest_minor) for line in lines])
            chosen.update({line.line_id: part for line, part in zip(lines, parts, strict=True)})
    chosen = {line_id: part for line_id, part in chosen.items() if part}
    return _credit(invoice, chosen or _least(invoice, amount_minor), payable_minor=amount_minor)


def _least(invoice: Creditable, amount_minor: int) -> dict[str, int]:
    """One minor unit of net for an amount too small to hold it with its VAT: a document has at least one line (BR-16)."""
    line = max(invoice.lines, key=lambda line: line.rest_minor)
    if line.rest_minor < 2:
        raise CreditTooHigh(
            requested_minor=amount_minor,
            creditable_minor=invoice.rest_minor,
            currency=invoice.currency,
            reason="credit_the_rest",
        )
    return {line.line_id: 1}


def _net_within(invoice: Creditable, treatment: tax.Treatment, gross_minor: int) -> int:
    """The largest net of the group whose net plus credit VAT does not pass `gross_minor`."""
    rest = invoice.net_rest_minor(treatment)
    low, high = 0, max(0, min(rest, gross_minor + 1))
    while low < high:
        middle = (low + high + 1) // 2
        if middle + _group_tax(invoice, treatment, middle) <= gross_minor:
            low = middle
        else:
            high = middle - 1
    return low


def _group_tax(invoice: Creditable, treatment: tax.Treatment, net_minor: int) -> int:
    credited = sum(line.credited_minor for line in invoice.lines if line.treatment == treatment)
    return tax.credit_tax(
        credited_before_minor=credited,
        credited_tax_before_minor=invoice.credited_tax_minor.get(treatment, 0),
        net_minor=net_minor,
        rate_bp=treatment.rate_bp,
    )


def _credit(invoice: Creditable, chosen: Mapping[str, int], *, payable_minor: int | None = None) -> Credit:
    if not chosen and payable_minor is None:
        raise CreditTooHigh(requested_minor=0, creditable_minor=invoice.rest_minor, currency=invoice.currency)
    groups = []
    for treatment in invoice.tax_minor:
        net = sum(chosen.get(line.line_id, 0) for line in invoice.lines if line.treatment == treatment)
        group_tax = _group_tax(invoice, treatment, net)
        if net or group_tax:
            groups.append(tax.Group(treatment=treatment, taxable_minor=net, tax_minor=group_tax))
    net_minor = sum(group.taxable_minor for group in groups)
    tax_minor = sum(group.tax_minor for group in groups)
    if payable_minor is not None:
        rounding_minor = payable_minor - net_minor - tax_minor
    else:
        is_whole = all(line.rest_minor == chosen.get(line.line_id, 0) for line in invoice.lines)
        rounding_minor = -invoice.rounding_before_minor if is_whole else 0
    return Credit(
        lines=dict(chosen), groups=groups, net_minor=net_minor, tax_minor=tax_minor, rounding_minor=rounding_minor
    )
