"""What sends the portal's mail, as the settings say. Used by the portal, the jobs and the command line."""

from functools import partial

from billing.accounts import links
from billing.notices.channels import smtp
from billing.notices.channels.files import FileChannel
from billing.notices.channels.port import Channel
from billing.notices.channels.smtp import SmtpChannel
from billing.notices.mail import Mailer
from portal.config import PortalConfig, parse_sender


def build(config: PortalConfig) -> Mailer | None:
    """By the mail server, into files of a folder, or None when the settings send no mail. Nothing is connected here."""
    channel: Channel
    if config.smtp_url:
        channel = SmtpChannel(smtp.read_url(config.smtp_url), timeout_s=config.smtp_timeout_s)
    elif config.mail_folder is not None:
        channel = FileChannel(config.mail_folder)
    else:
        return None
    name, address = parse_sender(config.mail_from)
    return Mailer(
        channel=channel,
        sender_name=name,
        sender=address,
        base_url=config.base_url,
        token_of=partial(links.make_token, key=config.link_key),
    )
