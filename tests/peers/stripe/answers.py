"""What a call shows: public fields, `expand`, and pages of lists."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.peers.stripe.account import Account, Item
from tests.peers.stripe.errors import InvalidParameter, no_such
from tests.peers.stripe.params import Params, integer, text, words
from tests.peers.stripe.route import Route

_DEEPEST = 4
_MOST = 100
# Fields that hold an id and may be asked for whole, with the kind they lead to. https://docs.stripe.com/expand
EXPANDABLE: dict[str, dict[str, str]] = {
    "balance_transaction": {"source": "charge"},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
    },
    "checkout.session": {
        "customer": "customer",
        "payment_intent": "payment_intent",
        "setup_intent": "setup_intent",
    },
    "dispute": {"charge": "charge", "payment_intent": "payment_intent"},
    "payment_intent": {"customer": "customer", "latest_charge": "charge", "payment_method": "payment_method"},
    "payment_method": {"customer": "customer"},
    "radar.early_fraud_warning": {"charge": "charge", "payment_intent": "payment_intent"},
    "payout": {
        "balance_transaction": "balance_transaction",
        "destination": "bank_account",
        "failure_balance_transaction": "balance_transaction",
    },
    "refund": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "failure_balance_transaction": "balance_transaction",
        "payment_intent": "payment_intent",
    },
    "setup_intent": {"customer": "customer", "payment_method": "payment_method"},
}
# Fields that are there only when asked for: (object, field) -> what makes them. Resources add theirs.
INCLUDABLE: dict[tuple[str, str], Callable[[Account, Item], Item]] = {}


@dataclass(frozen=True)
class Page:
    """Everything a list could show, newest first; paging cuts it."""

    found: list[Item]


def public(item: Item) -> Item:
    """The fields that are shown."""
    return {name: value for name, value in item.items() if not name.startswith("_")}


def check_expand(route: Route, params: Params) -> None:
    """Before the act: raises InvalidParameter for a property that cannot be expanded."""
    expand = words(params, "expand")
    if not route.is_list:
        return _check(route.kind, expand)
    for name in expand:
        if not name.startswith("data."):
            raise _not_expandable(name, f" You may want to try expanding 'data.{name}' instead.")
    return _check(route.kind, [name.removeprefix("data.") for name in expand])


def show(account: Account, result: Item | Page, path: str, params: Params) -> Item:
    """The body of a 200."""
    expand = words(params, "expand")
    if not isinstance(result, Page):
        return expanded(account, result, expand)
    items, has_more = _cut(_in_time(result.found, params), params)
    inner = [name.removeprefix("data.") for name in expand]
    return list_of([expanded(account, item, inner) for item in items], path, has_more=has_more)


def list_of(items: list[Item], url: str, *, has_more: bool = False) -> Item:
    """Stripe's list object."""
    return {"object": "list", "data": items, "has_more": has_more, "url": url}


def expanded(account: Account, item: Item, expand: list[str]) -> Item:
    """The public fields, with each expand path followed as far as there are objects."""
    if item.get("deleted"):
        return {name: item[name] for name in ("id", "object", "deleted")}
    shown = public(item)
    for name, rest in _heads(expand).items():
        maker = INCLUDABLE.get((item["object"], name))
        if maker is not None:
            shown[name] = maker(account, item)
        elif shown.get(name) in account.by_id:
            shown[name] = expanded(account, account.by_id[shown[name]], rest)
    return shown


def _check(kind: str, expand: list[str], depth: int = 1) -> None:
    for name, rest in _heads(expand).items():
        if depth > _DEEPEST:
            raise InvalidParameter("You cannot expand more than 4 levels of a property.", param="expand")
        if (kind, name) in INCLUDABLE:
            continue
        target = EXPANDABLE.get(kind, {}).get(name)
        if target is None:
            raise _not_expandable(name)
        _check(target, rest, depth + 1)


def _heads(expand: list[str]) -> dict[str, list[str]]:
    """`a.b` and `a.c` as {a: [b, c]}."""
    heads: dict[str, list[str]] = {}
    for path in expand:
        name, _, rest = path.partition(".")
        heads.setdefault(name, []).extend([rest] if rest else [])
    return heads


def _not_expandable(name: str, hint: str = "") -> InvalidParameter:
    return InvalidParameter(f"This property cannot be expanded ({name}).{hint}", param="expand")


def _in_time(items: list[Item], params: Params) -> list[Item]:
    bounds = params.get("created", {})
    if not isinstance(bounds, dict):
        exact = integer(params, "created")
        return [item for item in items if item["created"] == exact]
    tests: dict[str, Callable[[int, int], bool]] = {
        "gt": int.__gt__,
        "gte": int.__ge__,
        "lt": int.__lt__,
        "lte": int.__le__,
    }
    for name in bounds:
        bound: Any = integer(bounds, name)
        items = [item for item in items if tests[name](item["created"], bound)]
    return items


def _cut(items: list[Item], params: Params) -> tuple[list[Item], bool]:
    """One page and whether more follow in its direction."""
    limit = integer(params, "limit", 10) or 0
    if not 1 <= limit <= _MOST:
        raise InvalidParameter(
            f"Invalid limit: must be between 1 and {_MOST}", param="limit", code="parameter_invalid_integer"
        )
    after, before = text(params, "starting_after"), text(params, "ending_before")
    if after is not None and before is not None:
        raise InvalidParameter("You cannot use both starting_after and ending_before.", param="starting_after")
    if before is not None:
        ahead = items[: _place(items, before, "ending_before")]
        return ahead[-limit:], len(ahead) > limit
    if after is not None:
        items = items[_place(items, after, "starting_after") + 1 :]
    return items[:limit], len(items) > limit


def _place(items: list[Item], object_id: str, param: str) -> int:
    for place, item in enumerate(items):
        if item["id"] == object_id:
            return place
    raise no_such("object", object_id, param)
