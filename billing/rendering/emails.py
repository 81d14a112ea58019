"""E-mails from their templates: templates/emails/<name>.txt, whose first line is the subject, and <name>.html, the same in HTML."""

import re
from dataclasses import dataclass

from billing.rendering import environment
from billing.rendering.numbers import NBSP

_GAPS = re.compile(r"\n{3,}")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a mail says: its subject on one line, and the two forms of its body."""

    subject: str
    text: str
    html: str


def render(name: str, /, **context: object) -> Rendered:
    """A mail in words. Figures take `locale` and `zone` from the context. Raises jinja2.UndefinedError for a name nobody passed."""
    plain = environment.render(f"emails/{name}.txt", **context).replace(NBSP, " ")
    subject, _, body = plain.lstrip().partition("\n")
    subject = " ".join(subject.split())
    html = environment.render(f"emails/{name}.html", subject=subject, **context)
    return Rendered(subject=subject, text=_GAPS.sub("\n\n", body).strip() + "\n", html=html)
