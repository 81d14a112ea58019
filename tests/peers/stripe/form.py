"""Stripe's form encoding: `a[b][0]=c` read as nested dicts and lists. https://docs.stripe.com/api (application/x-www-form-urlencoded)"""

import re
from typing import Any
from urllib.parse import parse_qsl

from tests.peers.stripe.errors import Unstarted

_NAME = re.compile(r"[^\[\]]+(\[[^\[\]]*\])*")
_MOST_FIELDS, _MOST_LEVELS = 2000, 8


def decode(encoded: str) -> dict[str, Any]:
    """The parameters of a body or a query. Raises Unstarted(400) for names that cannot be read."""
    try:
        pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded), errors="strict")
    except (ValueError, UnicodeDecodeError):
        raise Unstarted(400, "Invalid form encoding.") from None
    if len(pairs) > _MOST_FIELDS:
        raise Unstarted(400, "Too many parameters.")
    root: dict[str, Any] = {}
    for name, value in pairs:
        _put(root, name, value)
    return {name: _listed(value) for name, value in root.items()}


def _put(root: dict[str, Any], name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise Unstarted(400, f"Invalid parameter name: {name[:100]}")
    head, _, rest = name.partition("[")
    keys = [head, *rest.removesuffix("]").split("][")] if rest else [head]
    if len(keys) > _MOST_LEVELS:
        raise Unstarted(400, f"Parameters are nested too deeply: {name[:100]}")
    place = root
    for key in keys[:-1]:
        place = place.setdefault(_index(place, key), {})
        if not isinstance(place, dict):
            raise Unstarted(400, f"Invalid parameter name: {name[:100]}")
    place[_index(place, keys[-1])] = value


def _index(place: dict[str, Any], key: str) -> str:
    """`a[]` appends."""
    return key or str(len(place))


def _listed(value: Any) -> Any:
    """Dicts that count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    if value and all(key.isdigit() for key in value):
        return [_listed(value[key]) for key in sorted(value, key=int)]
    return {key: _listed(item) for key, item in value.items()}
