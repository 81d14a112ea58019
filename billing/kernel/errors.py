"""The one base of every refusal in billing."""


class Refusal(Exception):
    """A request that the rules forbid. Raising it rolls the transaction back.

    `code` is stable and belongs to the class; `fields` are the facts of this case (ids, amounts in minor units, limits).
    Sentences for people are made in `portal/errors.py` and `portal/cli`; `str()` is for logs.
    """

    code = "refused"

    def __init__(self, **fields: object) -> None:
        self.fields = fields
        super().__init__(f"{self.code}: " + ", ".join(f"{name}={value!r}" for name, value in fields.items()))


class NotFound(Refusal):
    """No such object, or none that this billing account may see: the two are never told apart."""

    code = "not_found"


class Conflict(Refusal):
    """The object is in a state, or was already used with other content, that forbids the act."""

    code = "conflict"


class Invalid(Refusal):
    """Input that cannot be understood or is outside its limits; `fields` names the input and the limit."""

    code = "invalid"
