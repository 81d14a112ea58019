"""Every text of a frozen document through one function: the walk that cleaning and printing share."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import lru_cache
from typing import Any


def mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same value with every text changed. Tuples and dataclasses are walked; every other value stays as it is.

    What holds no changed text is given back itself, not a copy: most lines of most documents.
    """
    kind: type = type(value)
    if kind is str:
        return change(value)
    if kind is tuple:
        made = [mapped(item, change) for item in value]
        return value if all(new is old for new, old in zip(made, value, strict=True)) else tuple(made)
    changed: dict[str, Any] = {}
    for name in _names(kind):
        old = getattr(value, name)
        new = mapped(old, change)
        if new is not old:
            changed[name] = new
    return replace(value, **changed) if changed else value


@lru_cache(maxsize=64)
def _names(kind: type) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else ()
