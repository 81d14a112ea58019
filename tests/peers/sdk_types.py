"""The SDK's own annotations as a schema of the pinned API version: what an object may hold, and what a call may name."""

import importlib
import re
import types
import typing
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ForwardRef, Literal, Union, get_args, get_origin

import stripe
from stripe import ListObject, StripeObject
from stripe._object_classes import get_object_class
from stripe._stripe_object import UntypedStripeObject

_SHARED = {"api_key", "stripe_version", "stripe_account", "stripe_context", "max_network_retries", "idempotency_key"}


def object_differences(item: dict[str, Any]) -> list[str]:
    """Where a Stripe object is not what the SDK's class of that name says."""
    return list(_against_class(item, get_object_class("V1", item["object"]), item["object"]))


def unknown_parameters(params_class: type, names: frozenset[str]) -> list[str]:
    """Dotted names that the SDK's TypedDict does not have."""
    return sorted(name for name in names if not _is_known(params_class, name.split(".")))


def _against_class(item: dict[str, Any], cls: type, where: str) -> Iterator[str]:
    if item.get("deleted"):
        return
    known = {
        name: note for base in reversed(cls.__mro__) for name, note in vars(base).get("__annotations__", {}).items()
    }
    for name in item:
        if name not in known:
            yield f"{where}.{name}: the SDK knows no such field"
    for name, note in known.items():
        if get_origin(note) is typing.ClassVar or name.startswith("_"):
            continue
        if name in item:
            yield from _against(item[name], note, f"{where}.{name}")
        elif type(None) not in get_args(note):
            yield f"{where}.{name}: is missing"


def _against(value: Any, note: Any, where: str) -> Iterator[str]:
    options = get_args(note) if get_origin(note) in (Union, types.UnionType) else (note,)
    if value is None:
        if type(None) not in options and note is not Any:
            yield f"{where}: is null"
        return
    if isinstance(value, dict):
        options = tuple(option for option in options if option not in (str, int, bool)) or options
    found = [list(_against_one(value, option, where)) for option in options if option is not type(None)]
    # `Literal[...] | str` is how the SDK stays open to the future; the peer speaks this version, so the words bind.
    words = [words for words in options if get_origin(words) is Literal]
    if words and isinstance(value, str):
        found = [list(_against_one(value, option, where)) for option in words]
    yield from min(found, key=len)


def _against_one(value: Any, note: Any, where: str) -> Iterator[str]:
    origin = get_origin(note)
    if isinstance(note, ForwardRef):
        yield from _against_named(value, note.__forward_arg__, where)
    elif origin is Literal:
        if value not in get_args(note):
            yield f"{where}: {value!r} is not among the SDK's words"
    elif origin is ListObject:
        yield from _against_list(value, get_args(note)[0], where)
    elif origin is list:
        yield from _against_items(value, get_args(note)[0], where)
    elif isinstance(note, type) and issubclass(note, StripeObject) and isinstance(value, dict):
        yield from _against_class(value, note, where)
    elif note is not Any and not _is_plain(value, note):
        yield f"{where}: {value!r} is not {getattr(note, '__name__', note)}"


def _is_plain(value: Any, note: Any) -> bool:
    """Whether a value is of a class without fields; a Decimal travels as a string."""
    if get_origin(note) in (dict, UntypedStripeObject):
        return isinstance(value, dict)
    if note is Decimal:
        return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value) is not None
    return isinstance(value, bool) is (note is bool) and isinstance(value, note)


def _against_named(value: Any, name: str, where: str) -> Iterator[str]:
    cls = getattr(stripe, name, None) or getattr(stripe.checkout, name, None) or getattr(stripe.tax, name, None)
    if not isinstance(value, dict):
        yield f"{where}: {value!r} is not an object"
    elif cls is None:
        yield f"{where}: the SDK has no {name}"
    elif value.get("object") != getattr(cls, "OBJECT_NAME", None):
        yield f"{where}: {value.get('object')} is not {name}"
    else:
        yield from _against_class(value, cls, where)


def _against_list(value: Any, note: Any, where: str) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("object") != "list" or not {"has_more", "url", "data"} <= set(value):
        yield f"{where}: is not a list object"
    else:
        yield from _against_items(value["data"], note, where)


def _against_items(value: Any, note: Any, where: str) -> Iterator[str]:
    if not isinstance(value, list):
        yield f"{where}: {value!r} is not a list"
        return
    for place, item in enumerate(value):
        yield from _against(item, note, f"{where}[{place}]")


def _is_known(params_class: type, path: list[str]) -> bool:
    known = {} if params_class is dict else params_class.__annotations__
    head, *rest = path
    if head not in known or head in _SHARED:
        return False
    if not rest or rest == ["*"]:
        return True
    module = importlib.import_module(params_class.__module__)
    inner = [getattr(module, name) for name in re.findall(r"\w+", str(known[head])) if hasattr(module, name)]
    return any(_is_known(cls, rest) for cls in inner if hasattr(cls, "__required_keys__"))
