"""What the refusals of accounts say: names, addresses, roles, tax ids, passwords."""

from typing import Any

from portal.sentences.words import Sentence


def _field(fields: dict[str, Any]) -> str:
    return str(fields.get("field", "text")).replace("_", " ")


REASONS: dict[str, Sentence] = {
    "empty": lambda fields: f"The {_field(fields)} is empty.",
    "too_long": lambda fields: f"The {_field(fields)} is longer than {fields.get('limit', 'it may be')} characters.",
    "not_unicode": lambda fields: f"The {_field(fields)} holds characters that are not Unicode text.",
    "control_character": lambda fields: f"The {_field(fields)} holds control characters.",
    "direction_control": lambda fields: f"The {_field(fields)} holds characters that turn the direction of writing.",
    "invisible_character": lambda fields: f"The {_field(fields)} holds characters that cannot be seen.",
    "outer_space": lambda fields: f"The {_field(fields)} begins or ends with a space.",
    "not_an_address": "The e-mail address cannot be read: write it as name@example.com.",
    "reserved": lambda fields: f"The {_field(fields)} {fields.get('value', '')} is reserved.",
    "unknown_policy": "An account is prepaid or postpaid.",
    "unknown_role": lambda fields: f"There is no role {fields.get('value')}.",
    "unknown_expiry": "A key is good for 30, 90 or 365 days, or until it is revoked.",
    "tenants_needed": "Choose at least one tenant that the key may name.",
    "tenants_not_wanted": "A tenant's key means its own tenant and lists no others.",
    "one_purpose": "An invitation is for a tenant or for the staff, not both.",
    "unknown_scope": lambda fields: f"There is no scope {fields.get('value')}.",
    "unknown_country": "The country is not an ISO 3166 code such as IE or DE.",
    "unknown_tax_category": "Choose one of the treatments.",
    "unknown_customer_kind": "Choose business or private person.",
    "certificate_needed": "An exemption needs its certificate.",
    "certificate_end_needed": "Enter the last day that the certificate is good for.",
    "delivery_country_needed": "Choose the country of delivery.",
    "unknown_scheme": "Choose one of the registrations.",
    "registration_number_needed": "Enter the number of the registration.",
    "already_registered": "There is such a registration for that time: end it first.",
    "registration_ended": "The registration has ended already.",
    "unknown_tax_provider": "Choose who works out the taxes.",
    "unknown_vat_check": "Choose how VAT ids are looked at.",
    "vat_id_not_of_account": "The account does not bear this VAT id any more.",
    "rate_out_of_range": "A rate is from 0 to 100 percent, with at most two decimals.",
    "unknown_vatex": "The reason code is not on the official list.",
    "vatex_of_other_category": "The reason code belongs to another treatment.",
    "vat_id_wrong": "The VAT id is not one of its country: check its digits.",
    "vat_id_of_other_country": "The VAT id belongs to another country than the address.",
    "prefixes_equal": "Invoices, credit notes and receipts need three different number prefixes.",
    "prefix_wrong": "A number prefix is 1 to 16 letters, digits or . _ - and begins with a letter or digit, such as INV-.",
    "iban_wrong": "This is no IBAN: its length or its check digits are wrong.",
    "bic_wrong": "This is no BIC: it has 8 or 11 letters and digits, such as AIBKIE2D.",
    "bic_of_other_country": lambda fields: (
        f"The BIC is of another country than the IBAN, which is of {fields.get('country')}."
    ),
    "bic_without_iban": "A BIC names the bank of an IBAN: enter the IBAN too.",
    "website_wrong": "Enter a web address such as example.com.",
    "logo_empty": "Choose a file with the logo.",
    "logo_too_heavy": "The file is larger than 512 kB: save the logo smaller.",
    "logo_not_an_image": "The file is no PNG or JPEG picture, or it is damaged.",
    "logo_animated": "The picture moves: save it as a single image.",
    "logo_too_large": "The picture is wider or higher than 4,000 pixels.",
    "logo_too_small": "The picture is smaller than 16 pixels.",
    "password_too_short": "A password has at least 8 characters.",
    "password_too_long": "A password has at most 200 characters.",
    "password_is_login": "A password must differ from the e-mail address.",
    "password_common": "This password is among the first that guessers try. Choose another, such as four unrelated words.",
    "unknown_language": "Documents are written in English, German or French.",
    "unknown_page_size": "Documents are A4 or US letter.",
    "unknown_locale": "Numbers and dates are written as in English, German, French or Japanese.",
    "recovery_codes_changed": "These recovery codes are no longer in force: make new ones.",
    "unknown_act": lambda fields: f"There is no act {fields.get('value')} that needs two people.",
    "already_requested": "This was asked for before and waits for a second person.",
    "only_the_maker": "Only the person who asked can withdraw a request.",
    "staff_permission_missing": lambda fields: (
        f"This needs a member of the staff who may do it (permission {fields.get('permission')})."
    ),
    "altered": "This request was altered after it was made: it cannot be approved. Reject it and find out who did.",
    "content_changed": "What would be done has changed since it was asked for: reject this request and ask anew.",
    "not_what_was_shown": "This is not what the page showed when it was loaded: look at it as it is now, then decide again.",
}
CODES: dict[str, Sentence] = {
    "already_recipient": "This address is on the list already.",
    "too_many_recipients": lambda fields: (
        f"There are {fields.get('limit')} addresses on the list, as many as there can be: remove one first."
    ),
    "code_taken": "There is an account with this code already.",
    "login_taken": "Somebody signs in with this address already.",
    "second_factor_missing": "Two-step sign-in is off: there is nothing to make codes for.",
    "second_factor_exists": "Two-step sign-in is on already. Turn it off before you set up another app.",
    "key_refused": "The API key is not known, has expired or was revoked.",
    "link_refused": "This link cannot be used: it was used already, withdrawn, has expired or is not one of ours.",
    "link_for_other": "This invitation was sent to another e-mail address than the one you are signed in with.",
    "already_member": "This person has a role here already: change it in the list instead.",
    "invitation_open": "An invitation to this address is open already: send it again or withdraw it.",
    "last_owner": "A tenant keeps at least one owner who can sign in: make somebody else an owner first.",
    "last_admin": "At least one administrator who can sign in has to remain: make somebody else one first.",
    "own_access": "Another administrator has to change this for you.",
    "key_above_maker": lambda fields: f"You may not give a key what you may not do yourself: {fields.get('scopes')}.",
    "second_person_needed": "Somebody else must decide this: you asked for it.",
    "already_decided": lambda fields: f"This was decided before: it is {fields.get('state')}.",
    "approval_expired": "Nobody decided this in time: it has to be asked for again.",
    "content_changed": "What would be done has changed: look at it again.",
    "not_permitted": "You may not do this.",
    "not_allowed": "This needs the approval of a second person.",
}
