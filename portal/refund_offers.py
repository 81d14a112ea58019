"""The choice of what to give back, as forms of tenants and operators show it."""

from collections.abc import Sequence

from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3

from billing.payments.refund_offers import Offer
from billing.payments.refund_subjects import Payee
from portal import filters


def choices(offered: Sequence[Offer]) -> list[SelectChoice]:
    """Each offer in words with its most, behind an empty one."""
    return [SelectChoice("", "Choose")] + [
        SelectChoice(one.key, f"{label(one)} (at most {filters.money(one.limit)})") for one in offered
    ]


def label(offer: Offer) -> str:
    """Such as "Payment of USD 100.00 on 21 Nov 2026: back to the card, after a credit note on INV-1"."""
    if offer.payment is None:
        return f"Invoice {offer.invoice_number}: as credit, by a credit note"
    paid = filters.money(offer.payment.amount_minor, offer.payment.currency)
    on = filters.day(offer.payment.received_at.date())
    way = "back by bank transfer" if offer.mode == "bank" else "back to the card"
    after = f", after a credit note on {offer.invoice_number}" if offer.invoice_id else ""
    return f"Payment of {paid} on {on}: {way}{after}"


def find(offered: Sequence[Offer], key: str | None) -> Offer | None:
    """The offer of that key, or None."""
    return next((one for one in offered if one.key == key), None)


def payee_of(offer: Offer, name: str | None, iban: str | None) -> Payee | None:
    """Whose bank account, where the money goes by transfer; billing refuses what is missing or wrong."""
    return Payee(name=name or "", iban=iban or "") if offer.mode == "bank" else None


def spaced(iban: str) -> str:
    """An IBAN in groups of four, as people read it."""
    return " ".join(iban[start : start + 4] for start in range(0, len(iban), 4))
