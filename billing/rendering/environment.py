"""The one Jinja environment for documents and e-mails. It knows no request: what a template needs is passed to it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from billing.rendering import formats

TEMPLATES = Path(__file__).resolve().parents[2] / "templates"
_FILTERS: dict[str, Callable[..., Any]] = {
    "money": formats.money,
    "amount": formats.amount,
    "unit_price": formats.unit_price,
    "unit_price_pico": formats.unit_price_pico,
    "micro": formats.micro,
    "quantity": formats.quantity,
    "integer": formats.integer,
    "percent": formats.percent,
    "share": formats.share,
    "file_size": formats.file_size,
    "day": formats.day,
    "days": formats.days,
    "month_name": formats.month,
    "instant": formats.instant,
    "clock": formats.clock,
    "iso": formats.iso,
    "period": formats.period,
    "duration": formats.duration,
    "age": formats.age,
    "ago": formats.ago,
}


def create_environment(templates: Path = TEMPLATES) -> Environment:
    """An environment over `templates/` that escapes HTML and XML and refuses names that were not passed.

    Its filters are those of `formats` with their keywords: {{ line.net_minor|money(invoice.currency, locale=invoice.locale) }}.
    Plain-text parts (`.txt`) are not escaped.
    """
    environment = Environment(
        loader=FileSystemLoader(templates),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html", "xml", "svg"), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_FILTERS)
    return environment


def render(template: str, /, **context: object) -> str:
    """A document or e-mail part as text. Raises jinja2.UndefinedError for a name the template uses and nobody passed."""
    return _ENVIRONMENT.get_template(template).render(**context)


_ENVIRONMENT = create_environment()
