"""Of the JSON API and of operators' decisions over many: what a request lacks or says wrongly."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "account_needed": "Name the billing account: this key may use several, or none by itself.",
    "limit_out_of_range": lambda fields: f"The limit is a number from 1 to {fields.get('limit')}.",
    "bad_cursor": "The cursor is not one that this list gave, with these filters: begin again without it.",
    "bad_parameter": lambda fields: f"The parameter {fields.get('field')} is empty, too long, or cannot be read.",
    "unknown_choice": lambda fields: f"The parameter {fields.get('field')} is one of: {fields.get('known')}.",
    "unknown_parameter": lambda fields: (
        f"There is no parameter {fields.get('field')} here; there are: {fields.get('known') or 'none'}."
    ),
    "unknown_project": "The account has no such project.",
    "not_whole_bytes": "The memory is no whole number of bytes: use GiB with fewer decimals.",
    "wrong_number_of_events": lambda fields: f"Send 1 to {fields.get('limit')} events at once.",
    "no_documents": "Nothing is left to do: these documents were decided in the meantime.",
    "too_many_documents": lambda fields: f"At most {fields.get('limit')} documents can be decided at once.",
}
CODES: dict[str, Sentence] = {
    "body_not_json": lambda fields: f"The body cannot be read as JSON: {fields.get('fault')}.",
    "unsupported_media_type": "Send the body as application/json.",
    "invalid_body": "The body has another shape than this route takes; errors says where.",
    "idempotency_key_missing": "Send an Idempotency-Key header of 1 to 120 visible characters: repeats are then one act.",
    "idempotency_key_reused": "This Idempotency-Key was used for another request: take a new one.",
    "idempotency_in_flight": "A request with this Idempotency-Key is being worked on: ask again in a second.",
    "precondition_required": "Send If-Match with the ETag of what you edit, so that no one's change is lost.",
    "precondition_failed": "This was changed since you read it: read it again, then decide.",
    "document_not_ready": "The files are being made: ask again in a few seconds.",
}
