"""How times are read on the command line."""

from datetime import datetime
from typing import Any

import click

from billing.kernel import clock
from billing.kernel.errors import Invalid


def parse(text: str, zone: str = "UTC") -> datetime:
    """`2016-12-22` (midnight) or an instant, read in `zone` where it names no offset. Raises Invalid."""
    return clock.parse_instant(text, field="time", zone=zone)


def option(_context: click.Context, _parameter: click.Parameter, value: Any) -> datetime | None:
    """A click callback: the instant, UTC where it names no offset; exit 2 for what is none."""
    if value is None:
        return None
    try:
        return parse(value)
    except Invalid:
        raise click.BadParameter("write it as 2026-11-21 or 2026-11-21T13:00:00Z") from None
