"""What a credit note gives back: by line, by amount, or all that is left. Pure.

Any sequence of credits of one invoice telescopes: net per line, what had been taken off it, VAT per group, and the cent left over
(BT-114) end exactly at the invoice's own figures, whatever the order and the sizes. What had been taken off comes back in the share
in which its charges are credited: a drawdown to its commitment, promo and discount to where they came from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from billing.invoicing import tax
from billing.invoicing.errors import CreditTooHigh
from billing.invoicing.taxes import inclusive
from billing.kernel.rounding import half_up, largest_remainder


@dataclass(frozen=True, kw_only=True)
class CreditableLine:
    """A line of the issued invoice: its net amount and what earlier credit notes took back of it, in minor units.

    A drawdown is below zero; it `covers` what it took off each family's charges and follows the lines that are credited.
    `limit_minor` is the most that may still be credited, where something else than the invoice sets it.
    """

    line_id: str
    treatment: tax.Treatment
    amount_minor: int
    credited_minor: int
    family: str = ""
    covers: Mapping[str, int] = field(default_factory=dict)
    covers_credited: Mapping[str, int] = field(default_factory=dict)
    limit_minor: int | None = None

    @property
    def rest_minor(self) -> int:
        """Net amount that can still be credited."""
        rest = self.amount_minor - self.credited_minor
        return rest if self.limit_minor is None else min(rest, self.limit_minor)


@dataclass(frozen=True, kw_only=True)
class CreditableAllowance:
    """An allowance of the issued invoice, and what earlier credit notes gave back of it."""

    seq: int
    treatment: tax.Treatment
    amount_minor: int
    returned_minor: int


@dataclass(frozen=True, kw_only=True)
class Creditable:
    """An issued invoice before one more credit note: lines, allowances, and per treatment tax and tax already credited.

    `rounding_before_minor` is the sum of the roundings (BT-114) of earlier credit notes. `charges_credited_minor` is what credit notes of
    other charges that name the invoice gave back, gross per treatment: all that name it never give back more than it asked for.
    """

    currency: str
    lines: Sequence[CreditableLine]
    tax_minor: Mapping[tax.Treatment, int]
    credited_tax_minor: Mapping[tax.Treatment, int]
    allowances: Sequence[CreditableAllowance] = ()
    rounding_before_minor: int = 0
    includes_tax: bool = False  # amounts are gross, as the books hold them; nothing is left over between credits
    charges_credited_minor: Mapping[tax.Treatment, int] = field(default_factory=dict)

    @property
    def rest_minor(self) -> int:
        """What is left to credit, gross."""
        return max(0, self.lines_rest_minor - sum(self.charges_credited_minor.values()))

    @property
    def lines_rest_minor(self) -> int:
        """What is left of the invoice's own lines, gross: what must be credited before its charges can be billed again."""
        return sum(self.group_rest_minor(treatment) for treatment in self.tax_minor) - self.rounding_before_minor

    @property
    def charges(self) -> Sequence[CreditableLine]:
        """The lines that can be asked for: all but drawdowns."""
        return [line for line in self.lines if not line.covers]

    def group_rest_minor(self, treatment: tax.Treatment) -> int:
        """Gross rest of one group, before roundings."""
        net_minor = self.net_rest_minor(treatment)
        if self.includes_tax:
            return net_minor
        return net_minor + _group_tax(self, treatment, net_minor)

    def net_rest_minor(self, treatment: tax.Treatment) -> int:
        """Net rest of one group."""
        lines = sum(line.rest_minor for line in self.lines if line.treatment == treatment)
        allowed = [one.amount_minor - one.returned_minor for one in self.allowances if one.treatment == treatment]
        return lines - sum(allowed)


@dataclass(frozen=True, kw_only=True)
class InclusivePart:
    """What a family's revenue gets back of the tax and the rounding that were taken out of its gross."""

    family: str
    jurisdiction: str
    tax_minor: int
    rounding_minor: int


