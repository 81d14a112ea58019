"""The OpenAPI document made readable: rows for the page's template, and an example of each shape. No session, no request."""

import json
import re
import shlex
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup, escape

from portal.api import problems

_SAMPLE_TEXTS = {
    "account": "acme", "currency": "USD", "period": "2026-11", "meter": "query", "unit": "query", "zone": "Europe/Berlin",
    "quantity": "120", "project": "vision", "country": "DE", "name": "Acme GmbH", "request_id": "req_01jd9v3m7q8r2x4y6z",
}  # fmt: skip
_IS_DEEP = 12  # pages of plans hold terms, which hold amounts
_LINE_MAX = 90
_CURL_HEADERS = {
    "Idempotency-Key": '-H "Idempotency-Key: $(uuidgen)"',
    "If-Match": "-H 'If-Match: \"ETAG\"'",
}


@dataclass(frozen=True, kw_only=True)
class Field:
    """One property of a shape or one parameter."""

    name: str
    kind: Markup
    words: Markup
    is_required: bool


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One status of an operation: what it means, and the shape of its body with an example, where it has one of its own."""

    status: str
    words: Markup
    shape: str | None
    sample: str | None


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One route as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: Markup
    scopes: list[str]
    parameters: list[Field]
    body: str | None
    is_batch: bool
    curl: str
    answers: list[Answer]
    problems: list[Answer]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One schema as the page shows it."""

    name: str
    words: Markup
    fields: list[Field]


def groups(document: dict[str, Any]) -> list[tuple[str, list[Operation]]]:
    """[(tag, operations)] in the document's order."""
    found: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found[operation["tags"][0]].append(_operation(document, path, method, operation))
    return list(found.items())


def shapes(document: dict[str, Any]) -> list[Shape]:
    """Every schema of the document, by name."""
    sent = _sent(document)
    return [
        Shape(name=name, words=_marked(shape.get("description", "")), fields=_fields(shape, is_sent=name in sent))
        for name, shape in document["components"]["schemas"].items()
    ]


def kinds() -> list[tuple[str, int, Markup]]:
    """[(code, status, what happened and what to do)] of every problem, by status."""
    found = sorted(problems.KINDS.values(), key=lambda kind: (kind.status, kind.code))
    return [(kind.code, kind.status, _marked(kind.words)) for kind in found]


def paragraphs(text: str) -> list[Markup]:
    """The description's paragraphs with their marks for bold and code."""
    return [_marked(" ".join(part.split())) for part in text.split("\n\n") if part.strip()]


def sample(document: dict[str, Any], shape: dict[str, Any], name: str = "", depth: int = 0) -> Any:
    """A value of the shape, for reading: examples where there are any, else something that could stand there."""
    if "$ref" in shape:
        return sample(document, _resolve(document, shape), name, depth + 1)
    if shape.get("examples"):
        return shape["examples"][0]
    for choice in ("enum", "const", "default"):
        if shape.get(choice) is not None:
            return shape[choice][0] if choice == "enum" else shape[choice]
    if "anyOf" in shape or "oneOf" in shape:
        return sample(document, (shape.get("anyOf") or shape["oneOf"])[0], name, depth)
    kind = shape.get("type")
    if kind == "object":
        inner = shape.get("properties", {})
        return {} if depth > _IS_DEEP else {key: sample(document, one, key, depth + 1) for key, one in inner.items()}
    if kind == "array":
        return [sample(document, shape["items"], name, depth + 1)] if shape.get("items") and depth <= _IS_DEEP else []
    if kind in ("integer", "number"):
        return max(1, int(shape.get("minimum", 1)))
    if kind == "boolean":
        return True
    if shape.get("pattern") == "^[0-9a-f]{64}$":
        return "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    return _SAMPLE_TEXTS.get(name, "…" if kind == "string" else None)


def _operation(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> Operation:
    responses = operation["responses"].items()
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    shape = content.get("schema", {})
    is_batch = "oneOf" in shape
    body = (shape["oneOf"][0] if is_batch else shape).get("$ref", "").rpartition("/")[2] or None
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        description=_marked(operation["description"]),
        scopes=sorted({scope for one in operation["security"] for scopes in one.values() for scope in scopes}),
        parameters=[
            Field(
                name=one["name"],
                kind=_kind(one["schema"]) if one["in"] != "header" else Markup("header"),
                words=_marked(one["description"]),
                is_required=one["required"],
            )
            for one in operation["parameters"]
            if one["name"] not in ("X-Request-ID", "If-None-Match")
        ],
        body=body,
        is_batch=is_batch,
        curl=_curl(document, path, method, operation),
        answers=_answers(document, [one for one in responses if one[0] < "300"]),
        problems=[_answer(document, *one) for one in responses if one[0] >= "400"],
    )


