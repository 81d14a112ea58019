"""What the refusals of notices say to a person, and what a mail server's answers mean."""

from portal.sentences.words import Sentence

CODES: dict[str, Sentence] = {}
REASONS: dict[str, Sentence] = {
    "unknown_topic": lambda fields: f"There is no kind of notice called {fields.get('value')}.",
    "mail_sent_already": "This message was sent. It is not sent twice.",
    "mail_being_sent": "This message is being sent at this moment. Look again in a minute.",
    "mail_not_failed": "Only a message that was given up can be taken off the list.",
    "link_over": "The link has been used, was withdrawn or is too old.",
}
# What `notice_deliveries.last_error` begins with -> (what happened, what follows or can be done)
ERRORS = {
    "unreachable": ("The mail server cannot be reached, or broke off.", "It is asked again by itself."),
    "timeout": ("The mail server did not answer in time.", "It is asked again by itself."),
    "starttls_not_offered": (
        "The mail server offers no encryption, and without it nothing is sent.",
        "Correct PLUMBLINE_SMTP_URL.",
    ),
    "authentication": ("The mail server does not accept our user and password.", "Correct PLUMBLINE_SMTP_URL."),
    "sender_refused": ("The mail server does not accept our sender.", "Correct PLUMBLINE_MAIL_FROM."),
    "recipient_refused": ("The mail server does not accept the recipient's address.", ""),
    "content_refused": ("The mail server does not accept the mail.", ""),
    "unanswered": (
        "Nobody knows whether the mail server took it.",
        "It is sent again; mail programs see by its Message-ID that it is the same.",
    ),
    "address_refused": ("The recipient's address cannot be put into a mail.", ""),
    "not_an_address": ("The recipient's address cannot be put into a mail.", ""),
    "header_refused": ("A name in this mail would have changed its headers, so it was not made.", ""),
    "cannot_be_written": ("The mail could not be made of its notice.", ""),
    "document_waits": ("The document that it brings is being printed.", "It is sent as soon as that is there."),
    "link_over": ("The link has been used, was withdrawn or is too old.", "A mail with it would help nobody."),
}
_OTHER = ("It was not taken.", "")


def of_error(error: str, *, is_short: bool = False) -> str:
    """What a delivery's last error means; `is_short` leaves out what follows from it."""
    happened, then = ERRORS.get(error.partition(":")[0], _OTHER)
    return happened if is_short or not then else f"{happened} {then}"
