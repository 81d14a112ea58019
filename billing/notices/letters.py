"""What one mail is about: the facts of its notice as they are when it is sent, and the words made of them.

Payloads hold ids and figures; names are looked up here, and the token of a link is made here, so that no row holds it.
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from billing.accounts import approvals, links, permissions, recipients
from billing.accounts.access_tables import AccessLink, Approval
from billing.accounts.tables import BillingAccount, Seller, Tenant, User
from billing.invoicing.tables import InvoiceHeader
from billing.kernel.errors import Conflict, NotFound
from billing.notices import attachments, decline_words, words
from billing.notices.attachments import Attachment
from billing.notices.topics import Topic, get_topic
from billing.rendering import emails
from billing.rendering.emails import Rendered
from billing.storage.tables import Delivery, OutboxMessage

HIDDEN = "hidden"  # what stands for a token where the words are only looked at


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One delivery with everything its words need. `link_id` names the row whose link's token they will hold."""

    delivery_id: str
    template: str
    recipient: str
    recipient_name: str | None
    locale: str
    zone: str
    correlation_id: str | None
    link_id: str | None
    facts: dict[str, Any]
    attachment: Attachment | None = None


def get_letter(session: Session, *, now: datetime, delivery_id: str, is_preview: bool = False) -> Letter:
    """The letter of a delivery. Raises NotFound, KeyError for a payload that lacks what its topic must name, Conflict(link_over)
    for an access link that lets nobody in any more, which is not worth a mail (a preview shows it still), and
    attachments.NotRendered while the document that it brings is not made.
    """
    found = session.execute(
        select(Delivery, OutboxMessage)
        .join(OutboxMessage, OutboxMessage.id == Delivery.message_id)
        .where(Delivery.id == delivery_id)
    ).one_or_none()
    if found is None:
        raise NotFound(delivery_id=delivery_id[:60])
    delivery, message = found
    topic = get_topic(message.topic)
    if topic.template is None:
        raise NotFound(topic=message.topic)
    user = session.scalar(select(User).where(User.login == delivery.recipient))
    account = session.get(BillingAccount, message.billing_account_id) if message.billing_account_id else None
    facts = {name: _plain(value) for name, value in message.payload.items()}
    facts |= {"topic": message.topic, "decided_at": message.created_at, "account_name": None, "seller": None}
    if account is not None:
        seller = session.get_one(Seller, account.seller_id)
        facts |= {
            "account_name": _plain(account.name),
            "seller": _plain(seller.legal_name),
            "seller_email": seller.email,
        }
    facts |= _FINDERS[topic.template](session, message.payload) if topic.template in _FINDERS else {}
    listed_id = _listed_id(session, topic, delivery) if user is None else None
    facts["is_on_list"] = listed_id is not None
    link = facts.pop("link", None)
    if link is not None and not is_preview and not links.is_open(link, now=now):
        raise Conflict(delivery_id=delivery_id, reason="link_over")
    return Letter(
        delivery_id=delivery.id,
        template=topic.template,
        recipient=delivery.recipient,
        recipient_name=user.name if user is not None else None,
        locale=(user.locale if user is not None else None) or "en",
        zone=account.zone if account is not None else "UTC",
        correlation_id=delivery.correlation_id,
        link_id=message.payload["link_id"] if topic.audience in ("address", "recipient") else listed_id,
        facts=facts,
        attachment=None if is_preview else attachments.of_notice(session, topic, message.payload),
    )


def write(letter: Letter, *, base_url: str, token_of: Callable[[str], str]) -> Rendered:
    """Subject, text and HTML of a letter. Raises jinja2.UndefinedError for a fact that its template needs and nobody gave."""
    token = token_of(letter.link_id) if letter.link_id is not None else None
    return emails.render(
        letter.template,
        **letter.facts,
        base_url=base_url,
        token=token,
        recipient=letter.recipient,
        recipient_name=_plain(letter.recipient_name),
        locale=letter.locale,
        zone=letter.zone,
    )


def _listed_id(session: Session, topic: Topic, delivery: Delivery) -> str | None:
    """Of somebody who is no user: the confirmed address that brings them the mail, whose link ends it."""
    if topic.audience != "documents" or delivery.billing_account_id is None:
        return None
    return recipients.find_verified(session, account_id=delivery.billing_account_id, email=delivery.recipient)


