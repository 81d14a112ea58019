"""One route: method, address, act, and the parameters it reads."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_KINDS = {
    "balance": "balance",
    "balance_transactions": "balance_transaction",
    "calculations": "tax.calculation",
    "charges": "charge",
    "customers": "customer",
    "disputes": "dispute",
    "early_fraud_warnings": "radar.early_fraud_warning",
    "events": "event",
    "files": "file",
    "line_items": "item",
    "payment_intents": "payment_intent",
    "payment_methods": "payment_method",
    "payouts": "payout",
    "refunds": "refund",
    "sessions": "checkout.session",
    "setup_intents": "setup_intent",
    "webhook_endpoints": "webhook_endpoint",
}
_PAGING = "limit starting_after ending_before"
_TIMES = "created.gt created.gte created.lt created.lte"


@dataclass(frozen=True)
class Route:
    """`reads`: names separated by blanks, dotted for groups (`payment_intent_data.metadata.*`); paging and expand go without saying."""

    method: str
    address: str
    act: Callable[..., Any]
    reads: str = ""
    is_list: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "is_list", self.act.__name__.startswith("list_"))

    @property
    def accepted(self) -> frozenset[str]:
        """All parameters, those that every route or every list has included."""
        names = set(self.reads.split())
        if self.method != "DELETE":
            names.add("expand")
        if self.is_list:
            names |= set(_PAGING.split())
        if "created" in names:
            names |= set(_TIMES.split())
        return frozenset(names)

    @property
    def kind(self) -> str:
        """What the route answers with: the last noun of its address."""
        if "/billing_portal/" in self.address:
            return "billing_portal.session"
        return [_KINDS[part] for part in self.address.split("/") if part in _KINDS][-1]

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """The ids in the path, or None when this is another route."""
        if method != self.method:
            return None
        found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[A-Za-z0-9_]+)", self.address), path)
        return found.groupdict() if found else None
