"""Balance transactions and payouts of Stripe's shape in our words. The sandbox answers in the same shapes."""

from typing import Any, cast, get_args

from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from billing.payments.errors import ProviderMismatch
from billing.payments.providers import shapes
from billing.payments.providers.ports.cash import (
    BalanceFacts,
    BalancePage,
    BalanceTransactionFacts,
    PayoutFacts,
    PayoutState,
    Source,
)
from billing.reference import provider_currencies

_PAYOUT_STATES = frozenset(get_args(PayoutState))
_TEXT_MAX = 200


def page(items: list[dict[str, Any]], *, has_more: bool) -> BalancePage:
    """One page of a list, its sources expanded. A movement that cannot be read stands on it as unreadable, the others as they are."""
    sources = [item["source"] for item in items if isinstance(item.get("source"), dict)]
    payouts = {source.get("id"): source for source in sources if source.get("object") == "payout"}
    return BalancePage(
        transactions=tuple(transaction_facts(item) for item in items),
        payouts=tuple(facts for item in payouts.values() if (facts := _readable_payout(item)) is not None),
        after=shapes.text(items[-1], "id") if items and has_more else None,
    )


def transaction_facts(item: dict[str, Any]) -> BalanceTransactionFacts:
    """A `balance_transaction`, its source expanded where there is one. Raises ProviderMismatch only when it has no id or time."""
    created_at = shapes.instant(item.get("created"))
    if created_at is None:
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing="created")
    try:
        amounts, source = _read(item)
        unreadable = None
    except ProviderMismatch as mismatch:
        none = Money(minor=0, currency=_currency_or_none(item))
        amounts, source = (none, none, none), Source(kind=_kind_of(item.get("source")), id=_id_of(item.get("source")))
        unreadable = str(mismatch.fields.get("missing") or mismatch.fields.get("currency") or "amount")
    rate = item.get("exchange_rate")
    return BalanceTransactionFacts(
        id=shapes.text(item, "id"),
        type=str(item.get("type") or "unknown")[:80],
        category=str(item.get("reporting_category") or item.get("type") or "unknown")[:80],
        amount=amounts[0],
        fee=amounts[1],
        net=amounts[2],
        created_at=created_at,
        available_at=shapes.instant(item.get("available_on")) or created_at,
        source=source,
        exchange_rate=None if rate is None else str(rate),
        description=_words(item.get("description")),
        unreadable=unreadable,
    )


def payout_facts(item: dict[str, Any]) -> PayoutFacts:
    """A `payout`, its balance transactions expanded where they were asked for. Raises ProviderMismatch when it cannot be read."""
    status = str(item.get("status"))
    created_at = shapes.instant(item.get("created"))
    if status not in _PAYOUT_STATES or created_at is None:
        missing = "status" if created_at is not None else "created"
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing=missing)
    arrives_at = shapes.instant(item.get("arrival_date"))
    trace = item.get("trace_id")
    own = (item.get(name) for name in ("balance_transaction", "failure_balance_transaction"))
    return PayoutFacts(
        id=shapes.text(item, "id"),
        state=cast(PayoutState, status),
        amount=shapes.money(item, "amount"),
        is_automatic=item.get("automatic") is True,
        is_live=item.get("livemode") is True,
        created_at=created_at,
        arrives_on=None if arrives_at is None else arrives_at.date(),
        method=_words(item.get("method")),
        destination=_destination(item.get("destination")),
        statement_text=_words(item.get("statement_descriptor")),
        trace=_words(trace.get("value")) if isinstance(trace, dict) else None,
        failure_code=_words(item.get("failure_code")),
        failure=_words(item.get("failure_message")),
        transactions=tuple(transaction_facts(each | {"source": item}) for each in own if isinstance(each, dict)),
        contents_are_known=item.get("automatic") is True and item.get("reconciliation_status") != "in_progress",
    )


def balance_facts(item: dict[str, Any]) -> list[BalanceFacts]:
    """A `balance`: each currency once, but for one whose amount our currency has no unit for."""
    held: dict[str, dict[str, Money]] = {}
    for name in ("available", "pending"):
        for part in item.get(name) or []:
            try:
                amount = shapes.money(part, "amount")
            except ProviderMismatch:
                continue  # its movements are unreadable too, and told as such
            none = Money(minor=0, currency=amount.currency)
            own = held.setdefault(amount.currency, {"available": none, "pending": none})
            own[name] += amount
    return [BalanceFacts(available=own["available"], pending=own["pending"]) for _, own in sorted(held.items())]


def _read(item: dict[str, Any]) -> tuple[tuple[Money, Money, Money], Source]:
    """(amount, fee, net) and the source. Raises ProviderMismatch for what cannot be read, or does not add up."""
    amount, fee, net = (shapes.money(item, name) for name in ("amount", "fee", "net"))
    if amount.minor - fee.minor != net.minor:
        raise ProviderMismatch(reason="unreadable_object", object_id=str(item.get("id"))[:80], missing="net")
    return (amount, fee, net), _source(item, amount)


def _source(item: dict[str, Any], amount: Money) -> Source:
    source = item.get("source")
    kind, source_id = _kind_of(source), _id_of(source)
    if not isinstance(source, dict):
        return Source(kind=kind, id=source_id)
    return Source(
        kind=kind,
        id=source_id,
        payment_id=_id_of(source.get("payment_intent")),
        charge_id=source_id if kind == "charge" else _id_of(source.get("charge")),
        refund_id=source_id if kind == "refund" else None,
        dispute_id=source_id if kind == "dispute" else None,
        payout_id=source_id if kind == "payout" else None,
        presented=_presented(source, kind, amount),
    )


def _presented(source: dict[str, Any], kind: str | None, amount: Money) -> Money | None:
    """The source's own amount, which is never signed, with the sign of the movement."""
    if kind not in ("charge", "refund", "dispute", "payout"):
        return None
    is_partly_taken = kind == "charge" and source.get("captured") is True and source.get("amount_captured")
    found = shapes.money(source, "amount_captured" if is_partly_taken else "amount")
    return -found if amount.minor < 0 else found


def _readable_payout(item: dict[str, Any]) -> PayoutFacts | None:
    try:
        return payout_facts(item)
    except ProviderMismatch:
        return None  # its movement is kept all the same, and asks for it again


def _currency_or_none(item: dict[str, Any]) -> str:
    """The currency of a movement that cannot be read, or US dollars where even that is none of ours: its amounts are 0."""
    try:
        return provider_currencies.from_stripe(0, str(item.get("currency"))).currency
    except Invalid:
        return "USD"


def _destination(value: Any) -> str | None:
    """The bank account as people know it, where it came expanded: never more than its last four digits."""
    if not isinstance(value, dict):
        return _words(value)
    name, last4 = _words(value.get("bank_name") or value.get("brand")), _words(value.get("last4"))
    return f"{name or 'account'} ending {last4[-4:]}" if last4 else _words(value.get("id"))


def _kind_of(value: Any) -> str | None:
    if isinstance(value, dict):
        return _words(value.get("object"))
    return None


def _id_of(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else value
    return found[:255] if isinstance(found, str) and found else None


def _words(value: Any) -> str | None:
    return value[:_TEXT_MAX] if isinstance(value, str) and value else None
