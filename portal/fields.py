"""Form fields that read what people type without guessing."""

import secrets
from typing import Any

from flask_wtf import FlaskForm
from wtforms import HiddenField, SelectMultipleField, StringField, ValidationError
from wtforms.widgets import CheckboxInput

from billing.kernel import money
from billing.kernel.errors import Invalid
from billing.kernel.money import Money
from portal import sentences


class MoneyField(StringField):
    """A plain decimal in the currency that the form declares as `currency`; `data_money` is the exact amount.

    WTForms' DecimalField accepts `1_000`, Arabic digits and `1e3`; money does not.
    """

    data_money: Money | None = None

    def pre_validate(self, form: Any) -> None:
        """Read the text; the refusal's sentence becomes the field's error."""
        try:
            parsed = money.parse(
                (self.data or "").replace(",", "") if _is_grouped(self.data) else (self.data or ""), form.currency
            )
        except Invalid as refusal:
            raise ValidationError(sentences.of(refusal)) from None
        if parsed.minor <= 0:
            raise ValidationError("Enter an amount above zero.")
        self.data_money = parsed


class ChecksField(SelectMultipleField):
    """Several of a few choices, each a check box with its words."""

    option_widget = CheckboxInput()


class KeyedForm(FlaskForm):
    """A form whose key is made when it is rendered: sent twice, by two clicks or two tabs, it has one effect."""

    form_key = HiddenField()

    def ensure_key(self) -> None:
        """Give a form that is shown for the first time its key."""
        if not self.form_key.data:
            self.form_key.data = secrets.token_urlsafe(18)


def _is_grouped(text: str | None) -> bool:
    """Whether commas stand only where thousands are grouped: 1,234.50 is clear, 1,5 could mean two things."""
    whole = (text or "").strip().partition(".")[0]
    head, *groups = whole.split(",")
    return bool(groups) and 1 <= len(head) <= 3 and all(len(group) == 3 for group in groups)