@dataclass(frozen=True, kw_only=True)
class Credit:
    """One credit note's figures: net per line (line id -> minor), VAT groups, and BT-114. `payable_minor` is what is given back.

    `lines` has the drawdowns that come back, below zero, and `covers` their parts by family; `allowances` (seq -> minor) what
    comes back of promo and discounts.
    """

    lines: Mapping[str, int]
    groups: Sequence[tax.Group]
    net_minor: int
    tax_minor: int
    rounding_minor: int
    covers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    allowances: Mapping[int, int] = field(default_factory=dict)
    inclusive: Sequence["InclusivePart"] | None = (
        None  # where prices include tax: `lines` and `allowances` are gross then
    )
    tax_before_minor: int = 0  # VAT that earlier credit notes gave back

    @property
    def payable_minor(self) -> int:
        """Net + tax + rounding."""
        return self.net_minor + self.tax_minor + self.rounding_minor


@dataclass(frozen=True, kw_only=True)
class _Returned:
    """What comes back when some more of the charges is credited: by drawdown and family, and by allowance."""

    covers: Mapping[str, Mapping[str, int]]
    allowances: Mapping[int, int]

    def minor(self, invoice: Creditable, treatment: tax.Treatment) -> int:
        """Its sum in one VAT group."""
        drawn = [self.covers.get(line.line_id, {}) for line in invoice.lines if line.treatment == treatment]
        allowed = [self.allowances.get(one.seq, 0) for one in invoice.allowances if one.treatment == treatment]
        return sum(sum(families.values()) for families in drawn) + sum(allowed)


def of_rest(invoice: Creditable) -> Credit:
    """Credit all that is left. Raises CreditTooHigh when nothing is."""
    if any(invoice.charges_credited_minor.values()):
        return of_amount(invoice, invoice.rest_minor)
    return of_own_lines(invoice)


def of_own_lines(invoice: Creditable) -> Credit:
    """Credit all that is left of the invoice's own lines, whatever other credit notes gave back: its charges are billed again."""
    return _credit(invoice, {line.line_id: line.rest_minor for line in invoice.charges if line.rest_minor})


def of_lines(invoice: Creditable, amounts: Mapping[str, int | None]) -> Credit:
    """Credit net amounts of lines; None takes the rest of that line.

    Raises CreditTooHigh naming the line, or where the lines come to more than is left of the invoice: lines below zero are credited
    with those that they are set against.
    """
    by_id = {line.line_id: line for line in invoice.charges}
    chosen: dict[str, int] = {}
    for line_id, amount_minor in amounts.items():
        line = by_id.get(line_id)
        rest = line.rest_minor if line else 0
        wanted = rest if amount_minor is None else amount_minor
        # A negative line (a correction) is taken back by a negative credit, at most to zero.
        if wanted == 0 or (wanted > 0) != (rest > 0) or abs(wanted) > abs(rest):
            raise CreditTooHigh(requested_minor=wanted, creditable_minor=rest, currency=invoice.currency, line=line_id)
        chosen[line_id] = wanted
    made = _credit(invoice, chosen)
    if made.payable_minor > max(0, invoice.rest_minor):
        raise CreditTooHigh(
            requested_minor=made.payable_minor, creditable_minor=invoice.rest_minor, currency=invoice.currency
        )
    return made


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
    before = invoice.charges_credited_minor
    left = [max(0, invoice.group_rest_minor(treatment) - before.get(treatment, 0)) for treatment in treatments]
    if sum(left) < target:  # they gave back of one rate more than the invoice asked for at it
        left = [max(0, invoice.group_rest_minor(treatment)) for treatment in treatments]
    shares = largest_remainder(target, left)
    chosen: dict[str, int] = {}
    for treatment, share in zip(treatments, shares, strict=True):
        lines = [line for line in invoice.charges if line.treatment == treatment]
        parts = _within(invoice, treatment, lines, share)
        if _net(invoice, treatment, parts) == invoice.net_rest_minor(treatment):
            parts = {line.line_id: line.rest_minor for line in lines}
        chosen.update(parts)
    chosen = {line_id: part for line_id, part in chosen.items() if part}
    return _credit(invoice, chosen or _least(invoice, amount_minor), payable_minor=amount_minor)


def _least(invoice: Creditable, amount_minor: int) -> dict[str, int]:
    """One minor unit of net for an amount too small to hold it with its VAT: a document has at least one line (BR-16)."""
    line = max(invoice.charges, key=lambda line: line.rest_minor)
    if line.rest_minor < 2:
        raise CreditTooHigh(
            requested_minor=amount_minor,
            creditable_minor=invoice.rest_minor,
            currency=invoice.currency,
            reason="credit_the_rest",
        )
    return {line.line_id: 1}


