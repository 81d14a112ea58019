"""What an approval would post, in words and figures: the entries, and the account's figures before and after."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from flask import url_for

from billing.accounts import manual_rates, permissions
from billing.accounts.approval_list import ApprovalRow
from billing.accounts.approvals import ACTS
from billing.catalog import activations, overrides
from billing.kernel.money import Money
from billing.ledger import adjustments, balances, reversal, write_offs
from billing.ledger.entries import BALANCE_NAMES
from billing.payments import refund_authority
from billing.payments.bank import reversals as bank_reversals
from billing.payments.cash import booking as cash_booking
from billing.payments.recovery import linking
from billing.rendering import formats, places
from billing.storage.database import Session
from portal import price_words
from portal.filters import reader_locale
from portal.tenant import words as tenant_words


@dataclass(frozen=True, kw_only=True)
class Posting:
    """One entry: from which book account to which, by what they are called, how much."""

    kind: str
    debit: str
    credit: str
    amount_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of the tenant's, before and after."""

    label: str
    before_minor: int
    after_minor: int
    currency: str


@dataclass(frozen=True, kw_only=True)
class Effect:
    """`figures` only while nothing is decided; `posted_url` once it is posted; `facts` are further lines about the subject."""

    postings: tuple[Posting, ...]
    figures: tuple[Figure, ...]
    facts: tuple[dict[str, Any], ...]
    posted_id: str | None
    posted_url: str | None


def name_of(row: ApprovalRow) -> str:
    """What the request is, without its amount: "Gift", "Reopening of September 2026"."""
    if row.act == "ledger.reopen_period" and isinstance(row.content.get("month"), str):
        return f"Reopening of {tenant_words.month_name(row.content['month'])}"
    if row.act == activations.ACT:
        return f"Prices of {row.content.get('book')}, version {row.content.get('version')}"
    if row.act == overrides.ACT:
        return f"Own price of {row.content.get('sku')}"
    pair = adjustments.PAIRS.get(str(row.content.get("pair")))
    return pair.words if pair else ACTS[row.act].words if row.act in ACTS else row.act


def amount_of(row: ApprovalRow) -> Money | None:
    """Its amount, where it is about one."""
    minor, currency = row.content.get("amount_minor"), row.content.get("currency")
    return Money(minor=minor, currency=currency) if isinstance(minor, int) and isinstance(currency, str) else None


def title_of(row: ApprovalRow) -> str:
    """What the request is, with its amount: "Gift of USD 150.00"."""
    amount = amount_of(row)
    shown = "" if amount is None else f" of {formats.money(amount.minor, amount.currency, locale=reader_locale())}"
    return name_of(row) + shown


def of(session: Session, row: ApprovalRow) -> Effect:
    """What approving the request does, or did."""
    entries = row.content.get("entries", [])
    posted_id = _find_posted(session, row) if row.state == "approved" else None
    return Effect(
        postings=postings_of(entries),
        figures=figures_of(session, row.billing_account_id, entries)
        if row.state == "requested" and row.billing_account_id
        else (),
        facts=_facts(row),
        posted_id=posted_id,
        posted_url=_transaction_url(row.billing_account_id, posted_id),
    )


def postings_of(entries: Sequence[Sequence[Any]]) -> tuple[Posting, ...]:
    """(kind, debit, credit, amount_minor, currency) in words."""
    return tuple(
        Posting(
            kind=tenant_words.kind(kind),
            debit=tenant_words.book_account(debit),
            credit=tenant_words.book_account(credit),
            amount_minor=minor,
            currency=currency,
        )
        for kind, debit, credit, minor, currency in entries
    )


def figures_of(session: Session, account_id: str, entries: Sequence[Sequence[Any]]) -> tuple[Figure, ...]:
    """The tenant's book accounts that the entries move, and the balance they add up to, per currency."""
    figures = []
    for currency in sorted({entry[4] for entry in entries}):
        held = balances.of_account(session, account_id, currency=currency)[0]
        moved: dict[str, int] = {}
        for _kind, debit, credit, minor, of_currency in entries:
            if of_currency == currency:
                moved[debit] = moved.get(debit, 0) - minor
                moved[credit] = moved.get(credit, 0) + minor
        for name in (name for name in BALANCE_NAMES if name in moved):
            before = int(getattr(held, f"{name}_minor"))
            label = tenant_words.book_account(name)
            figures.append(
                Figure(label=label, before_minor=before, after_minor=before + moved[name], currency=currency)
            )
        total = sum(minor for name, minor in moved.items() if name in BALANCE_NAMES)
        figures.append(
            Figure(
                label="Balance",
                before_minor=held.balance_minor,
                after_minor=held.balance_minor + total,
                currency=currency,
            )
        )
    return tuple(figures)


