"""What the refusals about customers at the provider and saved methods say."""

from portal.sentences.words import Sentence

CODES: dict[str, Sentence] = {
    "provider_customer_unfit": "This customer cannot be the account's.",
    "provider_customer_busy": "Something that began earlier is not ended yet: try again in some minutes.",
    "payment_method_gone": "This payment method is removed already.",
}
REASONS: dict[str, Sentence] = {
    "customer_missing": lambda fields: (
        f"The payment provider has no customer {fields.get('customer_id')} in this mode: check the id."
    ),
    "customer_deleted": lambda fields: f"The customer {fields.get('customer_id')} was deleted at the provider.",
    "customer_other_mode": lambda fields: (
        f"The customer {fields.get('customer_id')} belongs to the other mode, test or live."
    ),
    "customer_of_another_account": lambda fields: (
        f"The customer {fields.get('customer_id')} belongs to another billing account."
    ),
    "customer_still_there": lambda fields: (
        f"The provider still has {fields.get('customer_id')}: nothing has to be made anew."
    ),
    "customer_act_running": "Another change of this customer is under way: look again in some minutes.",
    "payment_unsettled": "A payment whose outcome is not known yet hangs on this customer: wait until it is found out.",
    "customer_linked_already": "The account has a customer already: link another one with a reason instead.",
    "customer_id_malformed": "A customer's id has 3 to 255 plain characters, such as cus_NffrFeUfNV2Hib.",
    "portal_over": "This page was open for too long: open it again.",
    "customer_act_unknown": lambda fields: f"There is no act {fields.get('value')}; there are: check, relink, renew.",
    "provider_not_asked": "The payment provider did not answer clearly. Nothing was changed: try again in a minute.",
    "return_url_foreign": "The address to return to is a path of this portal, such as /payment-methods.",
}
