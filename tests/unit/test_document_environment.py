"""The environment of documents and e-mails: strict, escaping, with the filters of `formats`, without a request."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from billing.rendering.environment import create_environment


def written(folder: Path, file: str, source: str, /, **context: object) -> str:
    (folder / file).write_text(source, encoding="utf-8")
    return create_environment(folder).get_template(file).render(**context)


def test_a_name_that_was_not_passed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UndefinedError):
        written(tmp_path, "invoice.html", "{{ number }}")


def test_markup_is_escaped_in_html_and_left_alone_in_plain_text(tmp_path: Path) -> None:
    assert written(tmp_path, "mail.html", "{{ name }}", name="<b>&") == "&lt;b&gt;&amp;"
    assert written(tmp_path, "mail.txt", "{{ name }}", name="<b>&") == "<b>&"


def test_figures_are_written_as_on_the_pages(tmp_path: Path) -> None:
    text = written(tmp_path, "mail.txt", '{{ net_minor|money("EUR", locale="de") }}', net_minor=-123456)
    assert text == "−1.234,56\u00a0EUR"