def _facts(row: ApprovalRow) -> tuple[dict[str, Any], ...]:
    if row.act == "ledger.reverse":
        url = _transaction_url(row.billing_account_id, row.subject_id)
        return ({"label": "Transaction to reverse", "id": row.subject_id, "url": url},)
    if row.act == bank_reversals.ACT:
        url = url_for("operator.bank_transfers_detail", transfer_id=row.subject_id)
        return ({"label": "Bank transfer", "id": str(row.content.get("bank_reference")), "url": url},)
    if row.act in (activations.ACT, overrides.ACT):
        return tuple(_price_facts(row))
    if row.act == linking.ACT:
        url = url_for("operator.unmatched_payments_detail", unmatched_id=row.subject_id)
        return ({"label": "Payment", "id": str(row.content.get("provider_payment_id")), "url": url},)
    if row.act == cash_booking.ACT:
        url = url_for("operator.provider_balance_movement", movement_id=row.subject_id)
        seller = {"label": "Seller", "text": str(row.content.get("seller"))}
        return ({"label": "Movement", "id": str(row.content.get("movement")), "url": url}, seller)
    if row.act == manual_rates.ACT:
        return tuple(_rate_facts(row.content))
    if row.act == refund_authority.ACT:
        return tuple(_limit_facts(row.content))
    if row.act == "ledger.reopen_period" and isinstance(row.content.get("month"), str):
        first_on = date.fromisoformat(f"{row.content['month']}-01")
        return ({"label": "Month", "text": formats.month(first_on, locale=reader_locale())},)
    expires_at = adjustments.expiry_of(row.content)
    if expires_at is not None:
        return ({"label": "The gift ends", "text": f"{expires_at:%Y-%m-%d %H:%M} UTC"},)
    if isinstance(row.content.get("with_tax"), bool):
        relief = "is claimed back in its share" if row.content["with_tax"] else "is not claimed back"
        return ({"label": "Invoice", "text": str(row.content.get("number"))}, {"label": "Tax", "text": relief})
    return ()


def _limit_facts(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Whose limit of refunds it would be, and how much."""
    yield {"label": "Role", "text": permissions.staff_label(str(content.get("role")))}
    for label, name in (("One refund", "per_refund_minor"), ("One person in a day", "per_day_minor")):
        minor = content.get(name)
        currency = str(content.get("currency"))
        shown = formats.money(minor, currency, locale=reader_locale()) if isinstance(minor, int) else "No limit"
        yield {"label": label, "text": shown}
    yield {"label": "Currency", "text": str(content.get("currency"))}


def _rate_facts(content: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The rate that would be charged, and where."""
    rate_bp = content.get("rate_bp")
    rate = formats.percent(rate_bp, locale=reader_locale()) if isinstance(rate_bp, int) else "No longer charged"
    yield {"label": "Country", "text": places.country(str(content.get("country")))}
    yield {"label": "Tax", "text": str(content.get("tax_name"))}
    yield {"label": "Rate", "text": rate}
    yield {"label": "The seller's number there", "text": str(content.get("registration"))}
    yield {"label": "First day", "text": str(content.get("valid_from"))}


def _price_facts(row: ApprovalRow) -> Iterator[dict[str, Any]]:
    """What an approval of prices would change, in words."""
    content = row.content
    if row.act == activations.ACT:
        yield {"label": "Price book", "text": str(content.get("book"))}
        url = url_for("operator.catalog_compare", book_id=row.subject_id)
        yield {"label": "Version", "id": str(content.get("version")), "url": url}
        return
    yield {
        "label": "What is sold",
        "id": str(content.get("sku")),
        "url": url_for("operator.accounts_plan", account_id=row.subject_id),
    }
    yield {"label": "Price", "text": price_words.written(content.get("model"), content.get("parameters"))}
    yield {"label": "From", "text": str(content.get("from"))}
    yield {"label": "Until", "text": str(content.get("until") or "another one takes its place")}


def _find_posted(session: Session, row: ApprovalRow) -> str | None:
    if row.act == "ledger.reverse":
        return reversal.find_reversal(session, row.subject_id)
    if row.act == bank_reversals.ACT:
        return bank_reversals.find_posted(session, row.subject_id)
    if row.act in ("invoice.write_off", "wallet.write_off"):
        return write_offs.find_posted(session, row.id)
    if row.act == linking.ACT:
        return linking.find_posted(session, row.subject_id)
    if row.act == cash_booking.ACT:
        return cash_booking.find_posted(session, row.subject_id)
    return adjustments.find_posted(session, row.id) if row.act == "account.credit" else None


def _transaction_url(account_id: str | None, transaction_id: str | None) -> str | None:
    if transaction_id is None:
        return None
    if account_id is None:
        return url_for("operator.ledger_transaction", transaction_id=transaction_id)
    return url_for("operator.accounts_transaction", account_id=account_id, transaction_id=transaction_id)
