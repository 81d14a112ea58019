"""E-mails from their templates: templates/emails/<name>.txt, whose first line is the subject, and <name>.html, the same in HTML."""

import re
from dataclasses import dataclass

from billing.rendering import environment

# Spaces that hold figures together on a page: in plain text and in a subject they are spaces.
_SPACES = str.maketrans(dict.fromkeys("\u00a0\u202f\u2009", " "))
_GAPS = re.compile(r"\n{3,}")


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """What a mail says: its subject on one line, and the two forms of its body."""

    subject: str
    text: str
    html: str


def render(name: str, /, **context: object) -> Rendered:
    """A mail in words. Figures take `locale` and `zone` from the context. Raises jinja2.UndefinedError for a name nobody passed."""
    subject, _, body = environment.render(f"emails/{name}.txt", **context).lstrip().partition("\n")
    subject = re.sub(" {2,}", " ", subject).strip()
    html = environment.render(f"emails/{name}.html", subject=subject, **context)
    body = _GAPS.sub("\n\n", body.translate(_SPACES)).strip()
    return Rendered(subject=subject.translate(_SPACES), text=body + "\n", html=html)
