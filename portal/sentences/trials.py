"""What the refusals of shadow ratings say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "row_bound": lambda fields: f"The number of rows is from 1 to {fields.get('limit')}.",
    "no_such_account": lambda fields: f"There is no billing account {fields.get('value')}.",
    "own_book": "That price book is one account's own: it comes into force by two people, not by a trial.",
}
CODES: dict[str, Sentence] = {}
