"""What kind of line or record something is, in sentences: corrections, late usage, rescalings, and what the system itself counts."""

from datetime import date
from urllib.parse import quote, urlencode

from billing.metering.usage import UsageDetail
from billing.rating import evidence
from billing.rating.evidence import LineDetail
from portal import filters
from portal.tenant import words

KINDS = {
    "usage": "Usage",
    "correction": "Correction",
    "rescaling": "Rescaling",
    "reserved": "Reserved",
    "unused": "Reserved, not used",
    "matched": "Moved to a reservation",
    "fee": "Recurring fee",
    "closing": "Closing charge",
}
MODES = {"on_demand": "On demand", "spot": "Spot", "reserved": "Reserved", "unused": "Reserved, not used"}
_WAITING = {
    "no_price": "No price of its plan covers it. It costs nothing until there is one; then it is rated at the price of its own time.",
    "amount_too_large": "Its amount is larger than the ledger can hold. An operator has been told.",
    "price_changed_after_rating": (
        "A price changed after usage of the same time had been rated. An operator decides how it is rated."
    ),
    "below_zero": "It takes back more than its counter holds so far. It is rated as soon as the usage that it corrects is.",
}
_SYSTEM = {
    "reserved": "This time was covered by a reservation: it is counted at the reservation's price, not on demand.",
    "unused": "This time was reserved and not used. A reservation is paid for whether it is used or not.",
    "matched": (
        "This time was covered by a reservation: it is taken off what was counted on demand, and another record counts it at the "
        "reservation's price."
    ),
    "fee": "A recurring fee of the plan, charged when its period begins. Nothing was used for it.",
    "closing": (
        "Charged when the period closes, from what the period's other charges come to: a minimum, or a percentage. When a late "
        "line changes their sum, the difference is charged or given back by another line like this one."
    ),
}


def of_line(line: LineDetail) -> list[str]:
    """Sentences on why there is this line, where it is more than usage that was reported in time."""
    found = []
    if line.kind == "rescaling" and line.rescaled is not None:
        found.append(
            f"A price changed inside {_month(line)} after lines had been rated, so that this counter now covers "
            f"{_share(line.rescaled.new_share)} of the period instead of {_share(line.rescaled.old_share)}. Its tiers, allowances and "
            "fixed amounts are cut to that share. Nothing was used for this line: it adds the cost of what the counter holds "
            "with the new bounds, less its cost with the old ones."
        )
    elif line.kind == "correction":
        found.append(_correction(line.row.quantity < 0))
    elif line.kind in _SYSTEM:
        found.append(_SYSTEM[line.kind])
    if line.is_late:
        found.append(
            f"It came after {_month(line)} was invoiced. It keeps the price and the counter of its own time, and stands on the next "
            f"invoice as late usage for {_month(line)}."
        )
    return found


def of_record(found: UsageDetail) -> list[str]:
    """Sentences on why there is this record, where it is more than usage that was reported."""
    kind = evidence.kind_of(found.row.source, found.row.meter_code, found.row.mode, found.corrects_id)
    if kind == "rescaling":
        return [
            "Nothing was used: this record marks that a change of price inside the period changed the share of a counter."
        ]
    if kind == "correction":
        return [_correction(found.row.quantity < 0)]
    return [_SYSTEM[kind]] if kind in _SYSTEM else []


def waiting(reason: str | None) -> str:
    """Why a record has no line yet."""
    if reason is None:
        return "Rating has not looked at it yet. This takes a minute at most."
    return _WAITING.get(reason, f"It waits: {words.plain(reason).lower()}.")


def item_name(meter_code: str, variant: str) -> str:
    """A meter with its model: "gpu_hour, h100"."""
    return f"{meter_code}, {variant}" if variant else meter_code


def question_url(email: str, subject: str, url: str) -> str:
    """A letter to billing about one thing, begun."""
    body = f"I have a question about this: {url}\n\n"
    return f"mailto:{quote(email)}?" + urlencode(
        {"subject": f"Question about {subject}", "body": body}, quote_via=quote
    )


def _correction(takes_back: bool) -> str:
    what = "takes back what was reported too much" if takes_back else "adds what was reported too little"
    return f"A correction: it {what}. What it corrects stays as it is, and so does everything that was charged for it."


def _month(line: LineDetail) -> str:
    return filters.month_name(date.fromisoformat(f"{line.row.period_label}-01"))


def _share(text: str) -> str:
    return "all" if text == "1" else text
