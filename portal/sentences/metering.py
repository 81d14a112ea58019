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
    "unknown_group": "Usage is grouped by service, item, project, resource, route, submitter, allocation, or a tag such as tag:team.",
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
    "stopped": lambda fields: f"The allocation {fields.get('id')} is stopped: start it first.",
    "running": lambda fields: f"The allocation {fields.get('id')} is not stopped.",
    "too_many_tags": lambda fields: f"There are more than {fields.get('limit')} tags.",
    "map_needed": "A CSV needs a column map: --map FILE.toml.",
    "map_not_used": lambda fields: f"A column map is for CSV files, not for {fields.get('value')}.",
    "epoch_not_used": lambda fields: f"An epoch is for CSV files, not for {fields.get('value')}.",
    "map_too_long": "The column map is longer than 64 kB.",
    "map_not_toml": lambda fields: f"The column map is no TOML: {fields.get('value')}.",
    "map_wrong_key": lambda fields: f"The column map cannot be followed: {fields.get('value')}.",
    "map_column_missing": lambda fields: f"The file has no column {fields.get('value')}, or has it twice.",
    "not_whole_units": lambda fields: f"{fields.get('value')}",
    "not_a_number": lambda fields: f"{fields.get('value')}",
    "bad_time": lambda fields: f"{fields.get('value')}",
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
