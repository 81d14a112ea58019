"""Query parameters of the API, read strictly: one that cannot be used is refused, not passed over."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from flask import request

from billing.accounts import names
from billing.kernel import clock, periods
from billing.kernel.errors import Invalid

_MAX_TEXT = 200
_TEXT = {"type": "string", "minLength": 1, "maxLength": _MAX_TEXT}
# name -> (its JSON Schema, what it means), for the API's description
SHAPES: dict[str, tuple[dict[str, Any], str]] = {
    "account": (_TEXT, "The billing account by its code; not needed by a tenant's key while the tenant has one."),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "How many rows."),
    "cursor": ({"type": "string", "minLength": 1}, "`next_cursor` of the page before, with the same filters."),
    "period": ({"type": "string", "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$", "examples": ["2026-11"]}, "A month."),
    "state": ({"type": "string"}, "Only rows in this state."),
    "by": ({"type": "string"}, "The size of the buckets; month where it is not given."),
    "meter": (_TEXT, "Only usage of this meter."),
    "project": (_TEXT, "Only usage of this project."),
    "allocation_id": (_TEXT, "Only usage of this allocation."),
    "variant": ({**_TEXT, "examples": ["h100"]}, "Only usage of this GPU or token model."),
    "mode": ({"type": "string", "enum": ["on_demand", "spot", "reserved", "unused"]}, "Only usage in this mode."),
    "route": ({**_TEXT, "examples": ["api.example/v1/chat"]}, "Only requests and bytes of this route."),
    "app_instance": (_TEXT, "Only usage of this app instance."),
    "group_by": (
        {**_TEXT, "examples": ["project"]},
        "A row for each value of service, item, project, resource, route, submitter, allocation, or of a tag: `tag:team`.",
    ),
    "from": ({"type": "string", "format": "date-time"}, "From this instant on."),
    "to": ({"type": "string", "format": "date-time"}, "Up to this instant, which is not included."),
    "at": ({"type": "string", "format": "date-time"}, "The instant that is asked about. Default: now."),
    "as_of": ({"type": "string", "format": "date-time"}, "As it was recorded at that instant; now without it."),
    "currency": ({"type": "string", "examples": ["USD"]}, "The currency; the account's own by default."),
    "kind": (_TEXT, "Only movements with an entry of this kind."),
    "type": ({**_TEXT, "examples": ["charge"]}, "Only movements of this type, in the provider's own word."),
    "id": (_TEXT, "Only rows that carry this id, of the provider or ours."),
    "zone": ({**_TEXT, "examples": ["Europe/Berlin"]}, "The time zone of days and months; the account's by default."),
}


def text(name: str) -> str | None:
    """A parameter as it was given, None without it. Raises Invalid for one that can name nothing."""
    value = request.args.get(name)
    if value is not None and (not value or len(value) > _MAX_TEXT or not names.is_safe(value)):
        raise Invalid(field=name, value=names.shown(value), reason="bad_parameter")
    return value


def choice(name: str, choices: Collection[str], default: str | None) -> str | None:
    """One of the choices. Raises Invalid naming them."""
    value = text(name)
    if value is not None and value not in choices:
        raise Invalid(field=name, value=names.shown(value), known=", ".join(choices), reason="unknown_choice")
    return value or default


def instant(name: str) -> datetime | None:
    """An RFC 3339 time. Raises Invalid."""
    value = text(name)
    try:
        # A plus that was not escaped arrives as a space.
        return None if value is None else clock.parse_instant(value.replace(" ", "+"), field=name)
    except OverflowError:
        raise Invalid(field=name, value=names.shown(value or ""), reason="not_an_instant") from None


def month(name: str) -> str | None:
    """A month such as 2026-11. Raises Invalid."""
    value = text(name)
    if value is not None:
        periods.month(value, "UTC")
    return value


def refuse_unknown(*known: str) -> None:
    """Refuse parameters that the route does not read: a filter that is mistyped must not look as if it had been used."""
    unknown = sorted(set(request.args) - set(known))
    if unknown:
        raise Invalid(field=names.shown(unknown[0]), known=", ".join(known), reason="unknown_parameter")
