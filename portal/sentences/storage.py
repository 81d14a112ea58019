"""What the refusals of the shared services say: signing keys, signed roots, long works."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "unreadable": lambda fields: (
        f"The signing key cannot be read from {fields.get('path')}: set PLUMBLINE_SIGNING_KEY_FILE to a file with 64 hex digits."
    ),
    "superseded": "The signing key in the file was replaced by a newer one: put the newer key's file in its place.",
    "unknown_work": "There is no such work: choose one of those on the page.",
    "unknown": "The signing key in the file is not one that this database knows: put back the file it was set up with.",
    "chains_missing": lambda fields: (
        f"Only {fields.get('chain_count')} of the {fields.get('signed_count')} signed chains are there: no root is signed over what "
        "is missing. `plumbline roots verify` says which."
    ),
    "no_such_root": lambda fields: f"There is no signed root number {fields.get('seq')}.",
    "nothing_posted": "Nothing was posted to this account yet: there is no statement to prove.",
    "other_root": lambda fields: (
        f"{fields.get('path')} holds another root of that number: nothing was overwritten. `plumbline roots verify` says more."
    ),
}
CODES: dict[str, Sentence] = {
    "chain_not_continued": lambda fields: (
        f"The chain of {fields.get('account')} does not go on from number {fields.get('signed_seq')}, which was signed: nothing is "
        "signed over it. `plumbline roots verify` says where it breaks."
    ),
    "nothing_signed": "No root is signed yet: `plumbline roots sign` signs one.",
    "root_file": lambda fields: f"The file of the root cannot be written: {fields.get('path')}.",
    "signing_key_unusable": "The signing key cannot be used: see PLUMBLINE_SIGNING_KEY_FILE.",
}
