"""The shape of a sentence: fixed words, or words made from the facts of the case."""

from collections.abc import Callable
from typing import Any

Sentence = str | Callable[[dict[str, Any]], str]
