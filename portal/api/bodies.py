"""Request bodies, read strictly: JSON numbers stay decimal, names stand once, nothing unknown is passed over in silence."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, TypeVar

from flask import request
from pydantic import BaseModel, ValidationError

from billing.kernel.errors import Refusal
from portal.api import parameters

Model = TypeVar("Model", bound=BaseModel)

_JSON_TYPES = re.compile(r"application/(json|([a-z0-9.-]+\+)json)")
_MAX_DIGITS = 60
_MAX_DEPTH = 20


class NotJson(Refusal):
    """The body is no JSON that can be read. Field `fault` says what is wrong."""

    code = "body_not_json"


class WrongType(Refusal):
    """The body is declared as something else than JSON."""

    code = "unsupported_media_type"


class BadShape(Refusal):
    """The body is JSON of another shape than the route takes. `faults` are (JSON pointer, sentence)."""

    code = "invalid_body"

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        self.faults = faults
        super().__init__(faults=len(faults))


def read(model: type[Model], *query: str) -> Model:
    """The body in the shape that the route takes; `query` names the URL's parameters that it reads beside it.

    Raises WrongType, NotJson, BadShape (also for a NUL, which no database keeps), Invalid for another parameter.
    """
    value = read_any(*query)
    if any("\0" in text for text in _texts(value)):
        raise BadShape([("", "A text holds a NUL character.")])
    return shaped(model, value)


def read_any(*query: str) -> Any:
    """The body as plain values: numbers with a point are Decimal. Raises WrongType, NotJson, Invalid for a parameter in the URL."""
    parameters.refuse_unknown(*query)
    if not _JSON_TYPES.fullmatch(request.mimetype):
        raise WrongType(media_type=request.mimetype[:80])
    return parse(request.get_data())  # kept for the hash of keyed requests


def read_bytes(*query: str) -> bytes:
    """The body as it came, for routes that read it themselves. Raises WrongType, Invalid for a parameter in the URL."""
    parameters.refuse_unknown(*query)
    if not _JSON_TYPES.fullmatch(request.mimetype):
        raise WrongType(media_type=request.mimetype[:80])
    return request.get_data()


def require_none() -> None:
    """For acts that their address alone says: nothing is sent with them, or an empty object. Raises NotJson, BadShape."""
    sent = request.get_data()
    if sent and parse(sent) != {}:
        raise BadShape([("", "This act takes no body.")])


def shaped(model: type[Model], value: Any) -> Model:
    """A plain value in the shape of a model. Raises BadShape naming every fault."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise BadShape(list(_faults(error))) from None


def parse(raw: bytes) -> Any:
    """JSON text as plain values. Raises NotJson also for what other readers let pass: NaN, a name given twice, half a character,
    more than 20 levels, a number that is too long to be one.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            parse_float=_decimal,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except UnicodeDecodeError:
        raise NotJson(fault="it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        fault = str(error)[:200] if isinstance(error, ValueError) else "it is nested too deeply"
        raise NotJson(fault=fault) from None
    _refuse_depth(value)
    if b"\\ud" in raw.lower():  # only an escape can hold half of a pair
        _refuse_halves(value)
    return value


def _decimal(text: str) -> Decimal:
    value = Decimal(text)
    # 1e999999999 is short, and a gigabyte when it is written out.
    if len(text) > _MAX_DIGITS or abs(int(value.as_tuple().exponent)) > _MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return value


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a name is given twice in one object")
    return value


def _refuse_halves(value: Any) -> None:
    for text in _texts(value):
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise NotJson(fault="a text holds half of a character")


def _refuse_depth(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise NotJson(fault="it is nested too deeply")
        level = [inner for outer in level if isinstance(outer, dict | list) for inner in _inside(outer)]


def _texts(value: Any) -> Iterable[str]:
    """Every name and text in a value of bounded depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        if isinstance(value, dict):
            yield from value
        for inner in _inside(value):
            yield from _texts(inner)


def _inside(value: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _faults(error: ValidationError) -> Iterable[tuple[str, str]]:
    for fault in error.errors(include_url=False, include_input=False):
        pointer = "".join(f"/{_escaped(part)}" for part in fault["loc"] if not _is_branch(part))
        yield pointer, fault["msg"].removeprefix("Value error, ")


def _is_branch(part: int | str) -> bool:
    """Pydantic names the branch of a choice between types in the path; it is no part of the body."""
    return isinstance(part, str) and part.startswith(("function-", "is-instance[", "constrained-", "lax-or-strict["))


def _escaped(part: int | str) -> str:
    return str(part).replace("~", "~0").replace("/", "~1")[:80]
