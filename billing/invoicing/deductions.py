"""What is taken off a document before tax: commitments drawn down, discounts, promo money; in this order. Pure.

A drawdown is a negative line naming the invoice of the commitment's sale, which has been taxed already, so only what goes beyond it
is taxed. Discounts and promo are allowances on the document (BG-20), one per VAT group, and lower its VAT.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from billing.invoicing import quantities
from billing.invoicing.documents.model import Allowance, Line
from billing.kernel.ids import new_id
from billing.kernel.money import Money
from billing.kernel.rounding import largest_remainder

VatGroup = tuple[str, int]
"""Category and rate in basis points."""


@dataclass(frozen=True, kw_only=True)
class Commitment:
    """A commitment that may be drawn down: net minor units left, by charges of which families ([]: all) and billing periods."""

    contract_id: str
    name: str
    sale_number: str
    families: tuple[str, ...]
    period_labels: frozenset[str]
    left_minor: int


@dataclass(frozen=True, kw_only=True)
class Gift:
    """A promo grant with what is left of it, in minor units."""

    grant_id: str
    reason: str
    left_minor: int


@dataclass(frozen=True, kw_only=True)
class Discount:
    """A discount that was given on the document, in minor units before tax."""

    reason: str
    amount_minor: int


@dataclass(frozen=True, kw_only=True)
class Available:
    """All that may be taken off, each kind in the order in which it is used."""

    commitments: Sequence[Commitment] = ()
    discounts: Sequence[Discount] = ()
    gifts: Sequence[Gift] = ()


@dataclass(kw_only=True)
class _Rest:
    """What is left of a document's charges while things are taken off: by bucket, by family and by VAT group."""

    buckets: dict[tuple[VatGroup, str, str], int] = field(default_factory=dict)
    families: dict[tuple[VatGroup, str], int] = field(default_factory=dict)
    groups: dict[VatGroup, int] = field(default_factory=dict)

    @property
    def total_minor(self) -> int:
        return sum(self.groups.values())

    def room(self, group: VatGroup, family: str, label: str) -> int:
        """How much can be taken off one bucket so that neither it nor anything it belongs to falls below zero."""
        whole_family = sum(minor for (_, name), minor in self.families.items() if name == family)
        of_group = (self.buckets[group, family, label], self.families[group, family], self.groups[group])
        return min(*of_group, whole_family, self.total_minor)

    def move(self, group: VatGroup, family: str, label: str, amount_minor: int) -> None:
        bucket, of_family = (group, family, label), (group, family)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + amount_minor
        self.families[of_family] = self.families.get(of_family, 0) + amount_minor
        self.groups[group] = self.groups.get(group, 0) + amount_minor


def apply(
    charged: Sequence[Line], available: Available, *, currency: str
) -> tuple[tuple[Line, ...], tuple[Allowance, ...]]:
    """The lines with drawdowns behind them, and the allowances. Nothing takes a document, a VAT group or a family below zero."""
    rest = _Rest()
    for line in charged:
        rest.move(_group(line), line.family or "", line.period_label or "", line.amount_minor)
    made = [line for commitment in available.commitments for line in _draw(commitment, rest, currency)]
    drawn = [replace(line, seq=seq) for seq, line in enumerate(made, start=len(charged) + 1)]
    allowances: list[Allowance] = []
    for discount in available.discounts:
        for group, part in _over_groups(rest, discount.amount_minor):
            allowances.append(_allowance(allowances, group, part, "discount", None, discount.reason))
    for gift in available.gifts:
        for group, part in _over_groups(rest, gift.left_minor):
            allowances.append(_allowance(allowances, group, part, "promo", gift.grant_id, gift.reason))
    return (*charged, *drawn), tuple(allowances)


def covered(
    charged: Mapping[tuple[str, str], int], commitments: Sequence[Commitment], *, currency: str
) -> dict[str, int]:
    """{contract: what it would take off charges, {(family, period label): minor units}}, all of one VAT group."""
    rest = _Rest()
    for (family, label), minor in charged.items():
        rest.move(("", 0), family, label, minor)
    return by_contract([line for commitment in commitments for line in _draw(commitment, rest, currency)])