def _of_reminder(_session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    return {"due_on": date.fromisoformat(payload["due_on"]), "issued_on": date.fromisoformat(payload["issued_on"])}


def _of_invoice(_session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    return {"due_on": date.fromisoformat(payload["due_on"])}


def _of_payment(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    return {"invoice_number": _number(session, payload.get("invoice_id"))}


def _of_refund(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    number = _number(session, payload.get("invoice_id"))
    word, sentence = words.refund(f"refund.{payload.get('notice', payload['state'])}", payload["mode"], number)
    return {"invoice_number": number, "word": word, "sentence": sentence}


def _of_charge(_session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    next_try_on = payload["next_try_on"]
    return {
        "reason": decline_words.decline(payload["decline_code"]),
        "next_try_on": date.fromisoformat(next_try_on) if next_try_on else None,
    }


def _of_cap(_session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    return {"month_on": date.fromisoformat(f"{payload['month']}-01")}


def _of_link(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    link = session.get_one(AccessLink, payload["link_id"])
    tenant = session.get(Tenant, link.tenant_id) if link.tenant_id else None
    return {
        "tenant_name": _plain(tenant.name) if tenant is not None else None,
        "role": _role(link),
        "inviter": _plain(_name(session, link.created_by)),
        "expires_at": link.expires_at,
        "link": link,
    }


def _of_approval(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    approval = session.get_one(Approval, payload["approval_id"])
    account = session.get(BillingAccount, approval.billing_account_id) if approval.billing_account_id else None
    content = approval.content
    return {
        "act": approvals.ACTS[approval.act].words,
        "account_name": _plain(account.name) if account is not None else None,
        "amount_minor": content.get("amount_minor") if isinstance(content.get("amount_minor"), int) else None,
        "currency": content.get("currency"),
        "reason": _plain(approval.reason),
        "maker_name": _plain(_name(session, approval.maker)),
        "checker_name": _plain(_name(session, approval.checker)),
        "note": _plain(approval.note),
        "state": approval.state,
        "expires_at": approval.expires_at,
    }


def _of_dispute(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    number = _number(session, payload.get("invoice_id"))
    due_by = datetime.fromisoformat(payload["due_by"]) if payload.get("due_by") else None
    return {"invoice_number": number, "due_by": due_by, "reason": words.dispute_reason(payload["reason"])}


def _of_disputed(session: Session, payload: dict[str, Any]) -> dict[str, Any]:
    number = _number(session, payload.get("invoice_id"))
    word, sentence = words.disputed(str(payload["state"]), number)
    return {"invoice_number": number, "word": word, "sentence": sentence}


_FINDERS: dict[str, Callable[[Session, dict[str, Any]], dict[str, Any]]] = {
    "invoice_issued": _of_invoice,
    "invoice_reminder": _of_reminder,
    "receipt_issued": _of_payment,
    "payment_failed": _of_charge,
    "payment_action_required": _of_charge,
    "top_up_cap_reached": _of_cap,
    "refund": _of_refund,
    "dispute": _of_dispute,
    "payment_disputed": _of_disputed,
    "access_changed": lambda _session, payload: {"changed": words.changed(str(_plain(payload["what"])))},
    "access_invitation": _of_link,
    "access_reset": _of_link,
    "approval_requested": _of_approval,
    "approval_decided": _of_approval,
}


def _role(link: AccessLink) -> str | None:
    if link.role is not None:
        return permissions.member_label(link.role)
    return permissions.staff_label(link.staff_role) if link.staff_role is not None else None


def _number(session: Session, invoice_id: str | None) -> str | None:
    return session.scalar(select(InvoiceHeader.number).where(InvoiceHeader.id == invoice_id)) if invoice_id else None


def _name(session: Session, actor: str | None) -> str | None:
    return session.scalar(select(User.name).where(User.id == actor)) if actor else None


def _plain(value: Any) -> Any:
    """Texts on one line and without control characters: what a person is called cannot begin a new line of a mail."""
    if not isinstance(value, str):
        return value
    return " ".join(
        "".join(
            " " if unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") else character for character in value
        ).split()
    )
