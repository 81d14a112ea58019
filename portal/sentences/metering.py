"""What the refusals of metering say to a person, on pages, in the API and on the command line alike."""

from typing import Any

from portal.sentences.words import Sentence


def _of(fields: dict[str, Any]) -> str:
    return f" ({fields['field']})" if "field" in fields else ""


REASONS: dict[str, Sentence] = {
    "truncated": lambda fields: (
        f"The file ends in the middle, after line {fields['lines']}: what was read before is stored; import the whole file to go on."
    ),
    "damaged": lambda fields: (
        f"The file is damaged after line {fields['lines']}: what was read before is stored; import a whole copy to go on."
    ),
    "unknown_meter": lambda fields: f"There is no meter {fields.get('value')}.",
    "unknown_source": lambda fields: f"There is no source of usage named {fields.get('value')}.",
    "too_many_buckets": lambda fields: (
        f"That is more than {fields['limit']} rows: choose a shorter range or a longer step."
    ),
    "not_a_gpu_count": "GPUs are a plain number or a share, such as 4, 0.5 or 1/7.",
    "gpu_share_not_exact": "That share of a GPU cannot be counted exactly: use thousandths, thirds, sevenths or eighths.",
    "empty_shape": "An allocation needs at least a GPU share, a CPU core or memory.",
    "quantity_too_large": lambda fields: f"The quantity is above its limit{_of(fields)}.",
    "negative_quantity": lambda fields: f"The quantity is negative{_of(fields)}.",
    "in_the_future": "The time lies in the future.",
    "window_too_long": "The time lies more than ten years apart.",
    "bad_text": lambda fields: f"The {fields.get('field')} is empty, too long or holds control characters.",
    "out_of_order": lambda fields: f"The change lies before the last one, of {fields.get('last_at')}.",
    "two_changes_at_once": "There is a change of that kind at that instant already.",
}
CODES: dict[str, Sentence] = {
    "already_released": lambda fields: f"The allocation {fields.get('id')} was released at {fields.get('ended_at')}.",
    "other_content": lambda fields: f"The id {fields.get('event_id')} was used before with other content.",
    "broken_input": "The file breaks off: what was read before is stored.",
    "unknown_source": lambda fields: f"There is no source of usage named {fields.get('value')}.",
    "out_of_order": "The change lies before the last one.",
}