def is_drawdown(line: Line) -> bool:
    """Whether the line draws a commitment down."""
    return bool(line.covers)


def discounts_of(allowances: Iterable[Allowance]) -> list[Discount]:
    """The discounts as they were given, before they were shared out over VAT groups; with tax where prices include it."""
    sums: dict[str, int] = {}
    for one in allowances:
        if one.kind == "discount":
            sums[one.reason] = sums.get(one.reason, 0) + one.booked_minor
    return [Discount(reason=reason, amount_minor=amount) for reason, amount in sums.items()]


def by_contract(lines: Iterable[Line]) -> dict[str, int]:
    """{contract: minor units drawn down} of a document's lines."""
    drawn: dict[str, int] = {}
    for line in lines:
        if is_drawdown(line) and line.contract_id is not None:
            drawn[line.contract_id] = drawn.get(line.contract_id, 0) - line.amount_minor
    return drawn


def by_grant(allowances: Iterable[Allowance]) -> dict[str, int]:
    """{grant: minor units used} of a document's allowances."""
    used: dict[str, int] = {}
    for one in allowances:
        if one.grant_id is not None:
            used[one.grant_id] = used.get(one.grant_id, 0) + one.booked_minor
    return used


def _draw(commitment: Commitment, rest: _Rest, currency: str) -> list[Line]:
    """One line per VAT group in which it covers anything."""
    left, covered = commitment.left_minor, dict[VatGroup, dict[str, int]]()
    for group, family, label in sorted(rest.buckets):
        if commitment.families and family not in commitment.families:
            continue
        if label not in commitment.period_labels:
            continue
        room = rest.room(group, family, label)
        part = min(left, room)
        if part <= 0:
            continue
        rest.move(group, family, label, -part)
        left -= part
        families = covered.setdefault(group, {})
        families[family] = families.get(family, 0) + part
    return [_drawdown_line(commitment, group, families, currency) for group, families in covered.items()]


def _drawdown_line(commitment: Commitment, group: VatGroup, covers: Mapping[str, int], currency: str) -> Line:
    amount_minor = sum(covers.values())
    parts = [
        f"{family} {quantities.grouped(_plain(minor, currency))}" for family, minor in sorted(covers.items()) if family
    ]
    return Line(
        id=new_id("inl"),
        seq=0,
        description=f"Commitment {commitment.name}",
        detail=" · ".join((f"Paid in advance with invoice {commitment.sale_number}", f"covers {', '.join(parts)}")),
        quantity_text="-1",
        unit="item",
        unit_price_text=_plain(amount_minor, currency),
        price_base_text="1",
        beside_text="",
        priced_unit="item",
        amount_minor=-amount_minor,
        tax_category=group[0],
        tax_rate_bp=group[1],
        contract_id=commitment.contract_id,
        covers=dict(covers),
    )


def _over_groups(rest: _Rest, amount_minor: int) -> list[tuple[VatGroup, int]]:
    """The amount, or as much of it as there is room for, over the VAT groups in proportion to what is left of each."""
    groups = sorted(rest.groups)
    room = [max(0, rest.groups[group]) for group in groups]
    taken = min(amount_minor, rest.total_minor)
    if taken <= 0:
        return []
    parts = [(group, part) for group, part in zip(groups, largest_remainder(taken, room), strict=True) if part]
    for group, part in parts:
        rest.groups[group] -= part
    return parts


def _allowance(
    before: Sequence[Allowance], group: VatGroup, amount_minor: int, kind: str, grant_id: str | None, reason: str
) -> Allowance:
    return Allowance(
        seq=len(before) + 1,
        kind=kind,
        grant_id=grant_id,
        reason=reason,
        tax_category=group[0],
        tax_rate_bp=group[1],
        amount_minor=amount_minor,
    )


def _group(line: Line) -> VatGroup:
    return line.tax_category, line.tax_rate_bp


def _plain(minor: int, currency: str) -> str:
    return f"{Money(minor=minor, currency=currency).to_decimal():f}"
