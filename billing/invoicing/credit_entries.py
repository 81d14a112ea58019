"""The ledger entries of a credit note: what had been taken off goes back to where it came from, the rest to the tenant. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from billing.invoicing import credits
from billing.invoicing.documents.model import Allowance
from billing.kernel.money import Money
from billing.ledger import promos
from billing.ledger.entries import Entry


@dataclass(frozen=True, kw_only=True)
class Billed:
    """A credited line of the invoice: whose revenue it was, or the commitment that it sold or drew down."""

    line_id: str
    family: str | None
    contract_id: str | None
    is_drawdown: bool


@dataclass(frozen=True, kw_only=True)
class _Source:
    """A book account that a credit takes from, with the contract that its entries name, if any."""

    name: str
    contract_id: str | None = None


def of(
    note_id: str,
    figures: credits.Credit,
    billed: Sequence[Billed],
    allowances: Sequence[Allowance],
    *,
    to_receivable_minor: int,
    currency: str,
    is_reissued: bool = False,
) -> list[Entry]:
    """Revenue by family (deferred for the sale of a commitment) and tax by country: first back to commitment, discount and promo
    (commit_return, discount_return, promo_return), then against the receivable (credit_note), then to the wallet (refund_credit).

    `is_reissued`: the charges are billed again, so that all of it comes out of `unbilled` instead of revenue.

    A family or a tax below zero (late corrections that outweigh the rest of it) takes its part back from where the others go; whoever
    calls refuses a document whose total is below zero.
    """
    revenue_of = _unbilled if is_reissued else _revenue
    sources = _sources(figures, billed, revenue_of)
    returned = _commit_returns(note_id, figures, billed, sources, currency, revenue_of)
    returned += _allowance_returns(note_id, figures, allowances, sources, currency)
    if figures.inclusive is not None:
        given = _to_tenant(note_id, sources, to_receivable_minor, currency)
        return [*returned, *given, *_inclusive(note_id, figures.inclusive, currency)]
    for group in figures.groups:
        source = _Source(name=f"tax:{group.treatment.jurisdiction}")
        sources[source] = sources.get(source, 0) + group.tax_minor
    # The cent that is no net plus its VAT (BT-114) is not revenue; a commitment's money cannot stand for it either.
    cent, detail = figures.rounding_minor, {"credit_note": note_id}
    made: list[Entry] = []
    revenue = max(
        (each for each in sources if each.name.startswith("revenue:")), key=lambda each: sources[each], default=None
    )
    if revenue is not None and sources[revenue] + cent > 0:
        sources[revenue] += cent
        sides = ("rounding", revenue.name) if cent > 0 else (revenue.name, "rounding")
        made = [_entry("rounding", *sides, abs(cent), currency, detail)] if cent else []
    elif cent > 0:
        sources[_Source(name="rounding")] = cent
    elif cent < 0:  # what the sources hold above what is given back goes to the wallet and leaves it again
        made = [_entry("rounding", "wallet", "rounding", -cent, currency, detail)]
    made = _to_tenant(note_id, sources, to_receivable_minor, currency) + made
    return [*returned, *made]


def _inclusive(note_id: str, parts: Sequence[credits.InclusivePart], currency: str) -> list[Entry]:
    """Where prices include tax: tax and rounding that were taken out of revenue go back into it (tax_inclusive, rounding)."""
    made, detail = [], {"credit_note": note_id}
    for part in parts:
        revenue = f"revenue:{part.family}"
        for kind, name, minor in (
            ("tax_inclusive", f"tax:{part.jurisdiction}", part.tax_minor),
            ("rounding", "rounding", part.rounding_minor),
        ):
            if minor:
                sides = (name, revenue) if minor > 0 else (revenue, name)
                made.append(_entry(kind, *sides, abs(minor), currency, detail))
    return made


def _revenue(family: str | None) -> str:
    return f"revenue:{family}"


def _unbilled(_family: str | None) -> str:
    return "unbilled"


def _sources(
    figures: credits.Credit, billed: Sequence[Billed], revenue_of: Callable[[str | None], str]
) -> dict[_Source, int]:
    sources: dict[_Source, int] = {}
    for line in billed:
        if line.is_drawdown:
            continue
        if line.contract_id is not None:
            source = _Source(name="deferred", contract_id=line.contract_id)
        else:
            source = _Source(name=revenue_of(line.family))
        sources[source] = sources.get(source, 0) + figures.lines[line.line_id]
    return sources


def _commit_returns(
    note_id: str,
    figures: credits.Credit,
    billed: Sequence[Billed],
    sources: dict[_Source, int],
    currency: str,
    revenue_of: Callable[[str | None], str],
) -> list[Entry]:
    made = []
    for line in billed:
        for family, minor in figures.covers.get(line.line_id, {}).items():
            source = _Source(name=revenue_of(family))
            sources[source] -= minor
            detail = {"credit_note": note_id, "contract_id": str(line.contract_id)}
            made.append(_entry("commit_return", source.name, "deferred", minor, currency, detail))
    return made


def _allowance_returns(
    note_id: str,
    figures: credits.Credit,
    allowances: Sequence[Allowance],
    sources: dict[_Source, int],
    currency: str,
) -> list[Entry]:
    made: list[Entry] = []
    for one in allowances:
        left = figures.allowances.get(one.seq, 0)
        for source in sorted(sources, key=lambda each: each.name):
            part = min(left, sources[source])
            if part <= 0:
                continue
            sources[source] -= part
            left -= part
            detail = {"credit_note": note_id}
            if one.grant_id is None:
                made.append(_entry("discount_return", source.name, "discount", part, currency, detail))
            else:
                use = promos.Use(grant_id=one.grant_id, amount_minor=part)
                made += promos.return_entries(revenue=source.name, currency=currency, uses=[use], detail=detail)
    return made


def _to_tenant(note_id: str, sources: Mapping[_Source, int], to_receivable_minor: int, currency: str) -> list[Entry]:
    below = {source: -amount_minor for source, amount_minor in sources.items() if amount_minor < 0}
    made, left = [], to_receivable_minor
    if below:
        kind, place = ("credit_note", "receivable") if to_receivable_minor else ("refund_credit", "wallet")
        detail = {"credit_note": note_id}
        for source, amount_minor in sorted(below.items(), key=lambda item: item[0].name):
            made.append(_entry(kind, place, source.name, amount_minor, currency, detail))
        left += sum(below.values()) if to_receivable_minor else 0
    for source, amount_minor in sorted(sources.items(), key=lambda item: item[0].name):
        first = min(left, max(0, amount_minor))
        left -= first
        detail = {"credit_note": note_id}
        if source.contract_id is not None:
            detail["contract_id"] = source.contract_id
        for kind, place, part in (
            ("credit_note", "receivable", first),
            ("refund_credit", "wallet", amount_minor - first),
        ):
            if part > 0:
                made.append(_entry(kind, source.name, place, part, currency, detail))
    return made


def _entry(kind: str, debit: str, credit: str, amount_minor: int, currency: str, detail: dict[str, str]) -> Entry:
    return Entry(
        kind=kind, debit=debit, credit=credit, amount=Money(minor=amount_minor, currency=currency), detail=detail
    )
