"""Disputes in words, for tenants' and operators' pages alike."""

from billing.notices.words import dispute_reason
from billing.payments.disputes.listing import DisputeRow, HistoryRow
from portal import filters

STATES = {
    "opened": "Opened",
    "needs_response": "Needs an answer",
    "evidence_due": "Evidence due",
    "evidence_submitted": "Evidence submitted",
    "won": "Won",
    "lost": "Lost",
    "closed": "Closed",
}
FUNDS = {"none": "Nothing moved", "withdrawn": "With the bank", "reinstated": "Given back"}
FINDINGS = {
    "payment_unknown": "We do not know the payment: nothing is posted",
    "currency_mismatch": "It is in another currency than its payment: nothing is posted",
}
FRAUD_TYPES = {
    "card_never_received": "The card never reached its holder",
    "fraudulent_card_application": "The card was applied for by fraud",
    "made_with_counterfeit_card": "Made with a copied card",
    "made_with_lost_card": "Made with a lost card",
    "made_with_stolen_card": "Made with a stolen card",
    "unauthorized_use_of_card": "The cardholder did not allow it",
}
_HAPPENED: dict[str, tuple[str, str | None]] = {
    "opened": ("The bank opened it", "warn"),
    "case": ("Not as we know it: a person must look", "bad"),
    "funds_withdrawn": ("Money withdrawn", "bad"),
    "funds_reinstated": ("Money given back", "good"),
    "fee_taken": ("The provider took its fee", None),
    "fee_returned": ("The provider gave its fee back", "good"),
    "loss_settled": ("The loss was booked", "bad"),
    "loss_undone": ("The loss was undone", "good"),
    "state_opened": ("Opened", None),
    "state_needs_response": ("An answer is asked for", "warn"),
    "state_evidence_due": ("Evidence due within three days", "bad"),
    "state_evidence_submitted": ("The bank looks at the evidence", None),
    "state_won": ("Won", "good"),
    "state_lost": ("Lost", "bad"),
    "state_closed": ("Closed", None),
    "evidence_begun": ("Evidence is being submitted", None),
    "evidence_submitted": ("Evidence submitted", "good"),
    "evidence_unknown": ("The provider did not answer clearly", "warn"),
    "evidence_failed": ("The provider refused the evidence", "bad"),
    "acceptance_begun": ("The dispute is being accepted", None),
    "acceptance_submitted": ("Accepted", None),
    "acceptance_unknown": ("The provider did not answer clearly", "warn"),
    "acceptance_failed": ("The provider refused the acceptance", "bad"),
}
# What a tenant reads of the history; the rest is ours.
_FOR_TENANTS = frozenset(
    {"opened", "funds_withdrawn", "funds_reinstated", "loss_settled", "loss_undone", "state_won", "state_lost"}
    | {"state_closed", "evidence_submitted"}
)


def reason(row: DisputeRow) -> str:
    """Why, with the bank's code where there is one."""
    code = f" (code {row.network_reason_code})" if row.network_reason_code else ""
    return dispute_reason(row.reason) + code


def timeline(
    rows: list[HistoryRow], *, for_tenant: bool = False, places: dict[str, str] | None = None
) -> list[dict[str, object]]:
    """What happened, newest first, as the timeline macro takes it; `places` names the invoices of losses by id."""
    shown = []
    for row in reversed(rows):
        if for_tenant and row.type not in _FOR_TENANTS:
            continue
        title, tone = _HAPPENED.get(row.type, (row.type.replace("_", " ").capitalize(), None))
        shown.append({"at": row.occurred_at, "title": title, "detail": _detail(row, places or {}), "tone": tone})
    return shown


def _detail(row: HistoryRow, places: dict[str, str]) -> str | None:
    parts = []
    if row.amount_minor is not None and row.currency:
        parts.append(filters.money(abs(row.amount_minor), row.currency))
    elif isinstance(row.facts.get("fee_minor"), int):
        parts.append(filters.money(abs(row.facts["fee_minor"]), row.facts["currency"]))
    if isinstance(row.facts.get("parts"), dict):
        parts += [
            f"{places.get(place, place) if place != 'wallet' else 'wallet'}: {filters.money(abs(minor), row.currency or '')}"
            for place, minor in sorted(row.facts["parts"].items())
            if minor
        ]
    if row.facts.get("failure"):
        parts.append(str(row.facts["failure"]))
    if row.facts.get("finding"):
        parts.append(FINDINGS.get(str(row.facts["finding"]), str(row.facts["finding"])))
    return ", ".join(parts) or None
