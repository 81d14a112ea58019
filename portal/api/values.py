"""The kinds of values that bodies and answers are made of: how each is read, and how the API's description shows it.

A JSON number with a point is a Decimal here, never a float; nothing is turned into another type in silence.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from billing.kernel import clock, money
from billing.kernel.errors import Invalid
from portal import sentences


def _read_instant(value: object) -> datetime:
    if isinstance(value, datetime):  # of an answer: a body holds text
        return value
    if not isinstance(value, str) or len(value) > 60:
        raise ValueError("An RFC 3339 time such as 2026-11-21T13:00:00Z is needed.")
    try:
        return clock.parse_instant(value)
    except Invalid as refusal:
        raise ValueError(sentences.of(refusal)) from None
    except OverflowError:
        raise ValueError("The time lies too far away.") from None


def _read_decimal(value: object) -> str:
    """Plain decimal text, from text or from a JSON number that was never a float."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("A plain decimal such as 2.333 is needed, as text or number.")
    text = format(value, "f") if isinstance(value, Decimal) else str(value)
    if len(text) > 60 or not _is_plain(text):
        raise ValueError("A plain decimal such as 2.333 is needed, as text or number.")
    return text


def _read_gpus(value: object) -> str:
    """A GPU count as text: 4, 0.5 or 1/7. What it may be is decided where shapes are made."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError("GPUs are a plain number or a share, such as 4, 0.5 or 1/7.")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _is_plain(text: str) -> bool:
    whole, _, rest = text.removeprefix("-").partition(".")
    return text.isascii() and whole.isdigit() and (rest.isdigit() or ("." not in text))


def _read_currency(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("The currency is an ISO 4217 code such as USD.")
    try:
        money.exponent(value)
    except Invalid as refusal:
        raise ValueError(sentences.of(refusal)) from None
    return value


_DECIMAL = r"^-?[0-9]+(\.[0-9]+)?$"
_NUMBER: dict[str, Any] = {"type": "number", "minimum": -(10**18), "maximum": 10**18}

Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    PlainSerializer(clock.to_rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-21T13:00:00Z"]}),
]
Plain = Annotated[
    str,
    BeforeValidator(_read_decimal),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": _DECIMAL, "maxLength": 60}, _NUMBER],
            "description": "A plain decimal, as text or as a number.",
            "examples": ["2.333"],
        }
    ),
]
Gpus = Annotated[
    str,
    BeforeValidator(_read_gpus),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "maxLength": 60}, _NUMBER],
            "description": "A number of GPUs or a share of one.",
            "examples": ["4", "0.5", "1/7"],
        }
    ),
]
Currency = Annotated[
    str,
    BeforeValidator(_read_currency),
    WithJsonSchema(
        {"type": "string", "pattern": "^[A-Z]{3}$", "description": "An ISO 4217 code.", "examples": ["USD"]}
    ),
]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class In(BaseModel):
    """A body: nothing unknown in it, nothing turned into another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)


class Out(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Money(In):
    """An amount in minor units of its currency: 1234 USD is 12.34."""

    amount_minor: Annotated[int, Field(ge=-money.MAX_MINOR, le=money.MAX_MINOR)]
    currency: Currency
