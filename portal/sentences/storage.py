"""What the refusals of the shared services say: signing keys, long works."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "unreadable": lambda fields: (
        f"The signing key cannot be read from {fields.get('path')}: set PLUMBLINE_SIGNING_KEY_FILE to a file with 64 hex digits."
    ),
    "superseded": "The signing key in the file was replaced by a newer one: put the newer key's file in its place.",
    "unknown_work": "There is no such work: choose one of those on the page.",
    "unknown": "The signing key in the file is not one that this database knows: put back the file it was set up with.",
}
CODES: dict[str, Sentence] = {
    "signing_key_unusable": "The signing key cannot be used: see PLUMBLINE_SIGNING_KEY_FILE.",
}