def _within(
    invoice: Creditable, treatment: tax.Treatment, lines: Sequence[CreditableLine], gross_minor: int
) -> dict[str, int]:
    """The most of a group's lines, spread over them, whose net plus credit VAT does not pass `gross_minor`."""
    weights = [max(0, line.rest_minor) for line in lines]
    if not lines:
        return {}

    def spread(charged_minor: int) -> dict[str, int]:
        parts = largest_remainder(charged_minor, weights)
        return {line.line_id: part for line, part in zip(lines, parts, strict=True)}

    low, high = 0, sum(weights)
    while low < high:
        middle = (low + high + 1) // 2
        net_minor = _net(invoice, treatment, spread(middle))
        added_minor = 0 if invoice.includes_tax else _group_tax(invoice, treatment, net_minor)
        if net_minor + added_minor <= gross_minor:
            low = middle
        else:
            high = middle - 1
    return spread(low)


def _net(invoice: Creditable, treatment: tax.Treatment, chosen: Mapping[str, int]) -> int:
    """What crediting these parts of a group's lines comes to, net of what had been taken off them."""
    lines = sum(chosen.get(line.line_id, 0) for line in invoice.charges if line.treatment == treatment)
    return lines - _returned(invoice, chosen).minor(invoice, treatment)


def _group_tax(invoice: Creditable, treatment: tax.Treatment, net_minor: int) -> int:
    lines = sum(line.credited_minor for line in invoice.lines if line.treatment == treatment)
    allowed = sum(one.returned_minor for one in invoice.allowances if one.treatment == treatment)
    return tax.credit_tax(
        credited_before_minor=lines - allowed,
        credited_tax_before_minor=invoice.credited_tax_minor.get(treatment, 0),
        net_minor=net_minor,
        rate_bp=treatment.rate_bp,
    )


def _returned(invoice: Creditable, chosen: Mapping[str, int]) -> _Returned:
    """What comes back with this credit: the share of all charges credited so far, less what came back before.

    What was taken off last comes back first, so that every part is whole and none is ever asked back twice.
    """
    covers: dict[str, dict[str, int]] = {}
    allowances: dict[int, int] = {}
    for treatment in invoice.tax_minor:
        lines = [line for line in invoice.lines if line.treatment == treatment]
        charges = [line for line in lines if not line.covers]
        drawdowns = [line for line in lines if line.covers]
        before = {line.line_id: line.covers_credited for line in drawdowns}
        for family in sorted({name for line in drawdowns for name in line.covers}):
            of_family = [line for line in charges if line.family == family]
            share = _share(of_family, chosen, sum(line.covers.get(family, 0) for line in drawdowns))
            for line in reversed(drawdowns):
                held = line.covers.get(family, 0)
                part = min(held, share)
                share -= part
                if part > before[line.line_id].get(family, 0):
                    covers.setdefault(line.line_id, {})[family] = part - before[line.line_id].get(family, 0)
        drawn_minor = -sum(line.amount_minor for line in drawdowns)
        back_minor = -sum(line.credited_minor for line in drawdowns)
        back_minor += sum(sum(covers.get(line.line_id, {}).values()) for line in drawdowns)
        of_group = [one for one in invoice.allowances if one.treatment == treatment]
        whole = sum(line.amount_minor for line in charges) - drawn_minor
        so_far = sum(line.credited_minor + chosen.get(line.line_id, 0) for line in charges) - back_minor
        share = _part(sum(one.amount_minor for one in of_group), so_far, whole)
        for one in reversed(of_group):
            part = min(one.amount_minor, share)
            share -= part
            if part > one.returned_minor:
                allowances[one.seq] = part - one.returned_minor
    return _Returned(covers=covers, allowances=allowances)


def _share(lines: Sequence[CreditableLine], chosen: Mapping[str, int], taken_minor: int) -> int:
    whole = sum(line.amount_minor for line in lines)
    so_far = sum(line.credited_minor + chosen.get(line.line_id, 0) for line in lines)
    return _part(taken_minor, so_far, whole)


def _part(taken_minor: int, so_far_minor: int, whole_minor: int) -> int:
    """The share of what was taken off that belongs to what is credited so far, between nothing and all of it."""
    if whole_minor <= 0 or so_far_minor >= whole_minor:
        return taken_minor if so_far_minor >= whole_minor else 0
    return max(0, half_up(taken_minor * so_far_minor, whole_minor))