def _answers(document: dict[str, Any], responses: list[tuple[str, dict[str, Any]]]) -> list[Answer]:
    """Each shape with one example, however many statuses it is answered with."""
    found: list[Answer] = []
    for status, response in responses:
        one = _answer(document, status, response)
        is_known = one.shape in {before.shape for before in found}
        found.append(replace(one, sample=None) if is_known else one)
    return found


def _sent(document: dict[str, Any]) -> set[str]:
    """The names of the shapes that bodies of requests are made of."""
    bodies = [
        operation.get("requestBody", {}) for methods in document["paths"].values() for operation in methods.values()
    ]
    waiting, found = _references(bodies), set[str]()
    while waiting:
        found |= waiting
        waiting = _references([document["components"]["schemas"][name] for name in waiting]) - found
    return found


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()


def _answer(document: dict[str, Any], status: str, response: dict[str, Any]) -> Answer:
    found = _resolve(document, response)
    shape = found.get("content", {}).get("application/json", {}).get("schema", {})
    name = shape.get("$ref", "").rpartition("/")[2] or None
    is_own = name is not None and status < "300"
    return Answer(
        status=status,
        words=_linked(found["description"]),
        shape=name,
        sample=json.dumps(sample(document, shape), indent=2, ensure_ascii=False) if is_own else None,
    )


def _curl(document: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    """A command to paste: `$PLUMBLINE_KEY` holds the key."""
    url = document["servers"][0]["url"] + re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), path)
    lines = [f"curl {shlex.quote(url)}" if method == "get" else f"curl -X {method.upper()} {shlex.quote(url)}"]
    if operation["security"]:
        lines.append('-H "Authorization: Bearer $PLUMBLINE_KEY"')
    required = [one["name"] for one in operation["parameters"] if one["in"] == "header" and one["required"]]
    lines += [_CURL_HEADERS[name] for name in required]
    examples = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("examples", {})
    for example in examples.values():
        lines.append("-H 'Content-Type: application/json'")
        sent = json.dumps(example["value"])
        if len(sent) > _LINE_MAX:
            sent = json.dumps(example["value"], indent=2)
        lines.append(f"-d {shlex.quote(sent)}")
    return " \\\n  ".join(lines)


def _fields(shape: dict[str, Any], *, is_sent: bool) -> list[Field]:
    """The properties of a shape. Of an answer every one is there, so that only what is sent says which are required."""
    required = shape.get("required", [])
    return [
        Field(name=name, kind=_kind(one), words=_words(one), is_required=is_sent and name in required)
        for name, one in shape.get("properties", {}).items()
    ]


def _kind(shape: dict[str, Any]) -> Markup:
    """What a value is, with a link to the shape that it has."""
    if "$ref" in shape:
        name = shape["$ref"].rpartition("/")[2]
        return Markup('<a href="#shape-{0}">{0}</a>').format(name)
    if "enum" in shape:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in shape["enum"])
    if "const" in shape:
        return Markup("<code>{}</code>").format(shape["const"])
    if "anyOf" in shape or "oneOf" in shape:
        return Markup(" or ").join(_kind(one) for one in shape.get("anyOf") or shape["oneOf"])
    if shape.get("type") == "array":
        return Markup("list of {}").format(_kind(shape.get("items", {})))
    if shape.get("type") == "object" and "additionalProperties" in shape:
        inner = shape["additionalProperties"]
        return Markup("names with {}").format(_kind(inner if isinstance(inner, dict) else {}))
    named = {"date-time": "time", "binary": "bytes"}.get(shape.get("format", ""), shape.get("type", "any"))
    return escape(named)


def _words(shape: dict[str, Any]) -> Markup:
    """The description, and the bounds that are worth saying."""
    parts = [shape["description"]] if "description" in shape else []
    for inner in (shape, *shape.get("anyOf", [])):
        if inner.get("maxLength"):
            parts.append(f"At most {inner['maxLength']} characters.")
        if inner.get("type") == "array" and "maxItems" in inner:
            parts.append(f"{inner.get('minItems', 0)} to {inner['maxItems']} of them.")
    if shape.get("examples"):
        parts.append(f"Such as {shape['examples'][0]}.")
    if shape.get("default") not in (None, "", [], {}):
        parts.append(f"By default {shape['default']}.")
    return _marked(" ".join(parts))


def _marked(text: str) -> Markup:
    """The text with `code` and **bold** as such; everything else is escaped."""
    marked = re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text)))
    return Markup(re.sub(r"\*\*([^*]+)\*\*", r"<strong>\1</strong>", marked))  # noqa: S704  escaped above


def _linked(text: str) -> Markup:
    """As `_marked`, each problem's code a link to its entry."""
    linked = re.sub(r"`([a-z_]+)`:", r'<a href="#problem-\1"><code>\1</code></a>:', str(escape(text)))
    return _marked(Markup(linked))  # noqa: S704  escaped above


def _resolve(document: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in shape:
        return shape
    found: Any = document
    for part in shape["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    resolved: dict[str, Any] = found
    return resolved
