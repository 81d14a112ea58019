"""The few sentences that only the XML needs: when and how to pay, and how a line is reckoned. Pure; en, de and fr."""

from billing.invoicing.documents.model import InvoiceDocument, Line
from billing.kernel.money import Money

_TERMS = {
    "en": {
        "days": "Payable within {days} days of issue",
        "by": "Payable by {on}",
        "paid": "Nothing is left to pay",
        "open": "{amount} taken off what is open",
        "wallet": "{amount} added to the wallet",
    },
    "de": {
        "days": "Zahlbar innerhalb von {days} Tagen nach Ausstellung",
        "by": "Zahlbar bis {on}",
        "paid": "Es ist nichts mehr zu zahlen",
        "open": "{amount} mit dem offenen Betrag verrechnet",
        "wallet": "{amount} dem Guthaben gutgeschrieben",
    },
    "fr": {
        "days": "Payable dans les {days} jours suivant l'émission",
        "by": "Payable jusqu'au {on}",
        "paid": "Il ne reste rien à payer",
        "open": "{amount} déduits du montant dû",
        "wallet": "{amount} portés au crédit du compte",
    },
}
_WITHOUT_UNIT = ("item", "credit")


def payment_terms(document: InvoiceDocument) -> str:
    """BT-20: until when the rest is payable; of a credit note where the credit went."""
    words = _TERMS.get(document.language[:2], _TERMS["en"])
    if document.kind == "credit_note":
        parts = [("open", document.to_receivable_minor), ("wallet", document.to_wallet_minor)]
        went = [words[to].format(amount=_money(minor, document.currency)) for to, minor in parts if minor]
        return "; ".join(went) or words["paid"]
    if document.due_minor <= 0:
        return words["paid"]
    if document.terms_days is not None:
        return words["days"].format(days=document.terms_days)
    return words["by"].format(on=document.due_on)


def stated(line: Line, currency: str) -> str:
    """How the line's amount is reckoned, as a formula in every language: "1200 core-second × 0.50 / 3600 (≈ 0.3333 core-hour)".

    Empty for one item at its amount.
    """
    parts = []
    if line.unit not in _WITHOUT_UNIT:
        per = "" if line.price_base_text == "1" else f" / {line.price_base_text}"
        beside = f" (≈ {line.beside_text} {line.priced_unit})" if line.beside_text else ""
        parts.append(f"{line.quantity_text} {line.unit} × {line.unit_price_text}{per}{beside}")
    if line.converted is not None:
        from_other = f"{line.converted.amount_text} {line.converted.currency} × {line.converted.rate_text}"
        parts.append(f"{from_other} ({line.converted.rate_on})")
    if line.gross_minor is not None:
        parts.append(f"{_money(line.gross_minor, currency)} incl. VAT")
    return " · ".join(parts)


def _money(minor: int, currency: str) -> str:
    return f"{Money(minor=minor, currency=currency).to_decimal():f} {currency}"
