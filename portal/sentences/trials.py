"""What the refusals of shadow ratings say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "row_bound": lambda fields: f"The number of rows is from 1 to {fields.get('limit')}.",
    "own_book": "That price book is one account's own: it comes into force by two people, not by a trial.",
}
CODES: dict[str, Sentence] = {}
