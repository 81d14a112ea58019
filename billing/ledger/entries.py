"""What may be posted: entry kinds, and the ledger accounts each of them moves. Pure.

The table of money.md ("Ledger accounts and postings") as data. A name is a base, with a part after the colon where the base
needs one: `revenue:compute`, `tax:DE`, `cash:stripe`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from billing.kernel.money import MAX_MINOR, Money
from billing.ledger.errors import EntryRefused

TENANT_NAMES = (
    "wallet",
    "promo",
    "unbilled",
    "receivable",
    "disputed",
    "refund_pending",
    "deferred",
    "reseller_payable",
)
BALANCE_NAMES = ("wallet", "promo", "unbilled", "receivable", "disputed", "deferred")
"""The names whose sum is the tenant's balance."""

HOUSE_NAMES = (
    "cash",
    "revenue",
    "discount",
    "tax",
    "processor_fees",
    "dispute_fees",
    "bad_debt",
    "promo_expense",
    "commission",
    "breakage",
    "rounding",
    "fx_clearing",
    "fx_result",
)
_WITH_PART = frozenset({"cash", "revenue", "tax"})
_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


def _pairs(debits: str, credits: str, *, swapped: bool = False) -> frozenset[tuple[str, str]]:
    found = {(debit, credit) for debit in debits.split() for credit in credits.split()}
    return frozenset(found | {(credit, debit) for debit, credit in found} if swapped else found)


_ANY = frozenset[tuple[str, str]]()  # an adjustment mirrors whatever it corrects

KINDS: dict[str, frozenset[tuple[str, str]]] = {
    "usage_debit": _pairs("unbilled", "revenue", swapped=True),
    "opening_charge": _pairs("unbilled", "revenue", swapped=True),
    "closing_charge": _pairs("unbilled", "revenue", swapped=True),
    "promo_apply": _pairs("promo", "unbilled"),
    "discount": _pairs("discount", "unbilled"),
    # A document may hold a line or a tax group below zero; its entry swaps sides.
    "invoice_issue": _pairs("receivable", "unbilled", swapped=True),
    "tax": _pairs("receivable", "tax", swapped=True),
    "tax_inclusive": _pairs("revenue", "tax", swapped=True),
    "rounding": _pairs("rounding", "revenue receivable wallet", swapped=True),
    "wallet_apply": _pairs("wallet", "receivable"),
    "credit_note": _pairs("revenue tax unbilled deferred rounding", "receivable wallet")
    | _pairs("receivable wallet", "revenue tax unbilled"),  # of a family or a tax below zero
    "refund_credit": _pairs("revenue tax unbilled deferred rounding", "wallet")
    | _pairs("wallet", "revenue tax unbilled"),
    # From `unbilled` where the charges are billed again.
    "promo_return": _pairs("revenue unbilled", "promo"),
    "discount_return": _pairs("revenue unbilled", "discount"),
    "stripe_credit": _pairs("cash", "wallet receivable"),
    "bank_credit": _pairs("cash", "wallet receivable"),
    "payout": _pairs("cash", "cash"),
    "processor_fee": _pairs("processor_fees", "cash", swapped=True),
    "dispute_fee": _pairs("dispute_fees", "cash", swapped=True),
    "fx_provider": _pairs("fx_clearing", "cash", swapped=True),
    "admin_credit": _pairs("promo_expense", "promo"),
    "promo_grant": _pairs("promo_expense", "promo"),
    "promo_expiry": _pairs("promo", "promo_expense"),
    "refund_hold": _pairs("wallet", "refund_pending"),
    "provider_refund": _pairs("refund_pending", "cash"),
    "bank_refund": _pairs("refund_pending", "cash"),
    "refund_release": _pairs("refund_pending", "wallet"),
    "refund_return": _pairs("cash", "wallet"),
    "chargeback_debit": _pairs("disputed", "cash"),
    "chargeback_reversal": _pairs("cash", "disputed"),
    # Swapped where money comes back after the loss.
    "chargeback_final": _pairs("receivable wallet", "disputed", swapped=True),
    "write_off": _pairs("bad_debt tax", "receivable wallet"),
    "write_off_reversal": _pairs("receivable wallet", "bad_debt tax"),
    "commit_sale": _pairs("receivable", "deferred tax"),
    "commit_drawdown": _pairs("deferred", "unbilled"),
    "commit_return": _pairs("revenue unbilled", "deferred"),
    "commit_lapse": _pairs("deferred", "breakage"),
    "fx_conversion": _pairs("fx_clearing", "unbilled receivable revenue", swapped=True),
    "fx_result": _pairs("fx_clearing", "fx_result", swapped=True),
    "reseller_margin": _pairs("commission", "reseller_payable", swapped=True),
    "reseller_tax": _pairs("tax", "reseller_payable"),
    "reseller_payout": _pairs("reseller_payable", "cash"),
    "reseller_collect": _pairs("cash", "reseller_payable"),
    "adjustment": _ANY,
}
"""Entry kind -> the (debit base, credit base) pairs it may move. Empty: any two names (an adjustment)."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One movement to be posted: `amount` (above 0) from the debited to the credited book account, both by name.

    `detail` holds ids, codes and integers only: it is hashed for ever. Raises EntryRefused.
    """

    kind: str
    debit: str
    credit: str
    amount: Money
    detail: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_pair(self.kind, self.debit, self.credit)
        if not 0 < self.amount.minor <= MAX_MINOR:
            raise EntryRefused(reason="amount_out_of_range", kind=self.kind, amount_minor=self.amount.minor)


@lru_cache(maxsize=4096)  # a run of postings asks for the same few thousands of times
def _require_pair(kind: str, debit: str, credit: str) -> None:
    pairs = KINDS.get(kind)
    if pairs is None:
        raise EntryRefused(reason="unknown_kind", kind=kind)
    sides = base_of(debit), base_of(credit)
    if debit == credit:
        raise EntryRefused(reason="one_account", kind=kind, debit=debit)
    if pairs and sides not in pairs:
        raise EntryRefused(reason="wrong_accounts", kind=kind, debit=debit, credit=credit)


@lru_cache(maxsize=4096)
def base_of(name: str) -> str:
    """The base of a ledger account's name: `revenue:compute` -> `revenue`. Raises EntryRefused for a name that is none."""
    base, colon, part = name.partition(":")
    known = base in TENANT_NAMES or base in HOUSE_NAMES
    if not known or bool(colon) != (base in _WITH_PART) or (colon and not _PART.fullmatch(part)):
        raise EntryRefused(reason="unknown_account", name=name[:80])
    return base


def is_house(name: str) -> bool:
    """Whether the ledger account of that name is the seller's own. Raises EntryRefused for a name that is none."""
    return base_of(name) in HOUSE_NAMES


def mirror(entries: Iterable[Entry]) -> list[Entry]:
    """Adjustments that undo the entries: sides swapped, the same amounts, each naming the kind it undoes."""
    return [
        Entry(
            kind="adjustment",
            debit=entry.credit,
            credit=entry.debit,
            amount=entry.amount,
            detail=entry.detail | {"reverses_kind": entry.kind},
        )
        for entry in entries
    ]
