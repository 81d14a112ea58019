"""A rated line's derivation in words and numbers: each step as a person can work it again."""

from decimal import Decimal
from fractions import Fraction

from billing.kernel import money
from billing.rating.derivations import MICRO_PER_MINOR, Step
from billing.rating.evidence import LineDetail
from billing.rendering import formats
from portal import filters, unit_words
from portal.tenant import words

_CENT_CURRENCIES = ("USD", "EUR", "CAD", "AUD", "NZD", "SGD", "HKD")


def worked(detail: LineDetail) -> list[dict[str, str]]:
    """Steps for the `derivation` macro: from what was counted to the line's amount."""
    return [_Words(detail).of(step) for step in detail.derivation.steps]


def summary(detail: LineDetail) -> str | None:
    """A plain price in one product, "0.5 core-hours × USD 0.10 = USD 0.05"; None where a line is more than that."""
    price = detail.price
    if price.model != "per_unit":
        return None
    unit_price = filters.unit_price(Decimal(price.parameters["unit_price"]), price.currency)
    quantity = exact_text(detail.row.quantity)
    amount = filters.micro(detail.row.amount_micro, price.currency)
    sign = (
        "="
        if Fraction(price.parameters["unit_price"])
        * detail.row.quantity
        * 10 ** money.exponent(price.currency)
        * MICRO_PER_MINOR
        == detail.row.amount_micro
        else "≈"
    )
    return f"{quantity} {unit_words.units(price.unit, detail.row.quantity)} × {unit_price} {sign} {amount}"


def smallest_unit(currency: str) -> str:
    """What a minor unit is called in a sentence."""
    return "cent" if currency in _CENT_CURRENCIES else f"{currency} minor unit"


def exact_text(value: Fraction) -> str:
    """All digits of a value where they end within twelve, else the fraction itself."""
    if (value * 10**12).denominator == 1:
        return filters.quantity(value, places=12)
    return f"{filters.integer(value.numerator)}/{filters.integer(value.denominator)}"


class _Words:
    """The sentences of one line's steps."""

    def __init__(self, detail: LineDetail) -> None:
        self._detail = detail
        self._currency = detail.price.currency
        is_rescaling = any(step.unit == "share" for step in detail.derivation.steps)
        self._with, self._without = (
            ("with its new share of the period", "with the share it had")
            if is_rescaling
            else ("with this usage", "without this usage")
        )

    def of(self, step: Step) -> dict[str, str]:
        """One step: words, formula, exact value, rounding, result."""
        if step.unit == "unit":
            return self._quantity(step)
        if step.unit == "share":
            return self._share(step)
        if step.unit == "minor":
            return self._part(step)
        return self._sum(step)

    def _quantity(self, step: Step) -> dict[str, str]:
        price, units = self._detail.price, Fraction(step.exact)
        base = int(step.inputs["quantity_base"])
        base_unit = price.base_unit.replace(" x ", " × ")
        sentence = {
            "quantity": "What this usage record counted, from its base units to the unit that is priced.",
            "stood_at": "What the same counter had counted before it.",
        }[step.operation]
        return {
            "words": sentence,
            "formula": f"{filters.integer(base)} {base_unit} ÷ {filters.integer(price.base_per_unit)}",
            "exact": f"{exact_text(units)} {unit_words.units(price.unit)}",
            "result": self._units(units),
        }

    def _share(self, step: Step) -> dict[str, str]:
        sentence = {
            "share_after": "The part of the period in which this price holds, now that it changes inside the period: its bounds are cut by it.",
            "share_before": "The part of the period by which its bounds were cut before.",
        }[step.operation]
        part, whole = (int(step.inputs.get(name, "1")) for name in ("segment_ms", "period_ms"))
        return {
            "words": sentence,
            "formula": f"{filters.integer(part)} ms ÷ {filters.integer(whole)} ms"
            if step.inputs
            else "the whole period",
            "result": exact_text(Fraction(step.result)),
        }

    def _part(self, step: Step) -> dict[str, str]:
        count, price_minor = Fraction(step.inputs["count"]), Fraction(step.inputs["price_minor"])
        at = self._with if step.inputs["at"] == "after" else self._without
        unit_price = filters.unit_price(price_minor / 10 ** money.exponent(self._currency), self._currency)
        unit = self._detail.price.unit
        sentences = {
            "per_unit": f"The counter {at}: everything it counted, at the price of one {unit}.",
            "tier": f"The counter {at}: the part that falls into this tier{self._bounds(step)}.",
            "volume_tier": f"The counter {at}: its whole quantity at the price of the tier it reaches{self._bounds(step)}.",
            "free": f"The counter {at}: the part that is free of charge{self._bounds(step)}.",
            "package": f"The counter {at}: packages that were begun, each at its whole price.",
            "flat": f"The counter {at}: a fixed amount.",
            "percentage": f"The counter {at}: a share of the amount it counted.",
        }
        counted = filters.integer(int(count)) if step.operation in ("package", "flat") else self._units(count)
        return {
            "words": sentences.get(step.operation, words.plain(step.operation)),
            "formula": f"{counted} × {unit_price}",
            "result": self._amount(Fraction(step.exact)),
        }

    def _sum(self, step: Step) -> dict[str, str]:
        result = filters.micro(int(step.result), self._currency)
        cent = smallest_unit(self._currency)
        if step.operation == "difference":
            after, before = (int(step.inputs[name]) for name in ("cost_after_micro", "cost_before_micro"))
            return {
                "words": "What this line adds to its counter: its amount.",
                "formula": f"{filters.micro(after, self._currency)} − {filters.micro(before, self._currency)}",
                "rounding": "The difference of the two rounded amounts above; nothing more is rounded.",
                "result": result,
            }
        at = self._with if step.operation == "cost_after" else self._without
        exact = Fraction(step.exact) / MICRO_PER_MINOR / 10 ** money.exponent(self._currency)
        return {
            "words": f"The cost of the counter {at}.",
            "exact": formats.with_code(exact_text(exact), self._currency, locale=filters.reader_locale()),
            "rounding": f"Rounded half up to a millionth of a {cent}.",
            "result": result,
        }

    def _units(self, value: Fraction) -> str:
        return f"{filters.quantity(value)} {unit_words.units(self._detail.price.unit, value)}"

    def _amount(self, minor: Fraction) -> str:
        return filters.unit_price(minor / 10 ** money.exponent(self._currency), self._currency)

    def _bounds(self, step: Step) -> str:
        per_unit = self._detail.price.base_per_unit
        low = Fraction(int(step.inputs.get("from_base", "0")), per_unit)
        high = step.inputs.get("up_to_base")
        if high is None:
            return f" (above {filters.quantity(low)})" if low else ""
        return f" (above {filters.quantity(low)} up to {filters.quantity(Fraction(int(high), per_unit))})"