def _credit(invoice: Creditable, chosen: Mapping[str, int], *, payable_minor: int | None = None) -> Credit:
    if not chosen and payable_minor is None:
        raise CreditTooHigh(requested_minor=0, creditable_minor=invoice.rest_minor, currency=invoice.currency)
    if invoice.includes_tax:
        return _credit_gross(invoice, chosen)
    returned = _returned(invoice, chosen)
    lines = dict(chosen) | {line_id: -sum(families.values()) for line_id, families in returned.covers.items()}
    groups = []
    for treatment in invoice.tax_minor:
        of_group = [line.line_id for line in invoice.charges if line.treatment == treatment]
        net = _net(invoice, treatment, chosen)
        group_tax = _group_tax(invoice, treatment, net)
        if net or group_tax or any(line_id in chosen for line_id in of_group):
            groups.append(tax.Group(treatment=treatment, taxable_minor=net, tax_minor=group_tax))
    net_minor = sum(group.taxable_minor for group in groups)
    tax_minor = sum(group.tax_minor for group in groups)
    if payable_minor is not None:
        rounding_minor = payable_minor - net_minor - tax_minor
    else:
        is_whole = all(line.rest_minor == chosen.get(line.line_id, 0) for line in invoice.charges)
        rounding_minor = -invoice.rounding_before_minor if is_whole else 0
    return Credit(
        lines=lines,
        groups=groups,
        net_minor=net_minor,
        tax_minor=tax_minor,
        rounding_minor=rounding_minor,
        covers=returned.covers,
        allowances=returned.allowances,
        tax_before_minor=sum(invoice.credited_tax_minor.values()),
    )


def _credit_gross(invoice: Creditable, chosen: Mapping[str, int]) -> Credit:
    """The credit where prices include tax: net and tax of all credited so far, less those of what was credited before."""
    returned = _returned(invoice, chosen)
    groups: list[tax.Group] = []
    parts: list[InclusivePart] = []
    payable_minor = 0
    for treatment in invoice.tax_minor:
        gross_minor = _net(invoice, treatment, chosen)
        before_minor = _credited_gross(invoice, treatment)
        if not gross_minor and not any(
            line.line_id in chosen for line in invoice.charges if line.treatment == treatment
        ):
            continue
        payable_minor += gross_minor
        net_before, tax_before, _ = inclusive.split(before_minor, treatment.rate_bp)
        net_after, tax_after, _ = inclusive.split(before_minor + gross_minor, treatment.rate_bp)
        groups.append(
            tax.Group(treatment=treatment, taxable_minor=net_after - net_before, tax_minor=tax_after - tax_before)
        )
        parts += _revenue_parts(invoice, treatment, chosen, before_minor, before_minor + gross_minor)
    net_minor, tax_minor = sum(group.taxable_minor for group in groups), sum(group.tax_minor for group in groups)
    return Credit(
        lines=dict(chosen),
        groups=groups,
        net_minor=net_minor,
        tax_minor=tax_minor,
        rounding_minor=payable_minor - net_minor - tax_minor,
        allowances=returned.allowances,
        inclusive=parts,
        tax_before_minor=sum(invoice.credited_tax_minor.values()),
    )


def _credited_gross(invoice: Creditable, treatment: tax.Treatment) -> int:
    lines = sum(line.credited_minor for line in invoice.lines if line.treatment == treatment)
    return lines - sum(one.returned_minor for one in invoice.allowances if one.treatment == treatment)


def _revenue_parts(
    invoice: Creditable, treatment: tax.Treatment, chosen: Mapping[str, int], before_minor: int, after_minor: int
) -> list[InclusivePart]:
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for line in invoice.lines:
        if line.treatment == treatment:
            before[line.family] = before.get(line.family, 0) + line.credited_minor
            after[line.family] = after.get(line.family, 0) + line.credited_minor + chosen.get(line.line_id, 0)
    given = inclusive.revenue_parts(before, before_minor, treatment.rate_bp)
    now = inclusive.revenue_parts(after, after_minor, treatment.rate_bp)
    return [
        InclusivePart(
            family=family,
            jurisdiction=treatment.jurisdiction,
            tax_minor=now[family][0] - given[family][0],
            rounding_minor=now[family][1] - given[family][1],
        )
        for family in sorted(now)
    ]
