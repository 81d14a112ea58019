"""One route of the API, as data: from these the blueprint is filled and the API's description is made.

A new route is one entry in its file here and a view. The description (`openapi`) takes its shapes from the models, so it cannot say
anything else than what is read and written; what it cannot know stands here: which problems of its own a route has.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel


@dataclass(frozen=True, kw_only=True)
class Route:
    """One route below /api/v1. `request` and `response` are the shapes of its bodies, `query` the parameters it reads.

    `is_keyed`: an Idempotency-Key is required; `is_edit`: If-Match is. `success` are the statuses of answers that are no
    problem, `problems` the codes that only routes of this kind have, `choices` the values of the parameter `state` or `by`. What
    the key's scope must be stands above the view (`view.access`); `is_signed`: a provider proves itself by its signature instead.
    """

    method: str
    path: str
    view: Callable[..., Any]
    tag: str
    words: str
    response: type[BaseModel] | None
    request: type[BaseModel] | None = None
    query: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    success: tuple[int, ...] = (200,)
    problems: tuple[str, ...] = ()
    is_keyed: bool = False
    is_edit: bool = False
    is_batch: bool = False
    is_signed: bool = False
    mimetype: str = "application/pdf"  # of an answer that is a file
    example: dict[str, Any] | None = None


PAGED = ("account", "limit", "cursor")
FIVE_DOLLARS = {"amount_minor": 500, "currency": "USD"}
