"""Whether an event can be taken at all: its texts, names, times and quantities. Pure; a bulk path, so the good case comes first."""

from collections.abc import Mapping
from functools import lru_cache

from billing.accounts import names
from billing.accounts.attribution import HANDLE_MAX
from billing.catalog.items import ON_DEMAND, SPOT
from billing.kernel.errors import Invalid
from billing.metering import windows
from billing.metering.files import storable
from billing.metering.sources.port import EventFacts

Fault = tuple[str, str]  # a stable reason and the fact behind it

_MAX_ID = 200
_MAX_TEXT = 1000
_MAX_TAGS = 50
_MODES = (ON_DEMAND, SPOT)


def find_fault(event: EventFacts, base_per_unit: Mapping[str, int]) -> Fault | None:
    """What is wrong with an event, None for a good one; the account is looked at elsewhere."""
    for meter_code in (event.meter_code, *(code for code, _ in event.also)):
        if meter_code not in base_per_unit:
            return "unknown_meter", f"{meter_code[:60]!r} is no meter"
    return _text_fault(event) or _name_fault(event) or _window_fault(event) or _quantity_fault(event, base_per_unit)


def _text_fault(event: EventFacts) -> Fault | None:
    if not event.source or not event.source_id:
        return "missing_id", "an event needs a source and an id"
    if not event.tags and event.route is event.corrects is event.series is None:
        # Short altogether is short in each part, and printable altogether holds nothing that could not be stored.
        together = (
            f"{event.source}{event.source_id}{event.resource}{event.variant}"
            f"{event.project_code}{event.member_handle}{event.correlation_id}"
        )
        if len(together) <= _MAX_ID and together.isprintable():
            return None
    texts = [event.source, event.source_id, event.resource, event.variant]
    texts += [text for text in event[7:9] if text]
    texts += [text for text in (event.correlation_id, event.route, event.corrects, event.series) if text]
    for key, value in event.tags:
        texts += (key, value)
    if max(map(len, texts)) <= _MAX_ID and len(event.tags) <= _MAX_TAGS and "".join(texts).isprintable():
        return None
    return _found_text_fault(event)


def _found_text_fault(event: EventFacts) -> Fault | None:
    """Which of an event's texts it is, or none of them after all: values of tags may be longer, and hold other spaces."""
    texts = {"source": event.source, "id": event.source_id, "resource": event.resource, "variant": event.variant}
    texts |= {"project": event.project_code or "", "submitter": event.member_handle or ""}
    texts |= {"correlation id": event.correlation_id or "", "route": event.route or ""}
    texts |= {"corrects": event.corrects or "", "counter": event.series or ""}
    for name, text in texts.items():
        if len(text) > _MAX_ID:
            return "text_too_long", f"{name} has {len(text)} characters, the limit is {_MAX_ID}"
    if len(event.tags) > _MAX_TAGS or any(len(key) > _MAX_ID or len(value) > _MAX_TEXT for key, value in event.tags):
        return "text_too_long", f"at most {_MAX_TAGS} tags, names up to {_MAX_ID}, values up to {_MAX_TEXT} characters"
    for text in (event.source, event.source_id, event.corrects or "", event.series or ""):
        if not names.is_safe(text):
            return "control_character", "a source and an id are visible characters"
    for text in (*texts.values(), *(part for tag in event.tags for part in tag)):
        if storable(text) != text:
            return "control_character", f"{storable(text)[:80]} holds a control character"
    return None


def _name_fault(event: EventFacts) -> Fault | None:
    if event.project_code and (fault := _code_fault(event.project_code, names.CODE_MAX)):
        return "bad_project", fault
    if event.member_handle and (fault := _code_fault(event.member_handle, HANDLE_MAX)):
        return "bad_submitter", fault
    return None


@lru_cache(maxsize=8192)
def _code_fault(text: str, limit: int) -> str | None:
    try:
        names.require_code(text, max_length=limit)
    except Invalid as error:
        return f"it cannot be a code: {error.fields['reason']}"
    return None


def _window_fault(event: EventFacts) -> Fault | None:
    start_at, end_at = event.start_at, event.end_at
    if start_at.tzinfo is None or end_at.tzinfo is None:
        return "naive_time", "a time needs a zone: add Z or an offset"
    if not 1970 <= start_at.year <= 8999 or not 1970 <= end_at.year <= 8999:
        return "bad_time", "a time lies between 1970 and 9000"
    if start_at is not end_at:
        if end_at < start_at:
            return "end_before_start", "the end lies before the start"
        if end_at - start_at > windows.MAX_WINDOW:
            return "window_too_long", "the limit is ten years"
    return None


def _quantity_fault(event: EventFacts, base_per_unit: Mapping[str, int]) -> Fault | None:
    if event.mode not in _MODES:
        return "bad_mode", "the mode is on_demand or spot"
    if event.route_kind not in (None, "api_bearer", "browser"):
        return "bad_route_kind", "the kind of a route is api_bearer or browser"
    for meter_code, quantity_base in ((event.meter_code, event.quantity_base), *event.also):
        if quantity_base < 0 and event.corrects is None:
            return "negative_quantity", "a quantity is not negative, unless it corrects an earlier event"
        if abs(quantity_base) > windows.MAX_QUANTITY_UNITS * base_per_unit[meter_code]:
            return "quantity_too_large", f"more than 2^40 units of {meter_code}"
    if event.series is not None and (event.corrects is not None or event.also or event.start_at != event.end_at):
        return "bad_reading", "a reading is of one meter at one instant and corrects nothing"
    return None
