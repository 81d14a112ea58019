"""Reading one call's parameters: the checks that come before an act begins."""

from collections.abc import Collection, Iterator
from typing import Any

from tests.peers.stripe.errors import InvalidParameter, missing

Params = dict[str, Any]
METADATA_KEYS, METADATA_NAME, METADATA_VALUE = 50, 40, 500
_TEXT = 5000


def refuse_unknown(params: Params, accepted: Collection[str]) -> None:
    """Every leaf must be one that the route reads: `a.b` for `a[b]`, list places left out, `a.*` for free names below.

    The peer refuses also what Stripe knows and the peer does not do, so that nothing is ignored in silence.
    """
    if "payment_method_types" in params and "allowed_payment_method_types" in accepted:
        raise InvalidParameter(
            "The `payment_method_types` parameter is no longer supported on this API version. Use "
            "`allowed_payment_method_types` or dynamic payment methods.",
            param="payment_method_types",
            code="payment_method_types_no_longer_supported",
        )
    for name, path in _leaves(params):
        parents = path.split(".")
        below = {".".join(parents[:depth]) + ".*" for depth in range(1, len(parents))}
        whole = path + "." if params_are_empty(params, path) else None
        if path in accepted or below & set(accepted):
            continue
        if whole and any(known.startswith(whole) for known in accepted):
            continue
        raise InvalidParameter(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")


def params_are_empty(params: Params, path: str) -> bool:
    """Whether the path was sent as an empty string, which unsets a whole group such as `metadata`."""
    value: Any = params
    for key in path.split("."):
        if isinstance(value, list):
            return False
        value = value.get(key)
    return isinstance(value, str) and not value


def text(params: Params, name: str, default: str | None = None, *, most: int = _TEXT) -> str | None:
    """A string; the empty one unsets."""
    value = params.get(name, default)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise InvalidParameter(f"Invalid string: {value}", param=name)
    if len(value) > most:
        raise InvalidParameter(f"Invalid string: must be at most {most} characters", param=name)
    return value


def needed(params: Params, name: str) -> str:
    """A string that must be there."""
    if name not in params:
        raise missing(name)
    value = text(params, name)
    if value is None:
        raise InvalidParameter(
            f"You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; "
            f"however '{name}' cannot be unset.",
            param=name,
            code="parameter_invalid_empty",
        )
    return value


def integer(params: Params, name: str, default: int | None = None) -> int | None:
    """A whole number."""
    value = params.get(name, default)
    if value is None or isinstance(value, int):
        return value
    digits = value.removeprefix("-") if isinstance(value, str) else ""
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise InvalidParameter(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
    return int(value)


def amount(params: Params, name: str = "amount") -> int | None:
    """A whole number above zero."""
    value = integer(params, name)
    if value is not None and value < 1:
        raise InvalidParameter(
            "This value must be greater than or equal to 1.", param=name, code="parameter_invalid_integer"
        )
    return value


def needed_amount(params: Params, name: str = "amount") -> int:
    """A whole number above zero that must be there."""
    value = amount(params, name)
    if value is None:
        raise missing(name)
    return value


def boolean(params: Params, name: str, *, default: bool = False) -> bool:
    """`true` or `false`."""
    value = params.get(name)
    if value is None:
        return default
    if value not in ("true", "false"):
        raise InvalidParameter(f"Invalid boolean: {value}", param=name)
    return bool(value == "true")


def choice(params: Params, name: str, choices: Collection[str], default: str | None = None) -> str | None:
    """One of a few words."""
    value = text(params, name, default)
    if value is not None and value not in choices:
        raise InvalidParameter(f"Invalid {name}: must be one of {', '.join(choices)}", param=name)
    return value


def group(params: Params, name: str) -> Params:
    """The parameters below a name, none when it is absent or empty."""
    value = params.get(name) or {}
    if not isinstance(value, dict):
        raise InvalidParameter("Invalid object", param=name)
    return value


def listed(params: Params, name: str) -> list[Any]:
    """A list, empty when it is absent or empty."""
    value = params.get(name) or []
    if not isinstance(value, list):
        raise InvalidParameter("Invalid array", param=name)
    return value


def words(params: Params, name: str) -> list[str]:
    """A list of strings."""
    found = listed(params, name)
    if not all(isinstance(value, str) for value in found):
        raise InvalidParameter("Invalid array", param=name)
    return found


def metadata(params: Params, kept: dict[str, str] | None = None) -> dict[str, str]:
    """The metadata after this call: names given are set, an empty value unsets a name, an empty `metadata` unsets all."""
    if params.get("metadata") == "":
        return {}
    result = dict(kept or {})
    for name, value in group(params, "metadata").items():
        if not isinstance(value, str):
            raise InvalidParameter("Metadata values must be strings", param=f"metadata[{name}]")
        if len(name) > METADATA_NAME:
            raise InvalidParameter(
                f"Metadata keys can have up to {METADATA_NAME} characters: {name}", param=f"metadata[{name}]"
            )
        if len(value) > METADATA_VALUE:
            raise InvalidParameter(
                f"Metadata values can have up to {METADATA_VALUE} characters, but you passed in a value that is "
                f"{len(value)} characters.",
                param=f"metadata[{name}]",
            )
        if value:
            result[name] = value
        else:
            result.pop(name, None)
    if len(result) > METADATA_KEYS:
        raise InvalidParameter(f"Metadata can have up to {METADATA_KEYS} keys", param="metadata")
    return result


def _leaves(value: Any, name: str = "", path: str = "") -> Iterator[tuple[str, str]]:
    """(as sent, dotted without list places) of every leaf."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(item, f"{name}[{key}]" if name else key, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _leaves(item, f"{name}[{place}]", path)
    else:
        yield name, path
