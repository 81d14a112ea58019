"""`plumbline notices` and `plumbline mail`: what was told to whom, trying it again, and whether mail leaves at all."""

from email.message import EmailMessage

import click

from billing.accounts import names
from billing.kernel import clock
from billing.kernel.ids import new_id
from billing.notices import deliveries, mail, topics
from billing.notices.channels.port import Mail, NotTaken
from portal.cli import Failed, context
from portal.cli.output import emit, with_format
from portal.sentences import notices as words

_COLUMNS = ("message", "topic", "recipient", "account", "state", "attempts", "created_at", "next_or_end_at", "error")


@click.group("notices")
def notices() -> None:
    """E-mails: what was sent to whom."""


@notices.command("list")
@click.option("--state", type=click.Choice(deliveries.STATES), help="Only those in this state.")
@click.option("--topic", type=click.Choice(sorted(topics.TOPICS)), help="Only those about this.")
@click.option("--to", "recipient", help="Only addresses that contain this.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
@with_format
def list_notices(state: str | None, topic: str | None, recipient: str | None, limit: int, form: str) -> None:
    """Messages, newest first."""
    with context.database().reading("jobs") as session:
        rows, _ = deliveries.list_deliveries(session, state=state, topic=topic, recipient=recipient, limit=limit)
    emit(
        [
            {
                "message": row.id,
                "topic": row.topic,
                "recipient": row.recipient,
                "account": row.account_code,
                "state": row.state,
                "attempts": row.attempts,
                "created_at": clock.to_rfc3339(row.created_at),
                "next_or_end_at": clock.to_rfc3339(row.ended_at or row.next_attempt_at),
                "error": row.error,
            }
            for row in rows
        ],
        form,
        columns=_COLUMNS,
    )


@notices.command()
@click.argument("message")
def again(message: str) -> None:
    """Let MESSAGE be tried at once, with all its tries."""
    with context.database().transaction("jobs") as session:
        deliveries.again(session, now=context.now(), delivery_id=message, actor=context.actor())
    click.echo("It is tried at the next look of the job `mail`.")


@click.group("mail")
def mail_group() -> None:
    """The way out for e-mails."""


@mail_group.command()
@click.argument("address")
def test(address: str) -> None:
    """Send one e-mail to ADDRESS now, past the queue, and say what the mail server answered."""
    mailer = context.mailer()
    if mailer is None:
        raise Failed("No mail is sent: set PLUMBLINE_SMTP_URL, or PLUMBLINE_MAIL=file:FOLDER.")
    recipient = mail.ascii_address(names.require_email(address))
    test_id = new_id("ntd")
    message = EmailMessage(policy=mail.POLICY)
    message["From"] = mail.address(mailer.sender_name, mailer.sender)
    message["To"] = recipient
    message["Subject"] = "Plumbline can send mail"
    message["Date"] = context.now()
    message["Message-ID"] = mail.message_id(test_id, mailer.sender)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(f"This is a test, asked for on the command line.\n\n{mailer.base_url}\n", cte="7bit")
    try:
        with mailer.channel.connection() as carry:
            carry(Mail(id=test_id, sender=mailer.sender, recipient=recipient, raw=message.as_bytes()))
    except NotTaken as trouble:
        raise Failed(
            f"{words.of_error(str(trouble), is_short=True)} It said: {trouble.detail or trouble.code}"
        ) from None
    click.echo(f"The mail for {recipient} was taken ({mailer.channel.name}).")
