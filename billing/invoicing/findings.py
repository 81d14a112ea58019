"""Which documents of a run a person should look at before they are approved. Pure.

A document is compared with what the same account was billed the month before, net, where the two are at least 50 major units apart:
more than three times as much or less than a third is an outlier, and approving it asks for a reason; a change of more than 30 % is
worth a look. So is a document that bills nothing, and one below zero.
"""

from dataclasses import dataclass
from typing import Literal

from billing.kernel import money

Level = Literal["look", "outlier"]
Change = Literal["risen", "fallen", "nothing", "below_zero"]

LEAST_MAJOR = 50
TIMES = 3
PERCENT = 30


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is unusual about a document, and whether approving it asks for a reason."""

    level: Level
    change: Change


def of(net_minor: int, before_net_minor: int | None, currency: str) -> Finding | None:
    """What to say of a document of this net; `before_net_minor` is the account's net of the month before, None without one."""
    if net_minor < 0:
        return Finding(level="look", change="below_zero")
    if net_minor == 0:
        return Finding(level="look", change="nothing")
    if before_net_minor is None or abs(net_minor - before_net_minor) < LEAST_MAJOR * 10 ** money.exponent(currency):
        return None
    change: Change = "risen" if net_minor > before_net_minor else "fallen"
    before = max(0, before_net_minor)
    if net_minor > TIMES * before or TIMES * net_minor < before:
        return Finding(level="outlier", change=change)
    if abs(net_minor - before) * 100 > PERCENT * before:
        return Finding(level="look", change=change)
    return None
