"""The two axes of a dispute, and how what is lost divides. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

DUE_SOON = timedelta(hours=72)
ENDED = ("won", "lost", "closed")
WAITING = ("opened", "needs_response", "evidence_due")
OPEN = (*WAITING, "evidence_submitted")

_ENDED: Mapping[str, str] = {"won": "won", "lost": "lost", "warning_closed": "closed", "prevented": "closed"}


def state_of(status: str, *, due_by: datetime | None, now: datetime) -> str:
    """Who must do what next, by the provider's word and the time that is left.

    A word that is not known yet is treated as one that needs an answer: a person looks rather than nobody.
    """
    if status in _ENDED:
        return _ENDED[status]
    if status.endswith("under_review"):
        return "evidence_submitted"
    if due_by is None:
        return "opened"
    return "evidence_due" if due_by - now <= DUE_SOON else "needs_response"


def funds_of(movements: Sequence[int]) -> str:
    """What the bank holds of us: none when nothing ever moved, withdrawn while something is gone, else reinstated."""
    if not any(movements):
        return "none"
    return "withdrawn" if sum(movements) < 0 else "reinstated"


def divide(lost_minor: int, credited: Mapping[str, int], owing: Mapping[str, int], *, wallet: str) -> dict[str, int]:
    """Each part of what is lost to where the payment had been credited: {place: minor units}, summing to `lost_minor`.

    In proportion, by the largest remainder. `owing` caps a place: an invoice that was credited since is not owed again, the wallet
    that got its credit gives it. What no place can take, also what is more than the payment was, is the wallet's.
    """
    whole = sum(credited.values())
    shared = min(lost_minor, whole) if lost_minor > 0 else 0
    parts = {place: shared * minor // whole for place, minor in credited.items()} if whole else {}
    rests = sorted(credited, key=lambda place: (-(shared * credited[place] % whole), place)) if whole else []
    for place in rests[: shared - sum(parts.values())]:
        parts[place] += 1
    parts = {place: min(minor, owing.get(place, 0)) for place, minor in parts.items() if place != wallet}
    parts[wallet] = lost_minor - sum(parts.values())
    return parts
