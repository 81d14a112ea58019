"""What an import of exchange rates did, in words: the same on the page and on the command line."""

from billing.reference.ecb import BadRow
from billing.reference.fx_rates import Imported

_REASONS = {
    "not_a_day": "The first cell is no day such as 2026-10-30.",
    "in_future": "The day has not come yet.",
    "too_early": "The euro has rates from 4 January 1999 on.",
    "wrong_width": "The row has {detail} cells beside its day: other than the heading.",
    "not_a_rate": "{detail} is no rate: a plain decimal above zero, or N/A.",
    "no_rates": "The row has no rate at all.",
    "twice": "The day stands in the file twice with different rates, first on {detail}.",
    "differs": "Another snapshot of the day is held, and snapshots never change: {detail}.",
}


def reason(row: BadRow) -> str:
    """Why a row was refused, as a sentence."""
    return _REASONS[row.reason].format(detail=row.detail)


def summary(done: Imported) -> str:
    """One sentence about the whole import."""
    parts = [f"{done.added} {'day is' if done.added == 1 else 'days are'} new"]
    if done.unchanged:
        parts.append(f"{done.unchanged} {'was' if done.unchanged == 1 else 'were'} held already")
    if done.bad:
        parts.append(f"{len(done.bad)} {'row was' if len(done.bad) == 1 else 'rows were'} refused")
    return f"{done.source}: {', '.join(parts)}."
