"""The form that makes a key, as a tenant's owner and as an administrator fill it in."""

from datetime import timedelta
from typing import Any

from wtforms import RadioField, StringField
from wtforms.fields.choices import SelectChoice  # type: ignore[attr-defined]  # the stubs lag behind 3.3
from wtforms.validators import InputRequired, Length

from billing.accounts import keys, permissions
from billing.kernel.errors import Refusal
from portal import filters, sentences, services
from portal.fields import ChecksField, KeyedForm

_DAYS = {str(days or 0): days for days in keys.LIVES_DAYS}


class KeyForm(KeyedForm):
    """What the key is for, what it may do, and how long it is good."""

    label = StringField(
        "What is it for?",
        [
            InputRequired("Say what the key is for, such as the machine that uses it."),
            Length(max=keys.LABEL_MAX, message=f"Use at most {keys.LABEL_MAX} characters."),
        ],
    )
    scopes = ChecksField("What may it do?", [InputRequired("Choose at least one thing that the key may do.")])
    expiry = RadioField("How long is it good?", default="90")


def prepare(form: KeyForm, scopes: frozenset[str]) -> None:
    """Give a key's form the scopes that may be chosen, the dates its lives end on, and its own key."""
    form.scopes.choices = [
        SelectChoice(name, words) for name, words in permissions.SCOPE_WORDS.items() if name in scopes
    ]
    form.expiry.choices = [SelectChoice(code, _life(days)) for code, days in _DAYS.items()]
    form.ensure_key()


def wanted(form: KeyForm) -> dict[str, Any]:
    """What the form asks `keys.create_key` for."""
    return {
        "label": form.label.data or "",
        "scopes": form.scopes.data or [],
        "days": _DAYS.get(form.expiry.data or "", 0),
        "form_key": form.form_key.data,
    }


def attached(form: KeyForm, refusal: Refusal) -> list[str]:
    """The refusal's sentence at the field it is about, else above the form."""
    field = str(refusal.fields.get("field"))
    if field not in form:
        return [sentences.of(refusal)]
    form[field].errors = [sentences.of(refusal)]
    return []


def _life(days: int | None) -> str:
    if days is None:
        return "Until it is revoked"
    return f"{days} days, until {filters.day((services.now() + timedelta(days=days)).date())}"
