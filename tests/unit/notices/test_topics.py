"""No notice without a word about who hears of it: every topic that the code queues is known, and every mail has both parts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing.notices.topics import TOPICS

ROOT = Path(__file__).resolve().parents[3]
EMAILS = ROOT / "templates" / "emails"


def queued(path: Path) -> Iterator[str]:
    """A pattern for each topic that a module hands to `outbox.enqueue`; "?" for one that cannot be read."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "enqueue":
            for keyword in node.keywords:
                if keyword.arg == "topic":
                    yield from patterns(keyword.value, tree)


def patterns(value: ast.expr, tree: ast.Module) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield re.escape(text)
        case ast.JoinedStr(values=parts):
            yield "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else "[a-z_]+" for part in parts)
        case ast.IfExp(body=first, orelse=second):
            yield from patterns(first, tree)
            yield from patterns(second, tree)
        case ast.Name(id=name):
            given = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign)
                and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
            ]
            if not given:
                yield "?"
            for one in given:
                yield from patterns(one, tree)
        case _:
            yield "?"


def test_every_topic_that_is_queued_is_known_with_its_audience_and_mail() -> None:
    found = {
        (str(path.relative_to(ROOT)), pattern)
        for room in ("billing", "portal")
        for path in (ROOT / room).rglob("*.py")
        for pattern in queued(path)
    }
    assert len(found) >= 7
    unknown = [(where, p) for where, p in found if p == "?" or not any(re.fullmatch(p, topic) for topic in TOPICS)]
    assert unknown == [], "name them in billing/notices/topics.py"


def test_the_search_finds_a_topic_that_nobody_named(tmp_path: Path) -> None:
    module = tmp_path / "acts.py"
    module.write_text('KIND = "moon.rose"\ndef act(session):\n    outbox.enqueue(session, topic=KIND, payload={})\n')
    assert list(queued(module)) == [r"moon\.rose"]
    assert "moon.rose" not in TOPICS


def test_a_refund_is_told_in_every_state_that_tells() -> None:
    told = {name.partition(".")[2] for name in TOPICS if name.startswith("refund.")}
    assert told == {"requested", "approved", "sent", "action_required", "rejected", "succeeded", "failed"}


@pytest.mark.parametrize("template", sorted({topic.template for topic in TOPICS.values() if topic.template}))
def test_every_mail_has_a_text_and_an_html_part(template: str) -> None:
    for suffix in (".txt", ".html"):
        assert (EMAILS / f"{template}{suffix}").is_file()


def test_no_part_of_a_mail_is_left_over() -> None:
    used = {topic.template for topic in TOPICS.values() if topic.template} | {"layout", "_parts"}
    assert {path.stem for path in EMAILS.iterdir()} == used
